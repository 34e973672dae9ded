/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Processes that were started for a request: an heir works for the request that its parent's
 * thread served when it forked.
 *
 * A worker of a pool is started in the same way, by the request that happens to need it first,
 * and then has others' jobs.  It gets them by something it shares with its parent: memory,
 * which ends with exec(), or an inlet, a file that both know and that brings it bytes.  So an
 * heir is certain when it has executed a program and holds no inlet then, and so are all
 * processes that come of it.  It is none any more when it serves others itself.  Threads always
 * share memory: they are heirs only where likely links are wanted.
 */
#ifndef SPANLOOM_HEIR_BPF_H
#define SPANLOOM_HEIR_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/config.bpf.h"
#include "bpf/conn.bpf.h"

#define HEIR_FILES     64 /* that are looked at; who has more is not certain */
#define HEIR_FDS_WORDS 64 /* of 64 file descriptors each, that may be unused */
#define FMODE_READ     1
#define MAJOR_MEMORY   1 /* /dev/null and its kin; a terminal is an inlet */

struct heir {
	struct activity_key served_by; /* who served the request when it forked */
	__u64 conn_id;		       /* the request */
	__u64 pos;
	__u64 certain;
};

/* tgid, or pid of a thread -> what it has inherited.  Fork adds, its end deletes; of too many
 * the oldest go. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 2048);
	__type(key, __u32);
	__type(value, struct heir);
} heirs SEC(".maps") __weak;

/* What @thread (pid_tgid) or its process has inherited; NULL: nothing. */
static __always_inline struct heir *heir__of(__u64 thread)
{
	__u32 pid = thread, tgid = thread >> 32;
	struct heir *heir = NULL;

	if (!heirs_made)
		return NULL;
	if (likely_links && pid != tgid)
		heir = bpf_map_lookup_elem(&heirs, &pid);
	return heir ? heir : bpf_map_lookup_elem(&heirs, &tgid);
}

static __always_inline void heir__forget(__u32 pid)
{
	if (heirs_made)
		bpf_map_delete_elem(&heirs, &pid);
}

static __always_inline void heir__add(__u32 pid, const struct heir *heir)
{
	if (!bpf_map_update_elem(&heirs, &pid, heir, BPF_ANY))
		heirs_made = 1;
}

static __always_inline struct file *heir__file(struct fdtable *table, __u32 fd)
{
	struct file *file = NULL, **open = BPF_CORE_READ(table, fd);

	if (fd >= BPF_CORE_READ(table, max_fds))
		return NULL;
	bpf_probe_read_kernel(&file, sizeof(file), open + fd);
	return file;
}

/* Can bytes of another process come in by this open file? */
static __always_inline bool heir__is_inlet(struct file *file)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);

	switch (BPF_CORE_READ(inode, i_mode) & S_IFMT) {
	case S_IFIFO:
		return BPF_CORE_READ(file, f_mode) & FMODE_READ;
	case S_IFCHR:
		return BPF_CORE_READ(inode, i_rdev) >> 20 != MAJOR_MEMORY;
	case S_IFREG:
	case S_IFDIR:
		return false;
	default:
		return true;
	}
}

/* Standard input, output and error that are the parent's own bring nothing for the child. */
static __always_inline bool heir__is_parents(struct task_struct *task, __u32 fd,
					     const struct file *file)
{
	return fd < 3 && heir__file(BPF_CORE_READ(task, real_parent, files, fdt), fd) == file;
}

/* One word of the bitmap of open files; an unreadable one has all. */
static __always_inline __u64 heir__open_files(struct fdtable *table, __u32 word)
{
	unsigned long *bitmap = BPF_CORE_READ(table, open_fds);
	__u64 bits;

	if (bpf_probe_read_kernel(&bits, sizeof(bits), bitmap + word))
		return ~0ULL;
	return bits;
}

static __always_inline bool heir__has_many_files(struct fdtable *table)
{
	__u32 words = BPF_CORE_READ(table, max_fds) / HEIR_FILES;

	if (words > HEIR_FDS_WORDS)
		return true;
	for (__u32 i = 1; i < HEIR_FDS_WORDS; i++) {
		if (i < words && heir__open_files(table, i))
			return true;
	}
	return false;
}

static __always_inline bool heir__has_inlet(struct task_struct *task)
{
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	__u64 bits = heir__open_files(table, 0);

	if (heir__has_many_files(table))
		return true;
	for (__u32 fd = 0; fd < HEIR_FILES; fd++) {
		struct file *file = bits >> fd & 1 ? heir__file(table, fd) : NULL;

		if (file && heir__is_inlet(file) && !heir__is_parents(task, fd, file))
			return true;
	}
	return false;
}

/* The current process has executed a program: what was to be closed then is closed. */
static __always_inline void heir__executes(struct task_struct *task)
{
	struct heir *heir = heir__of(bpf_get_current_pid_tgid());

	if (heir && !heir->certain)
		heir->certain = !heir__has_inlet(task);
}

#endif
