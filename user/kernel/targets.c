// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/targets.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <unistd.h>

#include "user/kernel/cpython_files.h"
#include "user/kernel/golang_files.h"
#include "user/kernel/tracer.h"
#include "user/log.h"

struct targets {
	struct tracer *tracer;
	struct golang_files *golang;
	struct cpython_files *cpython; /* NULL: not wanted */
};

static void targets__scan(struct targets *t)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	if (!proc) {
		log_warn("targets",
			 "/proc cannot be listed: %s; calls of programs that run already have no "
			 "parents where these take knowledge of the runtime",
			 errstr(errno));
		return;
	}
	while ((entry = readdir(proc)))
		if (isdigit((unsigned char)entry->d_name[0]))
			targets__process(t, (uint32_t)strtoul(entry->d_name, NULL, 10));
	closedir(proc);
}

struct targets *targets__new(struct tracer *tracer, bool python)
{
	struct targets *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->tracer = tracer;
	t->golang = golang_files__new(tracer);
	if (python)
		t->cpython = cpython_files__new(tracer);
	if (!t->golang || (python && !t->cpython)) {
		targets__free(t);
		return NULL;
	}
	targets__scan(t);
	return t;
}

void targets__free(struct targets *t)
{
	if (!t)
		return;
	golang_files__free(t->golang);
	cpython_files__free(t->cpython);
	free(t);
}

void targets__process(struct targets *t, uint32_t pid)
{
	struct process_runtime runtime;
	int err = golang_files__process(t->golang, pid, &runtime);

	/* Also where its goroutines are not known: no thread is an activity of a Go program. */
	if (!err || err == -ENOTSUP) {
		err = tracer__runtime(t->tracer, pid, &runtime);
	} else {
		err = tracer__runtime(t->tracer, pid, NULL);
		if (t->cpython)
			cpython_files__process(t->cpython, pid);
	}
	if (err)
		log_warn("targets",
			 "pid=%u: the kernel was not told of its runtime: %s; its calls have no "
			 "parents where these take knowledge of that",
			 pid, err == -E2BIG ? "too many processes" : errstr(err));
}

void targets__connection(struct targets *t, uint32_t pid)
{
	if (t->cpython)
		cpython_files__connection(t->cpython, pid);
}

void targets__tick(struct targets *t)
{
	if (t->cpython)
		cpython_files__tick(t->cpython);
}

void targets__exit(struct targets *t, uint32_t pid)
{
	if (t->cpython)
		cpython_files__exit(t->cpython, pid);
	golang_files__exit(t->golang, pid);
	tracer__runtime(t->tracer, pid, NULL);
}
