// SPDX-License-Identifier: Apache-2.0
#include "user/agent.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "user/base/clock.h"
#include "user/base/loop.h"
#include "user/export/console.h"
#include "user/flow/event.h"
#include "user/flow/pipeline.h"
#include "user/flow/span.h"
#include "user/kernel/injection.h"
#include "user/kernel/process.h"
#include "user/kernel/sdk_list.h"
#include "user/kernel/targets.h"
#include "user/kernel/tracer_config.h"
#include "user/root_log.h"

#define SECOND_NS	 1000000000ULL
#define MS_NS		 1000000ULL
#define DRAIN_BUSY_NS	 (20 * MS_NS)  /* while records come */
#define DRAIN_IDLE_NS	 (100 * MS_NS) /* a span of a quiet host is still seen at once */
#define DRAIN_NEXT_NS	 0	       /* there is more: after the other work of the loop */
#define DRAIN_PRESSED_NS (4 * MS_NS)   /* there is more, but the exporter has its hands full */
#define TURN_SPANS	 160	       /* after so many the loop does its other work, ... */
#define TURN_RECORDS	 2048	       /* ... or after so many that gave none */
#define TICK_NS		 (100 * MS_NS)
#define CLOCK_NS	 (10 * SECOND_NS) /* how often Unix time is compared with the monotonic */
#define FLUSH_MS	 5000		  /* for the collector, at the end */

struct agent {
	const struct options *options;
	struct ledger ledger;
	struct loop *loop;
	struct tracer *tracer;
	struct targets *targets;
	struct pipeline *pipeline;
	struct processes *processes;
	struct processes_config processes_config;
	struct console *console;
	struct http_exporter *otlp;
	struct loop_timer *drain_timer;
	struct flow_config flow;
	size_t turn_spans; /* made in this turn of the loop */
	size_t turn_records;
	bool exiting;
};

/* With --pid only those of it, and what they start, have verdicts; the others never get one. */
static int agent__scope(struct agent *agent, uint32_t tgid, uint32_t verdict)
{
	return agent->options->pid_count ? tracer__rescope(agent->tracer, tgid, verdict)
					 : tracer__scope(agent->tracer, tgid, verdict);
}

/* -- pipeline -> out ---------------------------------------------------------------------- */

static void agent__on_span(void *ctx, struct span *span)
{
	struct agent *agent = ctx;

	agent->turn_spans++;
	if (agent->console)
		console__span(agent->console, span);
	if (agent->otlp)
		http_exporter__push(agent->otlp, span);
	else
		span__free(span);
}

static struct resource *agent__on_resource(void *ctx, uint32_t tgid, const char *comm)
{
	struct agent *agent = ctx;
	struct resource *resource = processes__resource(agent->processes, tgid, comm);

	/* NULL may also be want of memory: that is no verdict. */
	if (!resource && !processes__wanted(agent->processes, tgid))
		agent__scope(agent, tgid, SCOPE_SKIP);
	return resource;
}

static void agent__on_sdk(void *ctx, const struct resource *process, enum sdk_evidence evidence,
			  const struct endpoint *to)
{
	struct agent *agent = ctx;

	sdk_list__learned(agent->tracer, process, evidence, to, agent->flow.sdk_adopt);
}

static void agent__on_ignore(void *ctx, uint64_t conn_id)
{
	struct agent *agent = ctx;

	/* A verdict that does not arrive costs records that are then dropped here. */
	tracer__ignore_conn(agent->tracer, conn_id);
}

static void agent__on_join(void *ctx, uint64_t conn_id)
{
	struct agent *agent = ctx;

	injection__join(tracer__injection(agent->tracer), conn_id);
}

static void agent__on_proven(void *ctx, uint64_t conn_id)
{
	struct agent *agent = ctx;

	injection__proven(tracer__injection(agent->tracer), conn_id);
}

static void agent__on_leave(void *ctx, uint64_t conn_id)
{
	struct agent *agent = ctx;

	injection__leave(tracer__injection(agent->tracer), conn_id);
}

/* -- kernel -> pipeline ------------------------------------------------------------------- */

/* Do programs differ in what is done with them? */
static bool agent__scopes(const struct agent *agent)
{
	const struct options *options = agent->options;

	return options->exe_globs || options->exclude_exe_globs || options->inject_exclude_globs;
}

static uint32_t agent__verdict(struct agent *agent, uint32_t tgid)
{
	return (processes__wanted(agent->processes, tgid) ? SCOPE_TRACE : SCOPE_SKIP) |
	       (processes__injected(agent->processes, tgid) ? SCOPE_INJECT : 0);
}

/* Judges a process by its program; is it traced? */
static bool agent__scope_exec(struct agent *agent, uint32_t tgid)
{
	uint32_t verdict;

	if (!agent__scopes(agent))
		return true;
	verdict = agent__verdict(agent, tgid);
	return agent__scope(agent, tgid, verdict) != -ENOENT &&
	       (verdict & SCOPE_MASK) == SCOPE_TRACE;
}

static void agent__on_process(struct agent *agent, const struct event_process *event)
{
	tracer__sdk_process(agent->tracer, event->tgid, NULL);
	if (event->kind == PROCESS_EXIT) {
		processes__exit(agent->processes, event->tgid);
		targets__exit(agent->targets, event->tgid);
		return;
	}
	targets__process(agent->targets, event->tgid);
	processes__exec(agent->processes, event->tgid, event->path, event->comm);
	agent__scope_exec(agent, event->tgid);
}

static bool agent__turn_over(const struct agent *agent)
{
	return agent->turn_spans >= TURN_SPANS || agent->turn_records >= TURN_RECORDS;
}

static bool agent__on_record(void *ctx, const void *record, size_t len)
{
	struct agent *agent = ctx;
	bool known = pipeline__record(agent->pipeline, record, len) == 0;
	uint32_t type = event__type(record, len);
	struct event_view view;

	if (known && type == EVENT_PROCESS && event__view(record, len, &view) == 0)
		agent__on_process(agent, &view.process);
	else if (known && type == EVENT_CONN && event__view(record, len, &view) == 0)
		targets__connection(agent->targets, view.conn.tgid);
	agent->turn_records++;
	return !agent__turn_over(agent);
}

/* When to read the ring again.  A burst is read in turns, so that the exporter can keep up: a
 * span that waits in the ring is not lost, one that finds the queue full is. */
static uint64_t agent__drain_delay(const struct agent *agent, int records)
{
	if (!agent__turn_over(agent))
		return records > 0 ? DRAIN_BUSY_NS : DRAIN_IDLE_NS;
	if (agent->otlp &&
	    http_exporter__pending(agent->otlp) > agent->options->otlp.max_queue_size / 2)
		return DRAIN_PRESSED_NS;
	return DRAIN_NEXT_NS;
}

static void agent__flushed(void *ctx)
{
	struct agent *agent = ctx;

	loop__stop(agent->loop);
}

/* The ring is empty for good: what is in flight and queued goes out. */
static void agent__flush(struct agent *agent)
{
	loop_timer__stop(agent->drain_timer);
	pipeline__drain(agent->pipeline);
	if (agent->console)
		console__flush(agent->console);
	if (agent->otlp)
		http_exporter__flush(agent->otlp, FLUSH_MS, agent__flushed, agent);
	else
		loop__stop(agent->loop);
}

static void agent__drain(void *ctx)
{
	struct agent *agent = ctx;
	int records;

	/* Behind a full turn, before the next: who has waited for this processor goes first. */
	if (agent__turn_over(agent))
		sched_yield();
	agent->turn_spans = 0;
	agent->turn_records = 0;
	records = tracer__drain(agent->tracer);
	if (records < 0)
		log_warn("agent", "the ring buffer could not be read: %s; trying again",
			 errstr(records));
	if (agent->exiting && !agent__turn_over(agent)) {
		agent__flush(agent);
		return;
	}
	loop_timer__after(agent->drain_timer, agent__drain_delay(agent, records));
}

static void agent__on_ring(void *ctx, int fd, uint32_t events)
{
	agent__drain(ctx);
}

static void agent__on_tick(void *ctx)
{
	struct agent *agent = ctx;
	uint64_t now = clock__now_ns(CLOCK_MONOTONIC);

	pipeline__tick(agent->pipeline, now);
	processes__tick(agent->processes, now);
	injection__tick(tracer__injection(agent->tracer), now);
	targets__tick(agent->targets);
	if (agent->console)
		console__tick(agent->console, now);
}

static void agent__on_clock(void *ctx)
{
	struct agent *agent = ctx;

	pipeline__set_clock(agent->pipeline, clock__unix_offset_ns());
}

/* -- the end ------------------------------------------------------------------------------ */

/* No new records; those in the ring are read as ever, in turns, so that the exporter keeps up. */
static void agent__finish(void *ctx)
{
	struct agent *agent = ctx;

	if (agent->exiting) { /* a second signal: now */
		pipeline__drain(agent->pipeline);
		loop__stop(agent->loop);
		return;
	}
	agent->exiting = true;
	loop__unwatch(agent->loop, tracer__fd(agent->tracer));
	tracer__detach(agent->tracer);
	agent__drain(agent);
}

static void agent__on_signal(void *ctx, int fd, uint32_t events)
{
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof(info)) == sizeof(info))
		agent__finish(ctx);
}

/* -- the beginning ------------------------------------------------------------------------ */

static int agent__start_timer(struct agent *agent, loop_timer_fn fn, uint64_t period_ns)
{
	struct loop_timer *timer = loop__timer(agent->loop, fn, agent);

	if (!timer)
		return -errno;
	loop_timer__every(timer, period_ns);
	return 0;
}

static int agent__start_timers(struct agent *agent)
{
	struct loop_timer *end;
	int err;

	agent->drain_timer = loop__timer(agent->loop, agent__drain, agent);
	if (!agent->drain_timer)
		return -errno;
	loop_timer__after(agent->drain_timer, DRAIN_BUSY_NS);
	err = agent__start_timer(agent, agent__on_tick, TICK_NS);
	if (!err)
		err = agent__start_timer(agent, agent__on_clock, CLOCK_NS);
	if (err || !agent->options->duration_ns)
		return err;
	end = loop__timer(agent->loop, agent__finish, agent);
	if (!end)
		return -errno;
	loop_timer__after(end, agent->options->duration_ns);
	return 0;
}

static int agent__start_tracer(struct agent *agent, const struct features *features, int signal_fd,
			       char *why, size_t why_len)
{
	const struct options *options = agent->options;
	struct tracer_config config;
	int err = tracer_config__fill(&config, options, &agent->flow, features, why, why_len);

	if (err)
		return err;
	config.signal_fd = signal_fd;
	agent->tracer = tracer__new(&config, agent__on_record, agent, why, why_len);
	if (!agent->tracer)
		return why[0] ? -EPERM : -ECANCELED;
	agent->flow.lost_ns = tracer__lost_ns(agent->tracer);
	agent->targets = targets__new(agent->tracer, config.python);
	if (!agent->targets)
		return -errno;
	for (unsigned int i = 0; i < options->pid_count; i++)
		tracer__scope(agent->tracer, options->pids[i],
			      agent__verdict(agent, options->pids[i]));
	/* Told once: what a turn leaves in the ring is the timer's, and may have to wait. */
	return loop__watch(agent->loop, tracer__fd(agent->tracer), EPOLLIN | EPOLLET,
			   agent__on_ring, agent);
}

/* Programs that run already: those that are not wanted cost nothing from now on. */
static void agent__scope_running(struct agent *agent)
{
	struct dirent *entry;
	bool any = false;
	DIR *proc;

	if (!agent__scopes(agent))
		return;
	proc = opendir("/proc");
	if (!proc) {
		log_warn("agent",
			 "/proc cannot be listed: %s; --exe, --exclude-exe and --inject-exclude "
			 "hold for new programs only",
			 errstr(-errno));
		return;
	}
	while ((entry = readdir(proc)))
		if (isdigit((unsigned char)entry->d_name[0]))
			any |= agent__scope_exec(agent, (uint32_t)strtoul(entry->d_name, NULL, 10));
	closedir(proc);
	if (!any)
		log_info("agent",
			 "no %s is chosen by --exe and --exclude-exe; %s are looked at, too",
			 agent->options->pid_count ? "process of --pid" : "program that runs now",
			 agent->options->pid_count ? "those that they start" : "those that start");
}

static int agent__start_flow(struct agent *agent)
{
	const struct options *options = agent->options;
	struct pipeline_callbacks callbacks = {
		.span = agent__on_span,
		.resource = agent__on_resource,
		.sdk = agent__on_sdk,
		.root = root_log__first,
		.ignore = agent__on_ignore,
		.join = agent__on_join,
		.proven = agent__on_proven,
		.leave = agent__on_leave,
		.ctx = agent,
	};

	agent->flow = options->flow;
	if (getrandom(agent->flow.id_key, sizeof(agent->flow.id_key), 0) !=
	    sizeof(agent->flow.id_key))
		return -errno;
	agent->processes_config = (struct processes_config){
		.proc_root = "/proc",
		.service_name = options->service_name,
		.resource_attributes = options->resource_attributes,
		.exe_globs = options->exe_globs,
		.exclude_exe_globs = options->exclude_exe_globs,
		.inject_exclude_globs = options->inject_exclude_globs,
		.self_pid = (uint32_t)getpid(),
	};
	agent->processes = processes__new(&agent->processes_config);
	agent->pipeline = pipeline__new(&agent->flow, &callbacks, &agent->ledger);
	if (!agent->processes || !agent->pipeline)
		return -ENOMEM;
	pipeline__set_clock(agent->pipeline, clock__unix_offset_ns());
	return 0;
}

static int agent__start_exporters(struct agent *agent)
{
	const struct options *options = agent->options;
	const char *no_color = getenv("NO_COLOR");
	bool colours = isatty(STDOUT_FILENO) && (!no_color || !no_color[0]);

	if (options->exporters & EXPORT_CONSOLE) {
		agent->console = console__new(stdout, options->console_format, colours);
		if (!agent->console)
			return -ENOMEM;
	}
	if (options->exporters & EXPORT_OTLP) {
		agent->otlp = http_exporter__new(agent->loop, &options->otlp);
		if (!agent->otlp)
			return -errno;
	}
	return 0;
}

struct agent *agent__new(const struct options *options, const struct features *features,
			 int signal_fd, char *why, size_t why_len)
{
	struct agent *agent = calloc(1, sizeof(*agent));
	int err = -ENOMEM;

	why[0] = '\0';
	if (!agent)
		goto out;
	agent->options = options;
	agent->loop = loop__new();
	if (!agent->loop)
		goto out;
	err = agent__start_flow(agent);
	if (!err)
		err = agent__start_exporters(agent);
	if (!err)
		err = agent__start_tracer(agent, features, signal_fd, why, why_len);
	if (!err)
		err = loop__watch(agent->loop, signal_fd, EPOLLIN, agent__on_signal, agent);
	if (!err)
		err = agent__start_timers(agent);
	if (!err)
		agent__scope_running(agent);
out:
	if (!err)
		return agent;
	if (!why[0] && err != -ECANCELED)
		snprintf(why, why_len, "the agent could not be set up: %s", errstr(err));
	agent__free(agent);
	return NULL;
}

void agent__free(struct agent *agent)
{
	if (!agent)
		return;
	targets__free(agent->targets);
	tracer__free(agent->tracer);
	pipeline__free(agent->pipeline);
	http_exporter__free(agent->otlp);
	console__free(agent->console);
	processes__free(agent->processes);
	loop__free(agent->loop);
	free(agent);
}

int agent__run(struct agent *agent)
{
	return loop__run(agent->loop);
}

void agent__totals(const struct agent *agent, struct agent_totals *totals)
{
	memset(totals, 0, sizeof(*totals));
	tracer__counters(agent->tracer, totals->kernel);
	totals->flow = agent->ledger;
	totals->in_flight = pipeline__in_flight(agent->pipeline);
	totals->console = agent->console;
	if (agent->console) {
		totals->console_shown = console__shown(agent->console);
		totals->console_hidden = console__hidden(agent->console);
	}
	totals->otlp = agent->otlp;
	if (agent->otlp) {
		totals->otlp_counts = *http_exporter__counts(agent->otlp);
		totals->otlp_pending = http_exporter__pending(agent->otlp);
	}
}
