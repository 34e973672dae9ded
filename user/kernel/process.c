// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/process.h"

#include <errno.h>
#include <fnmatch.h>
#include <sys/queue.h>

#include "user/base/hash.h"
#include "user/base/pairs.h"
#include "user/kernel/host.h"
#include "user/kernel/process_facts.h"
#include "user/kernel/process_resource.h"
#include "user/log.h"

#define PROCESSES_MAX 8192
#define LINGER_NS     5000000000ULL  /* an ended process is known so long */
#define RECHECK_NS    10000000000ULL /* a lost exit record is noticed after so long */

struct process {
	uint32_t pid;
	bool decided; /* @wanted and @resource are valid */
	bool wanted;
	bool ended;
	uint64_t start_ticks;	   /* 0: /proc did not tell */
	uint64_t since_ns;	   /* ended: when; else last compared with /proc */
	struct resource *resource; /* NULL when not wanted */
	char comm[EVENT_COMM_LEN]; /* of the last exec, or "" */
	char path[EVENT_PATH_LEN];
	TAILQ_ENTRY(process) order;
	UT_hash_handle hh;
};

TAILQ_HEAD(process_list, process);

struct processes {
	const struct processes_config *config;
	struct process *by_pid;
	struct process_list live;  /* least recently used first */
	struct process_list ended; /* longest ended first */
	uint64_t now_ns;
	bool warned_hidden;
	struct host host;
	struct process_facts facts; /* scratch */
};

/* Says once what is wrong with the agent's own attributes, instead of for each process. */
static void check_common_attributes(const struct processes_config *config)
{
	struct slice rest = slice__str(config->resource_attributes);
	struct arena text;
	struct pair pair;
	int err;

	arena__init(&text, FACTS_ENVIRON_BYTES);
	do {
		err = pairs__next(&rest, &text, &pair);
	} while (err == 1);
	arena__reset(&text);
	if (err)
		log_warn("process", "OTEL_RESOURCE_ATTRIBUTES of the agent left out: %s",
			 errstr(err));
}

struct processes *processes__new(const struct processes_config *config)
{
	struct processes *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->config = config;
	TAILQ_INIT(&p->live);
	TAILQ_INIT(&p->ended);
	host__read(&p->host, config->proc_root);
	check_common_attributes(config);
	return p;
}

static struct process_list *process__list(struct processes *p, struct process *proc)
{
	return proc->ended ? &p->ended : &p->live;
}

static void processes__drop(struct processes *p, struct process *proc)
{
	TAILQ_REMOVE(process__list(p, proc), proc, order);
	HASH_DEL(p->by_pid, proc); /* NOLINT(clang-analyzer-core.NullDereference): it is in there */
	resource__put(proc->resource);
	free(proc);
}

void processes__free(struct processes *p)
{
	struct process *proc, *next;

	if (!p)
		return;
	HASH_ITER (hh, p->by_pid, proc, next)
		processes__drop(p, proc);
	host__free(&p->host);
	free(p);
}

static struct process *processes__find(struct processes *p, uint32_t pid)
{
	struct process *proc = TAILQ_LAST(&p->live, process_list);

	if (proc && proc->pid == pid) /* the one that was asked for last */
		return proc;
	HASH_FIND(hh, p->by_pid, &pid, sizeof(pid), proc);
	return proc;
}

static void processes__make_room(struct processes *p)
{
	if (HASH_COUNT(p->by_pid) < PROCESSES_MAX)
		return;
	processes__drop(p, TAILQ_EMPTY(&p->ended) ? TAILQ_FIRST(&p->live) : TAILQ_FIRST(&p->ended));
}

static struct process *processes__add(struct processes *p, uint32_t pid)
{
	struct process *proc;

	processes__make_room(p);
	proc = calloc(1, sizeof(*proc));
	if (!proc)
		return NULL;
	proc->pid = pid;
	HASH_ADD(hh, p->by_pid, pid, sizeof(proc->pid), proc);
	if (!hash__has(&proc->hh)) {
		free(proc);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&p->live, proc, order);
	return proc;
}

/* To the end of the list of its state. */
static void process__move(struct processes *p, struct process *proc, bool ended)
{
	if (proc->ended == ended && !TAILQ_NEXT(proc, order))
		return;
	TAILQ_REMOVE(process__list(p, proc), proc, order);
	proc->ended = ended;
	TAILQ_INSERT_TAIL(process__list(p, proc), proc, order);
}

/* Another program runs under this pid from now on. */
static void process__renew(struct processes *p, struct process *proc)
{
	resource__put(proc->resource);
	proc->resource = NULL;
	proc->decided = false;
	proc->start_ticks = 0;
	proc->comm[0] = '\0';
	proc->path[0] = '\0';
	process__move(p, proc, false);
}

static bool globs__match(char *const *globs, const char *path)
{
	const char *name = process_resource__basename(path);

	for (; *globs; globs++)
		if (fnmatch(*globs, path, 0) == 0 || fnmatch(*globs, name, 0) == 0)
			return true;
	return false;
}

static bool config__wants(const struct processes_config *config, uint32_t pid, const char *path)
{
	if (pid == config->self_pid)
		return false;
	if (config->exclude_exe_globs && globs__match(config->exclude_exe_globs, path))
		return false;
	return !config->exe_globs || globs__match(config->exe_globs, path);
}

/* The best name for a process of which /proc has no program any more.  @stat_comm: the name of
 * its first thread, @comm: of the one that the record is of; either may be empty. */
static const char *process__fallback(const struct process *proc, const char *stat_comm,
				     const char *comm)
{
	if (proc->path[0])
		return proc->path;
	if (stat_comm[0])
		return stat_comm;
	return proc->comm[0] ? proc->comm : comm;
}

static void processes__warn_hidden(struct processes *p, const struct process_facts *facts)
{
	if (facts->err != -EACCES || p->warned_hidden)
		return;
	p->warned_hidden = true;
	log_warn("process",
		 "pid=%u: its program or environment is hidden, so its service may be named "
		 "wrongly: "
		 "run with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH",
		 facts->pid);
}

static void processes__decide(struct processes *p, struct process *proc, const char *comm)
{
	struct process_facts *facts = &p->facts;
	const char *fallback;

	process_facts__read(facts, p->config->proc_root, proc->pid);
	processes__warn_hidden(p, facts);
	fallback = process__fallback(proc, facts->comm, comm);
	proc->start_ticks = facts->start_ticks;
	proc->wanted = config__wants(p->config, proc->pid, facts->exe[0] ? facts->exe : fallback);
	proc->resource =
		proc->wanted ? process_resource__new(p->config, &p->host, facts, fallback) : NULL;
	/* without memory it is tried again with the next record */
	proc->decided = proc->resource || !proc->wanted;
	proc->since_ns = p->now_ns;
	process__move(p, proc, proc->ended || facts->err == -ENOENT);
}

/* Has the pid gone to another process, of whose birth no record told? */
static bool processes__reused(struct processes *p, struct process *proc)
{
	uint64_t start;

	if (!proc->ended && p->now_ns - proc->since_ns < RECHECK_NS)
		return false;
	if (!proc->ended)
		proc->since_ns = p->now_ns;
	start = process_facts__start(p->config->proc_root, proc->pid);
	return start && start != proc->start_ticks;
}

struct resource *processes__resource(struct processes *p, uint32_t pid, const char *comm)
{
	struct process *proc;

	if (pid == p->config->self_pid)
		return NULL;
	proc = processes__find(p, pid);
	if (!proc)
		proc = processes__add(p, pid);
	if (!proc)
		return NULL;
	if (proc->decided && processes__reused(p, proc))
		process__renew(p, proc);
	else if (!proc->ended)
		process__move(p, proc, false);
	if (!proc->decided)
		processes__decide(p, proc, comm);
	return proc->resource ? resource__get(proc->resource) : NULL;
}

void processes__exec(struct processes *p, uint32_t pid, const char *path, const char *comm)
{
	struct process *proc = processes__find(p, pid);

	if (proc)
		process__renew(p, proc);
	else
		proc = processes__add(p, pid);
	if (!proc)
		return; /* no memory: /proc will be asked instead */
	snprintf(proc->path, sizeof(proc->path), "%s", path);
	snprintf(proc->comm, sizeof(proc->comm), "%s", comm);
}

void processes__exit(struct processes *p, uint32_t pid)
{
	struct process *proc = processes__find(p, pid);

	if (!proc || proc->ended)
		return;
	process__move(p, proc, true);
	proc->since_ns = p->now_ns;
}

bool processes__wanted(struct processes *p, uint32_t pid)
{
	const struct processes_config *config = p->config;
	struct process *proc;

	if (pid == config->self_pid)
		return false;
	if (!config->exe_globs && !config->exclude_exe_globs)
		return true;
	proc = processes__find(p, pid);
	if (proc && proc->decided)
		return proc->wanted;
	if (process_facts__exe(config->proc_root, pid, p->facts.exe))
		return config__wants(config, pid, p->facts.exe);
	return config__wants(config, pid, proc ? process__fallback(proc, "", "") : "");
}

bool processes__injected(struct processes *p, uint32_t pid)
{
	char *const *globs = p->config->inject_exclude_globs;

	if (!globs)
		return true;
	/* Of a program without a name nobody can say that it is not excluded. */
	return process_facts__exe(p->config->proc_root, pid, p->facts.exe) &&
	       !globs__match(globs, p->facts.exe);
}

void processes__tick(struct processes *p, uint64_t now_ns)
{
	struct process *proc;

	p->now_ns = now_ns;
	while ((proc = TAILQ_FIRST(&p->ended)) && now_ns - proc->since_ns >= LINGER_NS)
		processes__drop(p, proc);
}
