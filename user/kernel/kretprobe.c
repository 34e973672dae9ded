// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/kretprobe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "user/base/slice.h"
#include "user/log.h"

#define TRACEFS	 "/sys/kernel/tracing"
#define EVENTS	 TRACEFS "/kprobe_events"
#define GROUP	 "spanloom"
#define SECTION	 "kretprobe/"
#define CALLS	 4096 /* that may be under way at once: as many as the kernel allows */
#define TEXT_MAX 256  /* of what we write and read here */

/* 0 or a negative errno. */
static int tell_kernel(const char *line)
{
	int fd = open(EVENTS, O_WRONLY | O_APPEND | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, line, strlen(line)) < 0)
		err = -errno;
	close(fd);
	return err;
}

/* The number of the tracepoint that the event @name is, or a negative errno. */
static int64_t event_id(const char *name)
{
	char path[TEXT_MAX], text[24];
	int64_t id = -EIO;
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), TRACEFS "/events/" GROUP "/%s/id", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	len = read(fd, text, sizeof(text));
	close(fd);
	if (len > 1)
		id = slice__number(slice__of(text, (size_t)len - 1)); /* without the newline */
	return id < 0 ? -EIO : id;
}

/* The link to the event @name in @link.  0 or a negative errno. */
static int attach_event(const struct bpf_program *prog, const char *name, struct bpf_link **link)
{
	struct perf_event_attr attr = { .size = sizeof(attr), .type = PERF_TYPE_TRACEPOINT };
	int64_t id = event_id(name);
	int fd, err;

	if (id < 0)
		return (int)id;
	attr.config = (uint64_t)id;
	/* A program runs on all processors, whichever the event is opened for. */
	fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return -errno;
	*link = bpf_program__attach_perf_event(prog, fd);
	if (*link)
		return 0;
	err = -errno;
	close(fd);
	return err;
}

static int attach(struct bpf_program *prog, struct bpf_link **link)
{
	const char *function = bpf_program__section_name(prog) + strlen(SECTION);
	char name[64], line[TEXT_MAX];
	int err;

	/* Another agent may run in another network namespace. */
	snprintf(name, sizeof(name), "%s_%d", bpf_program__name(prog), getpid());
	snprintf(line, sizeof(line), "r%d:" GROUP "/%s %s\n", CALLS, name, function);
	err = tell_kernel(line);
	if (!err)
		err = attach_event(prog, name, link);
	if (!err)
		bpf_program__set_autoattach(prog, false);
	return err;
}

void kretprobes__attach(const struct bpf_object_skeleton *skeleton)
{
	int err = 0;

	kretprobes__sweep();
	for (int i = 0; i < skeleton->prog_cnt && !err; i++) {
		struct bpf_program *prog = *skeleton->progs[i].prog;
		const char *section = bpf_program__section_name(prog);

		if (bpf_program__autoload(prog) && strncmp(section, SECTION, strlen(SECTION)) == 0)
			err = attach(prog, skeleton->progs[i].link);
	}
	if (err)
		log_warn("tracer",
			 "%s: %s: receives are missed while more threads wait for data than there "
			 "are processors; mount tracefs there, writable",
			 EVENTS, errstr(err));
}

/* Takes the event away that @event, a line "r4096:spanloom/NAME FUNCTION", is of, if it is one of
 * ours.  That of another agent that lives the kernel refuses to. */
static void sweep(struct slice event)
{
	struct slice name = slice__skip(event, slice__find(event, ':') + 1);
	char line[TEXT_MAX];

	name = slice__head(name, slice__find(name, ' '));
	if (!slice__starts(name, slice__str(GROUP "/")))
		return;
	snprintf(line, sizeof(line), "-:%.*s\n", (int)name.len, name.data);
	tell_kernel(line);
}

void kretprobes__sweep(void)
{
	FILE *events = fopen(EVENTS, "re");
	struct slice rest = {};
	char *text = NULL;
	size_t size = 0;

	if (!events)
		return;
	/* All of it first: where the next read goes on is counted in events, and one that is taken
	 * away meanwhile hides another. */
	if (getdelim(&text, &size, '\0', events) > 0)
		rest = slice__str(text);
	fclose(events);
	for (; rest.len; rest = slice__skip(rest, slice__find(rest, '\n') + 1))
		sweep(slice__head(rest, slice__find(rest, '\n')));
	free(text);
}
