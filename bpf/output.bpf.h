/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The way out: one ring buffer.  A wake-up per record would cost the traced thread ten times
 * what the record costs, so user space is woken once in wakeup_bytes, and looks in on a timer
 * otherwise.
 *
 * There is no perf buffer beside it: a kernel that has all else that is needed has rings (5.8,
 * 457f44363a88).  bpf_perf_event_output() wants the program's own context, which the one handler
 * behind all hooks does not have, and its global functions cannot be given: each program and what
 * it calls would be there twice.
 */
#ifndef SPANLOOM_OUTPUT_BPF_H
#define SPANLOOM_OUTPUT_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/config.bpf.h"
#include "bpf/count.bpf.h"
#include "bpf/event.h"

#define OUTPUT_HEADER_BYTES 8 /* the ring's own, before each record */

/* Records of event.h; user space sets the size, and frees by reading. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 23);
} events SEC(".maps") __weak;

/* Was a multiple of wakeup_bytes passed by the last @len bytes up to @end? */
static __always_inline __u64 output__wakeup(__u64 end, __u32 len)
{
	__u64 passed = (end ^ (end - len)) & -(__u64)wakeup_bytes;

	return passed ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
}

/*
 * Where @record lies, from some point that is always the same: positions in the ring, but for a
 * constant, and cheaper than to ask for these.  The difference of two pointers is a number to the
 * verifier, a pointer is not.
 */
static __always_inline __u64 output__place(const void *record)
{
	__u64 place = (__u64)record;

	asm("%0 -= %1" : "+r"(place) : "r"(&ring_full_ns));
	return place;
}

static __always_inline void output__lost(__u64 traffic)
{
	if (ring_full_ns != RING_FULL_FOR_GOOD)
		ring_full_ns = bpf_ktime_get_ns();
	count__one(COUNT_RING_FULL);
	count__add(COUNT_RING_FULL_BYTES, traffic);
}

/* What was lost is not told of a second time, and counts from now on. */
static __always_inline void output__lost_for_good(void)
{
	ring_full_ns = RING_FULL_FOR_GOOD;
}

/* A record of the constant size @len to be filled and submitted, or NULL, counted.  @traffic:
 * bytes of traffic that the record stands for. */
static __always_inline void *output__reserve(__u32 len, __u64 traffic)
{
	void *record = bpf_ringbuf_reserve(&events, len, 0);

	if (!record)
		output__lost(traffic);
	return record;
}

/* With the header that stands before it the record ends where the next one's begins. */
static __always_inline void output__submit(void *record, __u32 len)
{
	__u64 end = output__place(record) + len;

	count__one(COUNT_RECORDS);
	bpf_ringbuf_submit(record, output__wakeup(end, len + OUTPUT_HEADER_BYTES));
}

/* Copies a whole record of @len bytes, of which the place is not known: what counts here is how
 * many are to be read.  False: lost, and counted. */
static __always_inline bool output__copy(void *record, __u32 len, __u64 traffic)
{
	__u64 filled = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) + len;

	if (bpf_ringbuf_output(&events, record, len, output__wakeup(filled, len))) {
		output__lost(traffic);
		return false;
	}
	count__one(COUNT_RECORDS);
	return true;
}

#endif
