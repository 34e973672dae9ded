// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/process_facts.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/kernel/first_environ.h"

#define SECTIONS_MAX 512
/* Fields of /proc/PID/stat, counted from 1. */
#define START_TIME_FIELD 22
#define STACK_FIELD	 28

static ssize_t read_full(int fd, char *buf, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, buf + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

ssize_t process_facts__file(int dir, const char *path, char *buf, size_t size)
{
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t len;

	buf[0] = '\0';
	if (fd < 0)
		return -errno;
	len = read_full(fd, buf, size - 1);
	close(fd);
	buf[len > 0 ? len : 0] = '\0';
	return len;
}

static int open_dir(const char *proc_root, uint32_t pid)
{
	char path[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof(path), "%s/%u", proc_root, pid) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* "pid (comm) state ...": comm may hold spaces and brackets, but no field after it does.
 * The number in field @which, 0 when unknown. */
static uint64_t read_stat(int dir, int which, char comm[EVENT_COMM_LEN])
{
	char text[1024], *open, *close;
	struct slice name, rest;
	ssize_t len = process_facts__file(dir, "stat", text, sizeof(text));

	comm[0] = '\0';
	open = len > 0 ? strchr(text, '(') : NULL;
	close = open ? strrchr(open, ')') : NULL;
	if (!close)
		return 0;
	name = slice__head(slice__of(open + 1, (size_t)(close - open - 1)), EVENT_COMM_LEN - 1);
	memcpy(comm, name.data, name.len);
	comm[name.len] = '\0';

	rest = slice__skip(slice__str(close), 2);
	for (int field = 3; field < which; field++)
		rest = slice__skip(rest, slice__find(rest, ' ') + 1);
	rest = slice__head(rest, slice__find(rest, ' '));
	return slice__number(rest) > 0 ? (uint64_t)slice__number(rest) : 0;
}

/* The text after "Name:" of a line of /proc/PID/status; empty when there is none. */
static struct slice status_line(struct slice text, struct slice name)
{
	while (text.len) {
		struct slice line = slice__head(text, slice__find(text, '\n'));

		if (slice__starts(line, name))
			return slice__trim(slice__skip(line, name.len));
		text = slice__skip(text, line.len + 1);
	}
	return slice__of(NULL, 0);
}

static void read_status(struct process_facts *facts, int dir)
{
	char text[8192] = "";
	ssize_t len = process_facts__file(dir, "status", text, sizeof(text));
	struct slice all = slice__of(text, len > 0 ? (size_t)len : 0);
	struct slice uids = status_line(all, SLICE("Uid:"));
	struct slice pids = status_line(all, SLICE("NSpid:"));
	int64_t uid = slice__number(slice__head(uids, slice__find(uids, '\t')));
	size_t tab;

	facts->uid_known = uid >= 0 && uid < UINT32_MAX;
	facts->uid = facts->uid_known ? (uint32_t)uid : 0;
	facts->vpid = 0;
	/* one pid per namespace, the innermost last */
	while ((tab = slice__find(pids, '\t')) < pids.len) {
		int64_t pid;

		pids = slice__skip(pids, tab + 1);
		pid = slice__number(slice__head(pids, slice__find(pids, '\t')));
		facts->vpid = pid > 0 && pid <= INT32_MAX ? (uint32_t)pid : 0;
	}
}

/* A file that was replaced while it runs reads "/usr/sbin/nginx (deleted)". */
static int read_exe(int dir, char exe[PATH_MAX])
{
	const struct slice deleted = SLICE(" (deleted)");
	ssize_t len = readlinkat(dir, "exe", exe, PATH_MAX - 1);
	struct slice path;

	if (len < 0) {
		exe[0] = '\0';
		return -errno;
	}
	path = slice__of(exe, (size_t)len);
	if (path.len > deleted.len && slice__eq(slice__skip(path, path.len - deleted.len), deleted))
		path.len -= deleted.len;
	exe[path.len] = '\0';
	return 0;
}

static bool read_at(int fd, void *buf, size_t len, uint64_t offset)
{
	return offset <= INT64_MAX && pread(fd, buf, len, (off_t)offset) == (ssize_t)len;
}

static bool has_go_section(int fd, const Elf64_Ehdr *elf, Elf64_Shdr *sections, char *names,
			   size_t names_size)
{
	const Elf64_Shdr *table = &sections[elf->e_shstrndx];
	size_t len;

	if (!read_at(fd, sections, elf->e_shnum * sizeof(*sections), elf->e_shoff))
		return false;
	len = table->sh_size < names_size ? (size_t)table->sh_size : names_size;
	if (len == 0 || !read_at(fd, names, len, table->sh_offset))
		return false;
	names[len - 1] = '\0';
	for (unsigned int i = 0; i < elf->e_shnum; i++)
		if (sections[i].sh_name < len &&
		    strcmp(names + sections[i].sh_name, ".go.buildinfo") == 0)
			return true;
	return false;
}

/* Every Go program has the section ".go.buildinfo", stripped or not.  Borrows facts->environ
 * as room to read into. */
static bool is_go(struct process_facts *facts, int dir)
{
	const size_t sections_bytes = SECTIONS_MAX * sizeof(Elf64_Shdr);
	Elf64_Ehdr elf;
	struct stat st;
	bool go = false;
	int fd = openat(dir, "exe", O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	_Static_assert(SECTIONS_MAX * sizeof(Elf64_Shdr) < FACTS_ENVIRON_BYTES, "room for names");
	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && read_at(fd, &elf, sizeof(elf), 0) &&
	    memcmp(elf.e_ident, ELFMAG, SELFMAG) == 0 && elf.e_ident[EI_CLASS] == ELFCLASS64 &&
	    elf.e_shentsize == sizeof(Elf64_Shdr) && elf.e_shnum <= SECTIONS_MAX &&
	    elf.e_shstrndx < elf.e_shnum)
		go = has_go_section(fd, &elf, (Elf64_Shdr *)(void *)facts->environ,
				    facts->environ + sections_bytes,
				    sizeof(facts->environ) - sections_bytes);
	close(fd);
	return go;
}

static void read_cgroup(struct process_facts *facts, int dir)
{
	char text[8192];
	ssize_t len = process_facts__file(dir, "cgroup", text, sizeof(text));

	cgroup__ids(slice__of(text, len > 0 ? (size_t)len : 0), &facts->cgroup);
}

/* 0 or more, or a negative errno. */
static ssize_t read_environ(struct process_facts *facts, int dir)
{
	ssize_t len = process_facts__file(dir, "environ", facts->environ, sizeof(facts->environ));
	char comm[EVENT_COMM_LEN];

	facts->environ_len = len > 0 ? (size_t)len : 0;
	if (first_environ__is_gone(slice__of(facts->environ, facts->environ_len)))
		facts->environ_len = first_environ__read(dir, read_stat(dir, STACK_FIELD, comm),
							 facts->environ, sizeof(facts->environ));
	return len;
}

void process_facts__read(struct process_facts *facts, const char *proc_root, uint32_t pid)
{
	int dir = open_dir(proc_root, pid);
	ssize_t len;

	memset(facts, 0, offsetof(struct process_facts, environ));
	facts->pid = pid;
	if (dir < 0) {
		facts->err = -ENOENT;
		return;
	}
	facts->start_ticks = read_stat(dir, START_TIME_FIELD, facts->comm);
	read_status(facts, dir);
	read_cgroup(facts, dir);
	facts->err = read_exe(dir, facts->exe);
	facts->go = is_go(facts, dir);
	len = read_environ(facts, dir);
	if (facts->start_ticks == 0)
		facts->err = -ENOENT;
	else if (facts->err == -EPERM || facts->err == -EACCES || len == -EACCES || len == -EPERM)
		facts->err = -EACCES;
	else
		facts->err = 0; /* a kernel thread or a zombie has no program */
	close(dir);
}

uint64_t process_facts__start(const char *proc_root, uint32_t pid)
{
	char comm[EVENT_COMM_LEN];
	int dir = open_dir(proc_root, pid);
	uint64_t start;

	if (dir < 0)
		return 0;
	start = read_stat(dir, START_TIME_FIELD, comm);
	close(dir);
	return start;
}

bool process_facts__exe(const char *proc_root, uint32_t pid, char exe[PATH_MAX])
{
	int dir = open_dir(proc_root, pid);
	int err;

	exe[0] = '\0';
	if (dir < 0)
		return false;
	err = read_exe(dir, exe);
	close(dir);
	return !err;
}

struct slice process_facts__env(const struct process_facts *facts, struct slice name)
{
	struct slice rest = slice__of(facts->environ, facts->environ_len);

	while (rest.len) {
		size_t end = slice__find(rest, '\0');
		struct slice var = slice__head(rest, end);

		/* the last string of an environment that is too long for us may be cut */
		if (end == rest.len && facts->environ_len == sizeof(facts->environ) - 1)
			break;
		if (var.len > name.len && slice__starts(var, name) && var.data[name.len] == '=')
			return slice__skip(var, name.len + 1);
		rest = slice__skip(rest, end + 1);
	}
	return slice__of(NULL, 0);
}
