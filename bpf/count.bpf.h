/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel's counters, one per name in event.h. */
#ifndef SPANLOOM_COUNT_BPF_H
#define SPANLOOM_COUNT_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/config.bpf.h"
#include "bpf/event.h"

/* Atomic, because a program in a softirq may interrupt one of the same CPU, and because CPUs may
 * share a row.  Of an atomic addition of 0 clang makes an atomic "or", which 5.10 does not know. */
static __always_inline void count__add(enum counter counter, __u64 n)
{
	__u32 row = bpf_get_smp_processor_id() & (COUNT_ROWS - 1);

	if (n)
		__sync_fetch_and_add(&counts[row][counter], n);
}

static __always_inline void count__one(enum counter counter)
{
	count__add(counter, 1);
}

#endif
