/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What /proc tells of one process.  All reads are bounded, and go through one handle of the
 * process's directory, so that no other process of the same pid can mix in.
 */
#ifndef SPANLOOM_PROCESS_FACTS_H
#define SPANLOOM_PROCESS_FACTS_H

#include <limits.h>
#include <sys/types.h>

#include "bpf/event.h"
#include "user/kernel/cgroup.h"

#define FACTS_ENVIRON_BYTES (128 * 1024)

struct process_facts {
	uint32_t pid;
	int err; /* 0, -ENOENT when the process is gone, -EACCES when parts are hidden */
	uint64_t start_ticks; /* since boot; 0 when unknown */
	bool uid_known;
	uint32_t uid;
	uint32_t vpid; /* in its own pid namespace; 0 when that is the host's */
	bool go;       /* built by the Go toolchain */
	char comm[EVENT_COMM_LEN];
	char exe[PATH_MAX]; /* "" when unknown */
	struct cgroup_ids cgroup;
	size_t environ_len;
	char environ[FACTS_ENVIRON_BYTES]
		__attribute__((aligned(8))); /* NUL-terminated strings; the last one may be cut */
};

/* Everything of @pid. */
void process_facts__read(struct process_facts *facts, const char *proc_root, uint32_t pid);

/* When the process started, in ticks since boot; 0 when it is gone. */
uint64_t process_facts__start(const char *proc_root, uint32_t pid);

/* Path of the process's program; false when it is unknown. */
bool process_facts__exe(const char *proc_root, uint32_t pid, char exe[PATH_MAX]);

/* Value of a variable of the process's environment; empty when not set. */
struct slice process_facts__env(const struct process_facts *facts, struct slice name);

/* Reads a file of at most @size - 1 bytes under the directory @dir (or AT_FDCWD); what is
 * longer is cut.  NUL-terminates.  The length or a negative errno. */
ssize_t process_facts__file(int dir, const char *path, char *buf, size_t size);

#endif
