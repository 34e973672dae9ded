/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The activity: what serves one request at a time, here the thread.  A call that a thread makes
 * belongs to the request that the thread is serving, but only when that is exactly one: a
 * thread with several requests open is an event loop, and whose call it is cannot be known
 * from the thread, not even when all others have their responses: they may still be at work.
 *
 * A request is open from its receipt until the first bytes of its response.  All that are open
 * are kept as sums, so that the last one left can be read off them; whoever reads them while
 * another processor changes them gets a place at which no request stands, and no link.
 */
#ifndef SPANLOOM_ACTIVITY_BPF_H
#define SPANLOOM_ACTIVITY_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/conn.bpf.h"
#include "bpf/count.bpf.h"
#include "bpf/event.h"

struct activity {
	__u64 conn_id; /* sum over the open requests */
	__u64 pos;     /* likewise */
	__s64 open;    /* how many there are */
	__u64 mixed;   /* there were several, and not none since */
};

/* Thread (pid_tgid) -> what it serves.  Made by its first request, deleted when it ends. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct activity);
} activities SEC(".maps") __weak;

static __always_inline void activity__change(struct activity *a, __u64 conn_id, __u64 pos, __s64 by)
{
	__sync_fetch_and_add(&a->conn_id, by * conn_id);
	__sync_fetch_and_add(&a->pos, by * pos);
	__sync_fetch_and_add(&a->open, by);
}

/* The request of @conn has its response, or will have none. */
static __always_inline void activity__end(struct conn *conn)
{
	__u64 thread = conn->served_by;
	struct activity *a;

	if (!thread)
		return;
	conn->served_by = 0;
	a = bpf_map_lookup_elem(&activities, &thread);
	if (!a)
		return;
	activity__change(a, conn->id, conn->request_pos, -1);
	if (!a->open)
		a->mixed = 0;
}

/* @thread (pid_tgid) has received the request that begins at @pos. */
static __always_inline void activity__begin(struct conn *conn, __u64 thread, __u64 pos)
{
	struct activity idle = {}, *a;

	activity__end(conn);
	a = bpf_map_lookup_elem(&activities, &thread);
	if (!a) {
		bpf_map_update_elem(&activities, &thread, &idle, BPF_NOEXIST);
		a = bpf_map_lookup_elem(&activities, &thread);
	}
	if (!a) {
		count__one(COUNT_ACTIVITY_FULL);
		return;
	}
	conn->served_by = thread;
	conn->request_pos = pos;
	activity__change(a, conn->id, pos, 1);
	if (a->open > 1)
		a->mixed = 1;
}

/* Which request does @thread serve?  Nothing changes when that is not exactly one. */
static __always_inline void activity__find(__u64 thread, struct event_data *data)
{
	const struct activity *a = bpf_map_lookup_elem(&activities, &thread);

	if (!a || a->open != 1 || a->mixed)
		return;
	data->ref = REF_THREAD;
	data->ref_conn = a->conn_id;
	data->ref_pos = a->pos;
}

static __always_inline void activity__forget(__u64 thread)
{
	bpf_map_delete_elem(&activities, &thread);
}

#endif
