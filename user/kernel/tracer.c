// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/tracer.h"

#include <errno.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "spanloom.skel.h"
#include "user/base/signals.h"
#include "user/kernel/complaint.h"
#include "user/kernel/injection.h"
#include "user/kernel/instance.h"
#include "user/kernel/inventory.h"
#include "user/kernel/kretprobe.h"
#include "user/kernel/object.h"
#include "user/kernel/plan.h"
#include "user/kernel/tcp_option.h"
#include "user/log.h"

#define DRAIN_STOP (-ECANCELED) /* libbpf gives the record back as read, and stops */

struct tracer {
	struct spanloom_bpf *skel;
	struct ring_buffer *ring;
	struct injection *injection; /* or NULL */
	struct bpf_link *option;     /* likewise */
	tracer_record_fn fn;
	void *ctx;
	bool kretprobes; /* there may be such in tracefs */
	int drained;	 /* records of this drain */
	int claim_fd;	 /* user/kernel/instance.h */
};

/* ---- the tracer ------------------------------------------------------------------------- */

static int load(struct tracer *t, const struct tracer_config *config, const struct plan *plan)
{
	int err;

	t->skel = object__open();
	if (!t->skel)
		return -errno;
	err = plan__apply(plan, config, t->skel);
	return err ? err : spanloom_bpf__load(t->skel);
}

static int on_record(void *ctx, void *record, size_t size)
{
	struct tracer *t = ctx;
	const struct event_hdr *hdr = record;

	t->drained++;
	if (size < sizeof(*hdr))
		return 0;
	/* The ring gives out sizes of a few classes; hdr.len is what was filled. */
	if (t->fn(t->ctx, record, hdr->len < size ? hdr->len : size))
		return 0;
	return DRAIN_STOP;
}

/* Kernels before 5.11 count map memory as locked memory.  A probe takes two descriptors, a Go
 * program dozens: the 1024 that a shell gives are soon gone. */
static void raise_limits(void)
{
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	struct rlimit files;

	if (setrlimit(RLIMIT_MEMLOCK, &unlimited) != 0)
		log_debug("tracer", "cannot raise RLIMIT_MEMLOCK: %s", errstr(errno));
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &files) != 0)
			log_debug("tracer", "cannot raise RLIMIT_NOFILE: %s", errstr(errno));
	}
}

/* Nothing is written into what programs send any more. */
static void stop_sending(struct tracer *t)
{
	injection__stop(t->injection);
	t->injection = NULL;
	bpf_link__destroy(t->option);
	t->option = NULL;
}

/* Undoes try_plan(), also a part of it. */
static void stop(struct tracer *t)
{
	stop_sending(t);
	ring_buffer__free(t->ring);
	t->ring = NULL;
	spanloom_bpf__destroy(t->skel);
	t->skel = NULL;
	if (t->kretprobes)
		kretprobes__sweep();
}

/* 0, or a negative errno with @what could not be done. */
static int start_sending(struct tracer *t, const struct tracer_config *config, const char **what)
{
	if (config->inject) {
		*what = "attach header injection of";
		t->injection = injection__start(t->skel);
		if (!t->injection)
			return -errno;
	}
	if (config->tcp_option) {
		*what = "attach TCP options of";
		t->option = tcp_option__attach(t->skel->progs.option_socket);
		if (!t->option)
			return -errno;
	}
	return 0;
}

static int try_plan(struct tracer *t, const struct tracer_config *config, const struct plan *plan,
		    char *why, size_t why_len)
{
	const char *what = "load";
	int err;

	complaint__forget();
	err = load(t, config, plan);
	if (err)
		goto failed;
	if (signals__pending(config->signal_fd)) { /* to load takes seconds */
		why[0] = '\0';
		err = -ECANCELED;
		goto ended;
	}
	what = "read the ring of";
	t->ring = ring_buffer__new(bpf_map__fd(t->skel->maps.events), on_record, t, NULL);
	if (!t->ring) {
		err = -errno;
		goto failed;
	}
	t->kretprobes = plan->family == HOOKS_KPROBE;
	if (t->kretprobes)
		kretprobes__attach(t->skel->skeleton);
	what = "attach";
	err = spanloom_bpf__attach(t->skel);
	if (err)
		goto failed;
	err = inventory__take(t->skel);
	if (err)
		log_info("tracer", "unix sockets: first requests have no parent by peer: %s",
			 errstr(err));
	err = start_sending(t, config, &what);
	if (err)
		goto failed;
	return 0;
failed:
	complaint__explain(why, why_len, what, err);
ended:
	stop(t);
	return err;
}

/* Socket storage came to fentry programs in 5.11 (8e4597c627fb), to kprobes never. */
static int start(struct tracer *t, const struct tracer_config *config, char *why, size_t why_len)
{
	static const struct plan plans[] = {
		{ HOOKS_TP, true, true },	{ HOOKS_TP, true, false },
		{ HOOKS_FENTRY, true, true },	{ HOOKS_FENTRY, false, true },
		{ HOOKS_KPROBE, false, false },
	};
	bool storage = config->inject || config->tcp_option; /* these need it */
	int err = -ENOTSUP;

	snprintf(why, why_len, "this kernel allows no family of hooks; see \"spanloom check\"");
	for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
		if (plans[i].family != config->family || (storage && !plans[i].use_sk_storage) ||
		    (plans[i].family == HOOKS_TP && plans[i].extras && !config->fentry))
			continue;
		err = try_plan(t, config, &plans[i], why, why_len);
		if (!err || err == -ECANCELED)
			break;
		log_debug("tracer", "%s", why);
	}
	return err;
}

/* A file descriptor to hold, or a negative errno with @why. */
static int claim_host(char *why, size_t why_len)
{
	uint32_t owner = 0;
	int fd = instance__claim(&owner);

	if (fd == -EADDRINUSE)
		snprintf(why, why_len,
			 "another spanloom (pid %u) traces this host already; stop it first",
			 owner);
	else if (fd < 0)
		snprintf(why, why_len, "cannot make sure that no other spanloom runs: %s",
			 errstr(fd));
	return fd;
}

struct tracer *tracer__new(const struct tracer_config *config, tracer_record_fn fn, void *ctx,
			   char *why, size_t why_len)
{
	libbpf_print_fn_t print;
	struct tracer *t;
	int err;

	if (config->port_count > plan__ports_max()) {
		snprintf(why, why_len, "%u ports given: at most %u", config->port_count,
			 plan__ports_max());
		return NULL;
	}
	t = calloc(1, sizeof(*t));
	if (!t) {
		snprintf(why, why_len, "out of memory");
		return NULL;
	}
	t->fn = fn;
	t->ctx = ctx;
	t->claim_fd = claim_host(why, why_len);
	if (t->claim_fd < 0) {
		free(t);
		return NULL;
	}
	raise_limits();
	print = libbpf_set_print(complaint__listen);
	err = start(t, config, why, why_len);
	libbpf_set_print(print);
	malloc_trim(0); /* the kernel's types alone took megabytes, for a moment */
	if (err) {
		tracer__free(t);
		return NULL;
	}
	return t;
}

void tracer__free(struct tracer *t)
{
	if (!t)
		return;
	stop(t);
	close(t->claim_fd);
	free(t);
}

int tracer__fd(const struct tracer *t)
{
	return ring_buffer__epoll_fd(t->ring);
}

int tracer__drain(struct tracer *t)
{
	int err;

	t->drained = 0;
	err = ring_buffer__consume(t->ring);
	return err < 0 && err != DRAIN_STOP ? err : t->drained;
}

void tracer__detach(struct tracer *t)
{
	stop_sending(t);
	spanloom_bpf__detach(t->skel);
}

int tracer__attach(struct tracer *t, const char *program, const char *path, uint64_t offset,
		   bool at_return, struct bpf_link **link)
{
	struct bpf_program *prog = bpf_object__find_program_by_name(t->skel->obj, program);
	libbpf_print_fn_t print;
	int err;

	*link = NULL;
	if (!prog || bpf_program__fd(prog) < 0)
		return -EOPNOTSUPP;
	print = libbpf_set_print(complaint__listen);
	*link = bpf_program__attach_uprobe(prog, at_return, -1, path, offset);
	err = *link ? 0 : -errno;
	libbpf_set_print(print);
	return err;
}

/* The kernel compares epochs only for equality; it must not see the epoch before the entry. */
static void next_epoch(uint32_t *epoch)
{
	__atomic_add_fetch(epoch, 1, __ATOMIC_RELEASE);
}

int tracer__ignore_conn(struct tracer *t, uint64_t conn_id)
{
	uint32_t verdict = VERDICT_IGNORE;
	int err;

	err = bpf_map_update_elem(bpf_map__fd(t->skel->maps.verdicts), &conn_id, &verdict, BPF_ANY);
	if (!err)
		next_epoch(&t->skel->bss->verdict_epoch);
	return err;
}

static int set_scope(struct tracer *t, uint32_t tgid, uint32_t verdict, uint64_t flags)
{
	int err = bpf_map_update_elem(bpf_map__fd(t->skel->maps.scope), &tgid, &verdict, flags);

	if (!err)
		next_epoch(&t->skel->bss->scope_epoch);
	else if (err != -ENOENT)
		log_warn("tracer", "pid=%u: the kernel was not told whether to trace it: %s", tgid,
			 err == -E2BIG ? "too many processes" : errstr(err));
	return err;
}

int tracer__scope(struct tracer *t, uint32_t tgid, uint32_t verdict)
{
	return set_scope(t, tgid, verdict, BPF_ANY);
}

int tracer__rescope(struct tracer *t, uint32_t tgid, uint32_t verdict)
{
	return set_scope(t, tgid, verdict, BPF_EXIST);
}

const volatile uint64_t *tracer__lost_ns(const struct tracer *t)
{
	return (const volatile uint64_t *)&t->skel->bss->ring_full_ns;
}

struct injection *tracer__injection(struct tracer *t)
{
	return t->injection;
}

int tracer__runtime(struct tracer *t, uint32_t tgid, const struct process_runtime *runtime)
{
	int fd = bpf_map__fd(t->skel->maps.runtimes);
	int err;

	if (runtime) {
		err = bpf_map_update_elem(fd, &tgid, runtime, BPF_ANY);
	} else {
		err = bpf_map_delete_elem(fd, &tgid);
		if (err == -ENOENT)
			return 0;
	}
	if (!err)
		next_epoch(&t->skel->bss->runtime_epoch);
	return err;
}

int tracer__sdk_process(struct tracer *t, uint32_t tgid, const struct sdk_process *process)
{
	int fd = bpf_map__fd(t->skel->maps.sdk_processes);
	int err;

	if (process && process->adopted) /* the programs look from now on */
		__atomic_store_n(&t->skel->bss->sdks_adopted, 1, __ATOMIC_RELEASE);
	if (process)
		return bpf_map_update_elem(fd, &tgid, process, BPF_ANY);
	err = bpf_map_delete_elem(fd, &tgid);
	return err == -ENOENT ? 0 : err;
}

/* 0 also where the kernel does not tell (before 5.12, 9ed9e9ba2337). */
static uint64_t missed_by(const struct bpf_program *prog)
{
	struct bpf_prog_info info = { 0 };
	__u32 len = sizeof(info);
	int fd = prog ? bpf_program__fd(prog) : -1;

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len))
		return 0;
	return info.recursion_misses;
}

static bool is_twin(const char *name)
{
	return strncmp(name, "twin_", 5) == 0;
}

/* The program that sees what @name misses, or NULL: "twin_X" for "tp_X" and "X". */
static struct bpf_program *twin_of(const struct tracer *t, const char *name)
{
	char twin[64];

	snprintf(twin, sizeof(twin), "twin_%s", strncmp(name, "tp_", 3) == 0 ? name + 3 : name);
	return bpf_object__find_program_by_name(t->skel->obj, twin);
}

/* Where a program was under way on the processor already; of those that have a twin, at most so
 * many were missed by both. */
static uint64_t runs_missed(const struct tracer *t)
{
	struct bpf_program *prog, *twin;
	uint64_t missed = 0, one, other;

	bpf_object__for_each_program(prog, t->skel->obj)
	{
		if (is_twin(bpf_program__name(prog)))
			continue;
		twin = twin_of(t, bpf_program__name(prog));
		one = missed_by(prog);
		other = missed_by(twin);
		if (twin && bpf_program__fd(twin) >= 0 && other < one)
			one = other;
		missed += one;
	}
	return missed;
}

void tracer__counters(const struct tracer *t, uint64_t out[COUNTERS])
{
	for (unsigned int i = 0; i < COUNTERS; i++) {
		out[i] = 0;
		for (unsigned int row = 0; row < COUNT_ROWS; row++)
			out[i] += t->skel->bss->counts[row][i];
	}
	out[COUNT_PROGRAMS_MISSED] = runs_missed(t);
}
