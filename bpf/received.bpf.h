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

struct received_header {
	__u8 trace_id[16];
	__u8 parent_id[8];
	__u32 tgid;
	__u32 pad;
};

/* -> 1.  User space sets the bound where headers are injected; the newest take the place of the
 * oldest: what is not known any more goes out as it is. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct received_header);
	__type(value, __u32);
} received SEC(".maps") __weak;

/* The header of the head in @slot (enum head_slot), and the current process.  False: it has none. */
static __always_inline bool received__key(__u32 slot, struct received_header *key)
{
	const struct head_work *work = head__work(slot);
	struct traceparent parent;

	if (!work || !head__context(&work->head, &parent))
		return false;
	__builtin_memcpy(key->trace_id, parent.trace_id, sizeof(key->trace_id));
	__builtin_memcpy(key->parent_id, parent.parent_id, sizeof(key->parent_id));
	key->tgid = bpf_get_current_pid_tgid() >> 32;
	key->pad = 0;
	return true;
}

/* The current process has received a request with the header @trace_id, @parent_id: of 16 and 8
 * bytes.  This and the next are functions of their own for their stack. */
static __noinline int received__add(const __u8 *trace_id, const __u8 *parent_id)
{
	struct received_header key = {};
	__u32 yes = 1;

	__builtin_memcpy(key.trace_id, trace_id, sizeof(key.trace_id));
	__builtin_memcpy(key.parent_id, parent_id, sizeof(key.parent_id));
	key.tgid = bpf_get_current_pid_tgid() >> 32;
	bpf_map_update_elem(&received, &key, &yes, BPF_ANY);
	return 0;
}

/* 1: the current process was given the header of the head in @slot. */
__weak int received__has(__u32 slot)
{
	struct received_header key;

	return received__key(slot, &key) && bpf_map_lookup_elem(&received, &key);
}

#endif
