/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The headers that processes were given: one that a process sends again is passed on, and not
 * written by a tracer in it, whichever of its requests it is from.
 */
#ifndef SPANLOOM_RECEIVED_BPF_H
#define SPANLOOM_RECEIVED_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/head.bpf.h"
#include "bpf/traceparent.h"
#include "bpf/word.h"

#define RECEIVED_BUCKETS 2048 /* a power of two */
#define RECEIVED_WAYS	 4    /* likewise */

struct received_header {
	__u64 trace_id[2]; /* as they stand in memory */
	__u64 parent_id;
	__u64 check; /* of them and of whose they are: two that write at once leave no third */
};

struct received_bucket {
	struct received_header header[RECEIVED_WAYS];
	__u64 next; /* to be written */
};

/* By a hash of the header.  User space leaves one where no headers are injected; the newest take the
 * place of the oldest: what is not known any more goes out as it is. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RECEIVED_BUCKETS);
	__type(key, __u32);
	__type(value, struct received_bucket);
} received SEC(".maps") __weak;

static __always_inline struct received_bucket *received__bucket(const struct received_header *h)
{
	__u32 key = h->check >> 32 & (RECEIVED_BUCKETS - 1);

	return bpf_map_lookup_elem(&received, &key);
}

static __always_inline bool received__holds(const struct received_bucket *bucket,
					    const struct received_header *h)
{
	for (int i = 0; i < RECEIVED_WAYS; i++) {
		const struct received_header *known = &bucket->header[i];

		if (known->check == h->check && known->parent_id == h->parent_id &&
		    known->trace_id[0] == h->trace_id[0] && known->trace_id[1] == h->trace_id[1])
			return true;
	}
	return false;
}

/* Of the current process, with the ids of 16 and 8 bytes. */
static __always_inline struct received_header received__header(const __u8 *trace_id,
							       const __u8 *parent_id)
{
	struct received_header h = {
		.trace_id = { word__load(trace_id), word__load(trace_id + 8) },
		.parent_id = word__load(parent_id),
	};

	h.check = (h.trace_id[0] * 0x9e3779b97f4a7c15ULL + h.trace_id[1]) * 0xbf58476d1ce4e5b9ULL;
	h.check += h.parent_id + (bpf_get_current_pid_tgid() >> 32);
	h.check *= 0x9e3779b97f4a7c15ULL;
	return h;
}

/* The current process has received a request with that header. */
static __always_inline void received__add(const __u8 *trace_id, const __u8 *parent_id)
{
	struct received_header h = received__header(trace_id, parent_id);
	struct received_bucket *bucket = received__bucket(&h);

	if (bucket && !received__holds(bucket, &h))
		bucket->header[bucket->next++ & (RECEIVED_WAYS - 1)] = h;
}

/* 1: the current process was given the header of the head in @slot (enum head_slot).  A function of
 * its own for its stack. */
__weak int received__has(__u32 slot)
{
	const struct head_work *work = head__work(slot);
	const struct received_bucket *bucket;
	struct received_header h;
	struct traceparent parent;

	if (!work || !head__context(&work->head, &parent))
		return 0;
	h = received__header(parent.trace_id, parent.parent_id);
	bucket = received__bucket(&h);
	return bucket && received__holds(bucket, &h);
}

#endif
