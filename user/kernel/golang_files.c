// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/golang_files.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/base/hash.h"
#include "user/kernel/detach.h"
#include "user/kernel/golang.h"
#include "user/kernel/tracer.h"
#include "user/log.h"

#define FILES_MAX 256 /* different programs; those that no longer run make room */
#define AUXV_MAX  64

/* The same file, not written to meanwhile. */
struct file_name {
	uint64_t dev, inode, size;
	struct timespec changed;
};

struct file {
	struct file_name name;
	bool used, attached;
	unsigned int processes; /* that run it */
	uint64_t last_used;	/* files.uses at the time */
	struct golang go;
	int fd; /* while attached: the kernel knows the file by it (user/kernel/attachment.c) */
	struct bpf_link *links[GOLANG_PROBES_MAX]; /* of go.probes; NULL: refused */
};

struct process {
	UT_hash_handle hh;
	uint32_t pid;
	struct file *file;
};

struct golang_files {
	struct tracer *tracer;
	struct process *processes;
	uint64_t uses;
	struct file files[FILES_MAX];
};

struct golang_files *golang_files__new(struct tracer *tracer)
{
	struct golang_files *files = calloc(1, sizeof(*files));

	if (files)
		files->tracer = tracer;
	return files;
}

void golang_files__free(struct golang_files *files)
{
	struct process *process, *next;

	if (!files)
		return;
	HASH_ITER (hh, files->processes, process, next) {
		HASH_DEL(files->processes, process);
		free(process);
	}
	for (size_t i = 0; i < FILES_MAX; i++)
		if (files->files[i].attached) {
			detach__now(files->files[i].links, files->files[i].go.probe_count);
			close(files->files[i].fd);
		}
	free(files);
}

static bool same_name(const struct file_name *a, const struct file_name *b)
{
	return a->dev == b->dev && a->inode == b->inode && a->size == b->size &&
	       a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

static struct file *find(struct golang_files *files, const struct file_name *name)
{
	for (size_t i = 0; i < FILES_MAX; i++)
		if (files->files[i].used && same_name(&files->files[i].name, name))
			return &files->files[i];
	return NULL;
}

/* The place of a file that nobody runs; NULL: there are too many that run. */
static struct file *make_room(struct golang_files *files)
{
	struct file *oldest = NULL;

	for (size_t i = 0; i < FILES_MAX; i++) {
		struct file *file = &files->files[i];

		if (!file->processes && (!oldest || file->last_used < oldest->last_used))
			oldest = file;
	}
	return oldest;
}

static void attach(struct golang_files *files, struct file *file, uint32_t pid, int fd)
{
	char path[32];

	if (file->attached || !file->go.probe_count)
		return;
	file->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (file->fd < 0) {
		log_debug("golang", "pid %u: no probes: %s", pid, errstr(errno));
		return;
	}
	file->attached = true;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file->fd);
	for (unsigned int i = 0; i < file->go.probe_count; i++) {
		const struct golang_probe *probe = &file->go.probes[i];
		int err = tracer__attach(files->tracer, probe->program, path, probe->offset, false,
					 &file->links[i]);

		if (err)
			log_debug("golang", "pid %u: no probe %s: %s; calls have no parents there",
				  pid, probe->program, errstr(err));
	}
}

static void say(const struct golang *go, uint32_t pid)
{
	const char *obstacle = golang__obstacle(go);

	if (obstacle)
		log_debug("golang", "pid %u: Go 1.%u: %s; its calls have no parents", pid,
			  go->minor, obstacle);
	else
		log_debug("golang", "pid %u: Go 1.%u, %s symbols, %u functions watched", pid,
			  go->minor, go->allp ? "with" : "without", go->probe_count);
}

/* What is known of the open file @fd, which @pid runs; NULL: errno is set. */
static struct file *file_of(struct golang_files *files, uint32_t pid, int fd)
{
	struct file_name name;
	struct file *file;
	struct golang go;
	struct stat st;

	if (fstat(fd, &st))
		return NULL;
	name = (struct file_name){ st.st_dev, st.st_ino, (uint64_t)st.st_size, st.st_ctim };
	file = find(files, &name);
	if (file) {
		attach(files, file, pid, fd);
		return file;
	}
	errno = -golang__read(fd, &go);
	if (errno)
		return NULL;
	file = make_room(files);
	if (!file) {
		errno = ENOSPC;
		return NULL;
	}
	*file = (struct file){ .name = name, .used = true, .go = go };
	attach(files, file, pid, fd);
	say(&go, pid);
	return file;
}

/* Where the program's first instruction is in memory; 0: not known. */
static uint64_t read_entry(uint32_t pid)
{
	Elf64_auxv_t auxv[AUXV_MAX];
	char path[PATH_MAX];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/auxv", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	len = read(fd, auxv, sizeof(auxv));
	close(fd);
	for (size_t i = 0; len > 0 && i < (size_t)len / sizeof(auxv[0]); i++)
		if (auxv[i].a_type == AT_ENTRY)
			return auxv[i].a_un.a_val;
	return 0;
}

/* A probe holds its file, and the file system that it is on: not for longer than it is needed. */
static void release(struct file *file)
{
	if (--file->processes || !file->attached)
		return;
	detach__later(file->links, file->go.probe_count);
	close(file->fd);
	file->attached = false;
}

/* @pid runs it, and is counted already. */
static int remember(struct golang_files *files, uint32_t pid, struct file *file)
{
	struct process *process = calloc(1, sizeof(*process));

	if (!process)
		return -ENOMEM;
	process->pid = pid;
	process->file = file;
	HASH_ADD_INT(files->processes, pid, process);
	if (!hash__has(&process->hh)) {
		free(process);
		return -ENOMEM;
	}
	file->last_used = ++files->uses;
	return 0;
}

/* The file that @pid runs, counted as such; NULL: errno is set. */
static struct file *hold(struct golang_files *files, uint32_t pid)
{
	struct file *file;
	char path[64];
	int fd, err;

	snprintf(path, sizeof(path), "/proc/%u/exe", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return NULL;
	file = file_of(files, pid, fd);
	err = errno;
	close(fd);
	if (file)
		file->processes++;
	errno = err;
	return file;
}

int golang_files__process(struct golang_files *files, uint32_t pid, struct process_runtime *runtime)
{
	struct file *file = hold(files, pid);
	int err = errno;
	uint64_t entry;

	golang_files__exit(files, pid); /* the program before, perhaps of the same file */
	if (!file)
		return -err;
	entry = read_entry(pid);
	err = entry ? remember(files, pid, file) : -ESRCH;
	if (err) {
		release(file);
		return err;
	}
	return golang__runtime(&file->go, entry - file->go.entry, runtime);
}

void golang_files__exit(struct golang_files *files, uint32_t pid)
{
	struct process *process;

	HASH_FIND_INT(files->processes, &pid, process);
	if (!process)
		return;
	release(process->file);
	HASH_DEL(files->processes, process);
	free(process);
}
