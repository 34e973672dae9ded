/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Memory to work in while a message is sent.  Unlike a tracing program, the one that sends pass
 * by may be preempted, and run again for another thread on the same processor.  So each run
 * takes a desk of its processor's that nobody sits at, and gives it back.
 */
#ifndef SPANLOOM_INJECT_DESK_BPF_H
#define SPANLOOM_INJECT_DESK_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/chunk.h"
#include "bpf/context.bpf.h"
#include "bpf/head.bpf.h"

#define INJECT_TRACEPARENT_LEN (13 + TRACEPARENT_LEN + 2)
#define INJECT_TEXT_MAX	       (INJECT_TRACEPARENT_LEN + 12 + HEAD_STATE_MAX + 2)
#define INJECT_COPY_MAX	       1024 /* up to here a message is copied with its lines */
#define INJECT_TEXT_ROOM       2048 /* above the sum of these; a power of two */
#define INJECT_CHUNK_VIEW      64   /* bytes that are read at once between chunks; likewise */

struct inject_desk {
	struct open_head open;
	__u32 text_len; /* the header lines, alone or with all of the message */
	__u32 pad;
	__u8 text[INJECT_TEXT_ROOM + 64]; /* copying goes beyond the end */
	struct chunk chunk;		  /* a chunked body ... */
	__u32 at;			  /* ... at this offset of the message, */
	__u32 size;			  /* which has so many bytes */
	__u8 view[INJECT_CHUNK_VIEW];
};

/* Number of a desk -> the desk; never deleted. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HEAD_DESKS);
	__type(key, __u32);
	__type(value, struct inject_desk);
} inject_desks SEC(".maps") __weak;

struct inject_seat {
	struct bpf_spin_lock lock;
	__u32 taken;
};

/* Processor * HEAD_DESKS + number of the desk -> is it taken?  User space sets the bound. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, HEAD_DESKS);
	__type(key, __u32);
	__type(value, struct inject_seat);
} inject_seats SEC(".maps") __weak;

static __always_inline struct inject_seat *inject_desk__seat(__u32 number)
{
	__u32 key = bpf_get_smp_processor_id() * HEAD_DESKS + number;

	return bpf_map_lookup_elem(&inject_seats, &key);
}

static __always_inline struct inject_desk *inject_desk__of(__u32 number)
{
	return bpf_map_lookup_elem(&inject_desks, &number);
}

static __always_inline struct head_work *inject_desk__head(__u32 number)
{
	return head__work(HEAD_SLOT_SEND + number);
}

/* The number of a free desk; HEAD_DESKS: there is none. */
static __always_inline __u32 inject_desk__take(void)
{
	for (__u32 number = 0; number < HEAD_DESKS; number++) {
		struct inject_seat *seat = inject_desk__seat(number);
		__u32 taken;

		if (!seat)
			break;
		bpf_spin_lock(&seat->lock);
		taken = seat->taken;
		seat->taken = 1;
		bpf_spin_unlock(&seat->lock);
		if (!taken)
			return number;
	}
	return HEAD_DESKS;
}

static __always_inline void inject_desk__leave(__u32 number)
{
	struct inject_seat *seat = inject_desk__seat(number);

	if (!seat)
		return;
	bpf_spin_lock(&seat->lock);
	seat->taken = 0;
	bpf_spin_unlock(&seat->lock);
}

#endif
