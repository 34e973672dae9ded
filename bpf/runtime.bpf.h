/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The runtimes of processes, as user space has found them out. */
#ifndef SPANLOOM_RUNTIME_BPF_H
#define SPANLOOM_RUNTIME_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/config.bpf.h"
#include "bpf/count.bpf.h"
#include "bpf/event.h"

/* tgid -> struct process_runtime.  User space adds and deletes, and lets it grow where it may: uprobes
 * read it, and before 6.1 the kernel warns of maps there that are not preallocated. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, __u32);
	__type(value, struct process_runtime);
} runtimes SEC(".maps") __weak;

/* NULL: nothing is known of it. */
static __always_inline const struct process_runtime *runtime__of(__u32 tgid)
{
	return runtime_epoch ? bpf_map_lookup_elem(&runtimes, &tgid) : NULL;
}

/* A process that is forked has all of its parent's memory at the same addresses. */
static __always_inline void runtime__inherit(__u32 parent, __u32 child)
{
	const struct process_runtime *runtime = runtime__of(parent);
	struct process_runtime copy;

	if (!runtime)
		return;
	copy = *runtime;
	if (bpf_map_update_elem(&runtimes, &child, &copy, BPF_ANY))
		count__one(COUNT_RUNTIME_FULL);
}

/* Here, too: the record of the end may be lost, and the pid becomes another's. */
static __always_inline void runtime__forget(__u32 tgid)
{
	if (runtime_epoch)
		bpf_map_delete_elem(&runtimes, &tgid);
}

#endif
