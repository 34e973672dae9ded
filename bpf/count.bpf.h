/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel's counters, one per name in event.h. */
#ifndef SPANLOOM_COUNT_BPF_H
#define SPANLOOM_COUNT_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/event.h"

/* enum counter -> events; one entry per name, never deleted. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps") __weak;

/* Atomic, because a program in a softirq may interrupt one of the same CPU.  Of an atomic
 * addition of 0 clang makes an atomic "or", which 5.10 does not know. */
static __always_inline void count__add(enum counter counter, __u64 n)
{
	__u32 key = counter;
	__u64 *value = bpf_map_lookup_elem(&counters, &key);

	if (value && n)
		__sync_fetch_and_add(value, n);
}

static __always_inline void count__one(enum counter counter)
{
	count__add(counter, 1);
}

#endif
