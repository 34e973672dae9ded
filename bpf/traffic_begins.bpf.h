/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A send begins: what the receiver on this host, or the wire, must know before the first byte is on
 * its way.  Its end is handled in traffic.bpf.h.
 */
#ifndef SPANLOOM_TRAFFIC_BEGINS_BPF_H
#define SPANLOOM_TRAFFIC_BEGINS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/activity_find.bpf.h"
#include "bpf/bystander.bpf.h"
#include "bpf/classify.bpf.h"
#include "bpf/config.bpf.h"
#include "bpf/conn.bpf.h"
#include "bpf/context.bpf.h"
#include "bpf/event.h"
#include "bpf/inject.bpf.h"
#include "bpf/option.bpf.h"
#include "bpf/pair.bpf.h"
#include "bpf/sdk.bpf.h"

/* Whoever receives the call on this host must know its context then. */
static __always_inline void traffic__call(struct sock *sk, struct conn *conn, __u64 thread)
{
	struct event_data data = {};
	bool known;

	activity__find(sk, conn, thread, &data);
	if (sdk__adopted(thread >> 32)) /* its spans are not ours, nor are their ids */
		return;
	known = context__called(conn->id, conn->pos[DIR_SEND], data.ref_conn, data.ref_pos);
	conn->context_ref = data.ref;
	if (known)
		conn->marks |= CONN_CALLED;
	if (option_wanted)
		option__send(sk, conn, known);
}

/*
 * Is this the send that has begun, and is under way?  It passes the tracepoint with each segment
 * that it makes.  On a socket whose requests get a header each piece of a send looks like one: there
 * nobody can tell, and what went by is found at its end.
 */
static __always_inline bool traffic__goes_on(struct sock *sk, const struct conn *conn, __u32 end)
{
	if (!conn->send_start_ns)
		return false;
	if (!misses_possible || conn->send_end == end)
		return true;
	return inject_wanted && bpf_sk_storage_get(&injections, sk, NULL, 0);
}

/* A send begins that has @left bytes to go, or goes on. */
static __always_inline void traffic__begins(struct sock *sk, __u32 left)
{
	volatile struct bystander *place = bystander__place(sk);
	__u64 thread = bpf_get_current_pid_tgid();
	__u32 end;
	struct conn *conn;

	if (bystander__is_out(place, sk, scope__key(thread >> 32)))
		return;
	conn = conn__find(sk);
	/* Of a server's sends the end is what counts: the response is over then. */
	if (!conn || conn->state == CONN_IGNORED || conn->role == ROLE_SERVER ||
	    !conn__in_scope(conn, thread >> 32))
		return;
	conn__settle(conn, sk, place, DIR_SEND);
	end = pair__end(sk, left);
	if (traffic__goes_on(sk, conn, end))
		return;
	pair__catch_up(sk, conn, DIR_SEND, 0);
	conn->send_end = end;
	if (conn->send_start_ns) /* nothing went by: what began has moved nothing yet */
		return;
	conn->send_start_ns = bpf_ktime_get_ns();
	conn->marks &= ~CONN_CALLED;
	if (conn->last_dir == DIR_SEND || conn->side == ROLE_SERVER)
		return;
	pair__tell(sk, 0, conn->id, conn->pos[DIR_SEND]);
	if (contexts_wanted &&
	    (option_wanted || conn->state != CONN_BOUND || classify__is_web(conn->proto)))
		traffic__call(sk, conn, thread);
}

#endif
