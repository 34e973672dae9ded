/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Request heads at work in the kernel.  The loops are functions of their own that are given the
 * number of a slot, for the reasons that payload.bpf.h tells.
 */
#ifndef SPANLOOM_HEAD_BPF_H
#define SPANLOOM_HEAD_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/head.h"

#define HEAD_DESKS 4 /* sends on one processor that may be worked on at once */

/* Who scans.  Of two programs that may interrupt one another each has its own. */
enum head_slot {
	HEAD_SLOT_RECV,
	HEAD_SLOT_SEND, /* and those behind: see inject_desk.bpf.h */
	/* receives, see twin.bpf.h */
	HEAD_SLOT_TWIN = HEAD_SLOT_SEND + HEAD_DESKS,
	HEAD_SLOTS,
};

/* enum head_slot -> the head at work.  User space cuts off the last where there is no twin. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HEAD_SLOTS);
	__type(key, __u32);
	__type(value, struct head_work);
} heads __weak SEC(".maps");

static __always_inline struct head_work *head__work(__u32 slot)
{
	return bpf_map_lookup_elem(&heads, &slot);
}

/* What the verifier takes at once. */
#define HEAD_PART(part)                                                                            \
	__weak int head__##part##_slot(__u32 slot)                                                 \
	{                                                                                          \
		struct head_work *w = head__work(slot);                                            \
                                                                                                   \
		if (w)                                                                             \
			head__##part(w);                                                           \
		return 0;                                                                          \
	}

HEAD_PART(lines)
HEAD_PART(sort)
HEAD_PART(read)
HEAD_PART(read_frames)
HEAD_PART(read_states)
HEAD_PART(members)
HEAD_PART(members_over)
#undef HEAD_PART

/* head__normalise() of the head in @slot. */
__weak int head__normalise_slot(__u32 slot)
{
	struct head_work *w = head__work(slot);

	if (!w || !w->head.state_len)
		return 0;
	head__members_begin(w);
	for (int i = 0; i < HEAD_STATE_STRETCHES; i++) {
		if (w->members.at >= w->head.state_len || w->members.bad)
			break;
		head__members_slot(slot);
	}
	head__members_over_slot(slot);
	return 0;
}

/* head__scan() of the bytes in @slot. */
__weak int head__scan_slot(__u32 slot)
{
	struct head_work *w = head__work(slot);

	if (!w)
		return 0;
	if (!head__begin(w))
		return w->used;
	head__find(w);
	for (int i = 0; i < HEAD_STRETCHES; i++) {
		head__lines_slot(slot);
		if (w->over)
			break;
	}
	head__sort_slot(slot);
	head__read_slot(slot);
	if (w->found[HEAD_LENGTH] || w->found[HEAD_CODING])
		head__read_frames_slot(slot);
	if (w->found[HEAD_STATE] || w->rest_kind == HEAD_STATE)
		head__read_states_slot(slot);
	return head__end(w);
}

#endif
