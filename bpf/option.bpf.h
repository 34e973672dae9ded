/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The trace context of a call in an option of the TCP segment that its message begins with: for
 * any protocol, and read only where the other host runs spanloom, too.
 *
 *	kind	length	magic	trace id	span id of the call
 *	253	28	2 bytes	16 bytes	8 bytes
 *
 * Beside timestamps TCP has just this room: the flags are told by the magic (RFC 6994), and
 * there is none for tracestate.
 *
 * The sequence number of the segment says which message is meant, so only a segment that begins
 * with a message gets one.  Where a network card cuts up a large segment it copies the option
 * to every piece: of equal ones the first in the stream counts.
 */
#ifndef SPANLOOM_OPTION_BPF_H
#define SPANLOOM_OPTION_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/context.bpf.h"
#include "bpf/count.bpf.h"
#include "bpf/payload.bpf.h"

#define OPTION_KIND  253
#define OPTION_MAGIC 0x5370 /* and the W3C flags, CONTEXT_SAMPLED and CONTEXT_RANDOM */
#define OPTION_FLAGS (CONTEXT_SAMPLED | CONTEXT_RANDOM)
#define OPTION_SLOTS 4 /* a power of two */

struct tcp_option {
	__u8 kind;
	__u8 len;
	__u8 magic[2];
	__u8 trace_id[16];
	__u8 span_id[8];
};

_Static_assert(sizeof(struct tcp_option) == 28, "tcp_option goes out on the wire");

struct option_slot {
	__u64 where; /* sequence number of the message, flags above it, and a bit that is set */
	__u64 id[3]; /* trace and span, as on the wire */
	__u64 check; /* of the four: who reads does not wait for who writes */
};

#define OPTION_SLOT_USED (1ULL << 63)

struct option_ring {
	struct option_slot slot[OPTION_SLOTS]; /* the newest messages */
	__u32 next;			       /* slot to be written */
	__u8 shared; /* another's program asked for the option callbacks before us */
	__u8 room;   /* segments are cut so that it fits */
	__u8 pad[2];
};

/*
 * Of a client's socket: what goes out.  Of a server's: what came.  A client's is made when it
 * connects, a server's with the first option that comes; freed with the socket.
 */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct option_ring);
} options SEC(".maps") __weak;

static __always_inline __u64 option__check(const struct option_slot *s)
{
	__u64 x = s->where * 0x9e3779b97f4a7c15ULL;

	x = (x ^ s->id[0]) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ s->id[1]) * 0x94d049bb133111ebULL;
	return (x ^ s->id[2]) * 0x9e3779b97f4a7c15ULL;
}

static __always_inline __u32 option__seq(const struct option_slot *s)
{
	return s->where;
}

static __always_inline __u8 option__flags(const struct option_slot *s)
{
	return s->where >> 32 & OPTION_FLAGS;
}

static __always_inline void option__place(struct option_slot *s, __u32 seq, __u8 flags)
{
	s->where = OPTION_SLOT_USED | (__u64)(flags & OPTION_FLAGS) << 32 | seq;
	s->check = option__check(s);
}

static __always_inline struct option_slot *option__next(struct option_ring *ring)
{
	return &ring->slot[ring->next++ & (OPTION_SLOTS - 1)];
}

static __always_inline struct option_slot *option__newest(struct option_ring *ring)
{
	return &ring->slot[(ring->next - 1) & (OPTION_SLOTS - 1)];
}

/* A client begins to send a message: its context, when it is @known, goes out with the first
 * byte. */
static __always_inline void option__send(struct sock *sk, struct conn *conn, bool known)
{
	const struct trace_context *context = NULL;
	struct option_ring *ring = bpf_sk_storage_get(&options, sk, NULL, 0);
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);
	struct option_slot *slot;

	if (!ring || !tcp)
		return;
	if (known)
		context = context__find(conn->id, conn->pos[DIR_SEND]);
	if (!context) {
		count__one(COUNT_OPTION_NO_CONTEXT);
		return;
	}
	slot = option__next(ring);
	__builtin_memcpy(&slot->id[0], context->trace_id, sizeof(context->trace_id));
	__builtin_memcpy(&slot->id[2], context->span_id, sizeof(context->span_id));
	option__place(slot, tcp->write_seq, context->flags);
	conn->context_sent = 1;
	count__one(COUNT_OPTION_CALLS);
}

/* A server has received @size bytes: with which context, at which of them? */
static __always_inline void option__receive(struct sock *sk, struct transfer *t, __u32 size)
{
	struct option_ring *ring = bpf_sk_storage_get(&options, sk, NULL, 0);
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);
	__u32 start, before, first = size;

	if (!ring || !tcp)
		return;
	start = tcp->copied_seq - size;
	for (int i = 0; i < OPTION_SLOTS; i++) {
		struct option_slot seen = ring->slot[i];

		before = option__seq(&seen) - start;
		if (!seen.where || before >= first || seen.check != option__check(&seen))
			continue;
		first = before;
		t->context_pos = t->data.pos + before;
		t->context.flags = option__flags(&seen);
		__builtin_memcpy(t->context.trace_id, &seen.id[0], sizeof(t->context.trace_id));
		__builtin_memcpy(t->context.parent_id, &seen.id[2], sizeof(t->context.parent_id));
		t->has_context = 1;
	}
}

/* These two fill in a record, zeroed but for its head. */
static __always_inline void option__tell_sent(struct event_context *event, const struct conn *conn,
					      const struct trace_context *context,
					      const struct event_data *data)
{
	event->pos = context->pos;
	__builtin_memcpy(event->trace_id, context->trace_id, sizeof(event->trace_id));
	__builtin_memcpy(event->span_id, context->span_id, sizeof(event->span_id));
	__builtin_memcpy(event->parent_id, context->parent_id, sizeof(event->parent_id));
	event->flags = context->flags;
	event->ref = conn->context_ref;
	event->ref_conn = data->ref_conn;
	event->ref_pos = data->ref_pos;
}

static __always_inline void option__tell_received(struct event_context *event,
						  const struct transfer *t)
{
	event->pos = t->context_pos;
	__builtin_memcpy(event->trace_id, t->context.trace_id, sizeof(event->trace_id));
	__builtin_memcpy(event->parent_id, t->context.parent_id, sizeof(event->parent_id));
	event->flags = t->context.flags;
	event->ref = REF_OPTION;
	count__one(COUNT_OPTION_TAKEN);
}

#endif
