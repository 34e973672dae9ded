/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Processes that make spans themselves: their requests get no headers of ours.  Who lists the maps
 * of the programs finds the list here, and only the kernel is sure to see their end. */
#ifndef SPANLOOM_SDK_BPF_H
#define SPANLOOM_SDK_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/config.bpf.h"
#include "bpf/event.h"

/* tgid -> struct sdk_process.  User space adds, and says so when there is no room; exec (user space)
 * and exit (both: user space may add behind the kernel's back) delete. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct sdk_process);
} sdk_processes SEC(".maps") __weak;

/* Is @tgid left to its SDK?  An id of ours would be of a span that nobody makes. */
static __always_inline bool sdk__adopted(__u32 tgid)
{
	const struct sdk_process *process;

	if (!sdks_adopted)
		return false;
	process = bpf_map_lookup_elem(&sdk_processes, &tgid);
	return process && process->adopted;
}

static __always_inline void sdk__forget(__u32 tgid)
{
	bpf_map_delete_elem(&sdk_processes, &tgid);
}

#endif
