// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/cpython_files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utlist.h>

#include "user/base/hash.h"
#include "user/kernel/cpython.h"
#include "user/kernel/detach.h"
#include "user/kernel/tracer.h"
#include "user/log.h"

#define FILES_MAX     256   /* different builds on one host */
#define PROCESSES_MAX 65536 /* that are remembered; of others forked ones are not looked at */

/* When a program is looked at again, in ticks. */
static const unsigned int looks[] = { 2, 5, 10, 20, 50, 100, 300, 600 };

#define LOOKS	      (sizeof(looks) / sizeof(looks[0]))
#define LOOKS_FOR_ANY 2 /* then a program without CPython is taken for another one */

struct process {
	UT_hash_handle hh;
	uint32_t pid;
	unsigned int ticks;
	unsigned int look;	     /* the next one in @looks; LOOKS: there is none */
	bool told;		     /* the kernel knows that it runs CPython, ... */
	bool uvloop;		     /* ... and that with uvloop */
	struct process *prev, *next; /* those to be looked at again */
};

/* One that is being watched, or cannot be. */
struct file {
	uint64_t dev;
	uint64_t inode;
	int err;
	int fd; /* while watched: the kernel knows the file by it (user/kernel/attachment.c) */
	struct bpf_link *links[CPYTHON_PROBES_MAX];
};

struct cpython_files {
	struct tracer *tracer;
	struct process *by_pid;
	struct process *waiting;
	size_t count;
	struct file list[FILES_MAX];
};

/* ---- files ------------------------------------------------------------------------------ */

/* All of them, or none. */
static int attach_all(struct cpython_files *files, struct file *file,
		      const struct cpython_probes *probes)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file->fd);
	for (size_t i = 0; i < probes->count; i++) {
		const struct cpython_probe *p = &probes->probe[i];
		int err = tracer__attach(files->tracer, p->program, path, p->offset, p->at_return,
					 &file->links[i]);

		if (!err)
			continue;
		detach__later(file->links, i);
		memset(file->links, 0, sizeof(file->links));
		return err;
	}
	return 0;
}

/* By a descriptor of our own: the process by which the file is found may end any time. */
static int attach(struct cpython_files *files, struct file *file, const char *path,
		  const struct cpython_probes *probes)
{
	struct stat st;
	int err = 0;

	file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (file->fd < 0)
		return -errno;
	if (fstat(file->fd, &st) || !S_ISREG(st.st_mode))
		err = -EBADMSG;
	if (!err)
		err = attach_all(files, file, probes);
	if (err)
		close(file->fd);
	return err;
}

static bool is_final(int err)
{
	return err != -EAGAIN && err != -ENOENT && err != -ESRCH;
}

static int watch(struct cpython_files *files, const struct cpython *python, enum cpython_file which)
{
	static const char *const names[CPYTHON_FILES] = { "interpreter", "asyncio", "uvloop" };
	struct file *file = &files->list[files->count];
	struct cpython_probes probes;
	char path[96];
	int err;

	if (files->count == FILES_MAX)
		return -ENOSPC;
	memset(file, 0, sizeof(*file));
	err = cpython__probes(python, which, &probes);
	mapped__path(&python->file[which], python->pid, path, sizeof(path));
	if (!err)
		err = attach(files, file, path, &probes);
	if (!is_final(err))
		return err;
	file->dev = python->file[which].dev;
	file->inode = python->file[which].inode;
	file->err = err;
	files->count++;
	if (err)
		log_debug("cpython", "pid %u: the %s of CPython 3.%u cannot be watched: %s",
			  python->pid, names[which], python->minor, errstr(err));
	return err;
}

/*
 *	0	the file is watched
 *	-EAGAIN	the process has not loaded it, so far
 */
static int watch_once(struct cpython_files *files, const struct cpython *python,
		      enum cpython_file which)
{
	const struct mapped *file = &python->file[which];

	if (!file->count)
		return -EAGAIN;
	for (size_t i = 0; i < files->count; i++)
		if (files->list[i].inode == file->inode && files->list[i].dev == file->dev)
			return files->list[i].err;
	return watch(files, python, which);
}

static int tell_python(struct cpython_files *files, struct process *p, const struct cpython *python)
{
	bool uvloop = watch_once(files, python, CPYTHON_UVLOOP) == 0;
	struct process_runtime runtime;
	int err;

	if (p->told && p->uvloop == uvloop)
		return 0;
	err = cpython__runtime(python, uvloop, &runtime);
	if (!err)
		err = tracer__runtime(files->tracer, p->pid, &runtime);
	if (err)
		return err;
	p->told = true;
	p->uvloop = uvloop;
	return 0;
}

/* Returns whether another look may tell more.  A program that has not loaded asyncio has nothing
 * that contexts are needed for, and one that has it built in makes contexts that are not seen. */
static bool look_for_python(struct cpython_files *files, struct process *p)
{
	struct cpython python;
	int err;

	err = cpython__locate(p->pid, &python);
	if (err)
		return p->look < LOOKS_FOR_ANY;
	err = watch_once(files, &python, CPYTHON_INTERPRETER);
	if (!err)
		err = watch_once(files, &python, CPYTHON_ASYNCIO);
	if (!err)
		err = tell_python(files, p, &python);
	if (err == -EAGAIN)
		return true;
	if (err)
		log_debug("cpython", "pid %u: the contexts of CPython 3.%u are not known: %s",
			  p->pid, python.minor, errstr(err));
	return !err && !p->uvloop;
}

/* ---- processes -------------------------------------------------------------------------- */

static void process__done(struct cpython_files *files, struct process *p)
{
	if (p->look == LOOKS)
		return;
	p->look = LOOKS;
	DL_DELETE(files->waiting, p);
}

static void process__begin(struct cpython_files *files, struct process *p)
{
	process__done(files, p);
	p->look = 0;
	p->ticks = 0;
	p->told = false;
	DL_APPEND(files->waiting, p);
	if (!look_for_python(files, p))
		process__done(files, p);
}

static struct process *process__add(struct cpython_files *files, uint32_t pid)
{
	struct process *p;

	HASH_FIND_INT(files->by_pid, &pid, p);
	if (p || HASH_COUNT(files->by_pid) == PROCESSES_MAX)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->pid = pid;
	p->look = LOOKS;
	HASH_ADD_INT(files->by_pid, pid, p);
	if (hash__has(&p->hh))
		return p;
	free(p);
	return NULL;
}

struct cpython_files *cpython_files__new(struct tracer *tracer)
{
	struct cpython_files *files = calloc(1, sizeof(*files));

	if (files)
		files->tracer = tracer;
	return files;
}

void cpython_files__free(struct cpython_files *files)
{
	struct process *p, *next;

	if (!files)
		return;
	HASH_ITER (hh, files->by_pid, p, next) {
		HASH_DEL(files->by_pid, p);
		free(p);
	}
	for (size_t i = 0; i < files->count; i++) {
		if (files->list[i].err)
			continue;
		detach__now(files->list[i].links, CPYTHON_PROBES_MAX);
		close(files->list[i].fd);
	}
	free(files);
}

void cpython_files__process(struct cpython_files *files, uint32_t pid)
{
	struct process *p = process__add(files, pid);

	if (p)
		process__begin(files, p);
}

void cpython_files__connection(struct cpython_files *files, uint32_t pid)
{
	struct process *p;

	HASH_FIND_INT(files->by_pid, &pid, p);
	if (!p)
		cpython_files__process(files, pid);
}

void cpython_files__exit(struct cpython_files *files, uint32_t pid)
{
	struct process *p;

	HASH_FIND_INT(files->by_pid, &pid, p);
	if (!p)
		return;
	process__done(files, p);
	HASH_DEL(files->by_pid, p);
	free(p);
}

void cpython_files__tick(struct cpython_files *files)
{
	struct process *p, *next;

	DL_FOREACH_SAFE (files->waiting, p, next) {
		if (++p->ticks < looks[p->look])
			continue;
		if (!look_for_python(files, p) || p->look + 1 == LOOKS)
			process__done(files, p);
		else
			p->look++;
	}
}
