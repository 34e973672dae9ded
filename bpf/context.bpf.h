/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The trace context of requests, for what is sent on their behalf: it must be ready before the
 * next packet leaves.
 *
 *	received	a traceparent of its own (that of the client's send, where we have put it
 *			in), else that of a TCP option, else that of the client's send (same
 *			host), else a new trace with the sampler's decision
 *	called		that of the request which the caller serves, else a new trace
 *
 * User space comes to the same ids from the same facts (bpf/ids.h); for what was sent on the
 * wire it is told them.  Nothing here runs unless contexts_wanted.
 */
#ifndef SPANLOOM_CONTEXT_BPF_H
#define SPANLOOM_CONTEXT_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/config.bpf.h"
#include "bpf/conn.bpf.h"
#include "bpf/event.h"
#include "bpf/fastcgi_params.bpf.h"
#include "bpf/head.bpf.h"
#include "bpf/ids.h"
#include "bpf/payload.bpf.h"
#include "bpf/received.bpf.h"
#include "bpf/traceparent.h"

#define CONTEXT_SAMPLED 0x01
#define CONTEXT_RANDOM	0x02
#define CONTEXT_WINDOWS 4 /* of HEAD_WINDOW bytes that are read of one receive */

struct trace_context {
	__u64 conn_id; /* whose this memory is now: places are given to others when room ends */
	__u64 pos;     /* of the request, in the direction from its client to its server */
	__u8 trace_id[16];
	__u8 span_id[8];   /* of the request's own span */
	__u8 parent_id[8]; /* all zero: it is a root */
	__u8 flags;	   /* W3C: CONTEXT_SAMPLED, CONTEXT_RANDOM */
	__u8 known;
	__u16 state_len;
	__u8 carried; /* a call's: it is in the one traceparent header of the request */
	__u8 pad[3];
	__u64 ref_conn; /* a call's: the request that it is made for, or 0 */
	__u64 ref_pos;
	__u8 state[HEAD_STATE_MAX]; /* tracestate */
};

/* conn_id -> the context of its newest request.  User space sets the bound where contexts are
 * wanted; the newest take the place of the oldest. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct trace_context);
} contexts SEC(".maps") __weak;

/* A head of which more is to come. */
struct open_head {
	struct head head;
	__u64 pos;	/* of the request */
	__u64 ref_conn; /* the client's send, or 0 */
	__u64 ref_pos;
	__u64 has_option;
	struct traceparent option; /* that came with the request */
	struct fastcgi_walk walk;  /* where the head is one of FastCGI */
};

/* conn_id -> what was read of a head that came in pieces.  Bound as above; deleted with the
 * head's end. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct open_head);
} open_heads SEC(".maps") __weak;

/* 1: by a twin -> where one is put together. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct open_head);
} open_scratch SEC(".maps") __weak;

static const struct trace_context context_unknown;

/* Of the one whose head is at work in @slot. */
static __always_inline struct open_head *context__scratch(__u32 slot)
{
	__u32 twin = slot == HEAD_SLOT_TWIN;

	return bpf_map_lookup_elem(&open_scratch, &twin);
}

/* NULL: not known, or no more. */
static __always_inline struct trace_context *context__find(__u64 conn_id, __u64 pos)
{
	struct trace_context *context = bpf_map_lookup_elem(&contexts, &conn_id);

	if (!context || !context->known || context->pos != pos || context->conn_id != conn_id)
		return NULL;
	return context;
}

/* The context of the request at @pos, to be filled in and then known. */
static __always_inline struct trace_context *context__open(__u64 conn_id, __u64 pos)
{
	struct trace_context *context = bpf_map_lookup_elem(&contexts, &conn_id);

	if (!context) {
		bpf_map_update_elem(&contexts, &conn_id, &context_unknown, BPF_NOEXIST);
		context = bpf_map_lookup_elem(&contexts, &conn_id);
	}
	if (!context)
		return NULL;
	context->known = 0;
	context->carried = 0;
	context->conn_id = conn_id;
	context->pos = pos;
	context->state_len = 0;
	return context;
}

static __always_inline struct ids_key context__key(void)
{
	struct ids_key key = { { id_key[0], id_key[1] } };

	return key;
}

/* The sampler's word on a trace whose id ends with the random number @random56. */
static __always_inline bool context__kept(__u64 random56)
{
	if (sampler_threshold == 0)
		return true;
	if (sampler_threshold == ~0ULL)
		return false;
	return random56 >= sampler_threshold;
}

static __always_inline __u64 context__random56(const __u8 trace_id[16])
{
	__u64 value = 0;

	for (int i = 9; i < 16; i++)
		value = value << 8 | trace_id[i];
	return value;
}

/* The ids that come from the request's place: of its span, and of its trace when that starts with
 * it.  Not inline: what is computed needs too much of the callers' stack. */
static __noinline int context__number(struct trace_context *context, __u64 conn_id, __u32 dir,
				      __u64 pos, bool root)
{
	struct ids_key key = context__key();
	struct ids_state ids = ids__begin(&key, conn_id, dir, pos);

	ids__span(&ids, context->span_id);
	if (root)
		ids__trace(&ids, context->trace_id);
	return 0;
}

/* A trace of its own, whose id is known. */
static __always_inline void context__be_root(struct trace_context *context)
{
	__builtin_memset(context->parent_id, 0, sizeof(context->parent_id));
	context->flags = CONTEXT_RANDOM;
	if (!context__kept(context__random56(context->trace_id)))
		return;
	context->flags |= CONTEXT_SAMPLED;
	if (!root_state_len)
		return;
	context->state_len = root_state_len;
	for (int i = 0; i < ROOT_STATE_MAX; i++)
		context->state[i] = root_state[i];
}

/* Is @context still what it was when it was found at this place? */
static __always_inline bool context__is_of(const struct trace_context *context, __u64 conn_id,
					   __u64 pos)
{
	const volatile struct trace_context *now = context;

	return now->known && now->conn_id == conn_id && now->pos == pos;
}

/* False: @parent, found at @parent_pos of @parent_conn, has become another's meanwhile. */
static __always_inline bool context__follow(struct trace_context *context,
					    const struct trace_context *parent, __u64 parent_conn,
					    __u64 parent_pos)
{
	__builtin_memcpy(context->trace_id, parent->trace_id, sizeof(context->trace_id));
	__builtin_memcpy(context->parent_id, parent->span_id, sizeof(context->parent_id));
	context->flags = parent->flags;
	context->state_len = parent->state_len;
	if (parent->state_len)
		__builtin_memcpy(context->state, parent->state, sizeof(context->state));
	return context__is_of(parent, parent_conn, parent_pos);
}

/* ---- a server's -------------------------------------------------------------------------- */

/* What others have begun goes on here. */
static __always_inline void context__continue(struct trace_context *context,
					      const struct traceparent *parent)
{
	bool sampled = parent->flags & CONTEXT_SAMPLED;

	__builtin_memcpy(context->trace_id, parent->trace_id, sizeof(context->trace_id));
	__builtin_memcpy(context->parent_id, parent->parent_id, sizeof(context->parent_id));
	if (!sampler_parent_based)
		sampled = context__kept(context__random56(context->trace_id));
	context->flags = (parent->flags & CONTEXT_RANDOM) | (sampled ? CONTEXT_SAMPLED : 0);
}

/* The tracestate that stands beside a traceparent. */
static __always_inline void context__read_state(struct trace_context *context, __u32 slot)
{
	const struct head_work *work;

	head__normalise_slot(slot);
	work = head__work(slot);
	if (!work || work->head.state_len > HEAD_STATE_MAX)
		return;
	context->state_len = work->head.state_len;
	if (context->state_len)
		__builtin_memcpy(context->state, work->head.tracestate, sizeof(context->state));
}

/* Does @option name the send @peer?  Then that knows the tracestate, too. */
static __always_inline bool context__is_named(const struct trace_context *peer,
					      const struct traceparent *option)
{
	__u8 differ = 0;

	for (int i = 0; i < 8; i++)
		differ |= peer->span_id[i] ^ option->parent_id[i];
	return !differ;
}

/* The head in @slot, of the request at @pos, is read to its end.  Not inline: while its caller
 * reads on, there is no room for this on the stack. */
static __noinline int context__settle(__u64 conn_id, __u32 slot, struct head_work *work,
				      const struct open_head *open)
{
	struct trace_context *context = context__open(conn_id, open->pos);
	const struct trace_context *peer = NULL;
	struct traceparent parent;
	bool root = false;

	if (!context)
		return 0;
	if (open->ref_conn)
		peer = context__find(open->ref_conn, open->ref_pos);
	if (head__context(&work->head, &parent)) {
		context__continue(context, &parent);
		context__read_state(context, slot);
		if (inject_wanted)
			received__add(context->trace_id, context->parent_id);
	} else if (peer && (!open->has_option || context__is_named(peer, &open->option))) {
		if (!context__follow(context, peer, open->ref_conn, open->ref_pos))
			return 0;
	} else if (open->has_option) {
		context__continue(context, &open->option);
	} else {
		if (open->ref_conn)
			return 0; /* it is in the client's trace, whatever that is */
		root = true;
	}
	context__number(context, conn_id, DIR_RECV, open->pos, root);
	if (root)
		context__be_root(context);
	context->known = 1;
	return 0;
}

/*
 * A request begins, of which a client on this host says that we have put our header into it: there
 * is no other, and so nothing to read.  But where a trace is not sampled it counts whether that is
 * all of the request.  False: its head must be read.
 */
static __always_inline bool context__is_carried(const struct transfer *t)
{
	__u64 id = t->data.hdr.conn_id, ref_conn = t->data.ref_conn, ref_pos = t->data.ref_pos;
	const struct trace_context *peer;
	struct trace_context *context;

	if (!inject_wanted || t->data.ref != REF_PEER)
		return false;
	peer = context__find(ref_conn, ref_pos);
	if (!peer || !peer->carried || !(peer->flags & CONTEXT_SAMPLED))
		return false;
	context = context__open(id, t->data.pos);
	if (!context || !context__follow(context, peer, ref_conn, ref_pos))
		return false;
	context__number(context, id, DIR_RECV, t->data.pos, false);
	received__add(context->trace_id, context->parent_id);
	context->known = 1;
	return true;
}

/* Reads on in the head, with the @size bytes that the current system call received.  False:
 * they cannot be had, or are no head. */
static __always_inline bool context__read(struct head_work *work, const struct transfer *t,
					  __u32 size)
{
	__u64 base = t->piece.base;
	__u32 left = size;

	if (t->piece.len < left)
		left = t->piece.len;
	for (int i = 0; i < CONTEXT_WINDOWS; i++) {
		__u32 len = left;

		if (!len || work->head.done)
			break;
		barrier_var(len); /* see payload__record_of() */
		if (len > HEAD_WINDOW)
			len = HEAD_WINDOW;
		if (bpf_probe_read_user(work->bytes, len, (void *)base))
			return false;
		work->len = len;
		head__scan_slot(t->head);
		base += len;
		left -= len;
	}
	if (work->head.broken)
		return false;
	/* What lies in a second piece, or behind the windows, was not read. */
	return work->head.done || (!left && t->piece.len >= size);
}

/* One step in the parameters of FastCGI; 0: they are broken.  @slot: enum head_slot. */
__weak int context__step(__u32 slot)
{
	struct head_work *work = head__work(slot);
	struct open_head *open = context__scratch(slot);

	return work && open && fastcgi__step(&open->walk, &work->head);
}

/* Likewise in the parameters of FastCGI. */
static __always_inline bool context__read_params(const struct head_work *work,
						 struct open_head *open, const struct transfer *t,
						 __u32 size)
{
	if (!size || t->piece.len < size)
		return false;
	open->walk.at = t->piece.base;
	open->walk.left = size;
	for (int i = 0; i < FASTCGI_STEPS; i++) {
		if (!open->walk.left || work->head.done)
			return true;
		if (!context__step(t->head))
			return false;
	}
	return false;
}

/* What is known of the head that the bytes at @t go on in, or begin with @turn.  False: nothing. */
static __always_inline bool context__resume(struct head_work *work, struct open_head *open,
					    const struct transfer *t, bool turn)
{
	__u64 id = t->data.hdr.conn_id;
	const struct open_head *known;

	if (turn) {
		head__start(&work->head);
		__builtin_memset(&open->walk, 0, sizeof(open->walk));
		open->pos = t->data.pos;
		open->ref_conn = t->data.ref == REF_PEER ? t->data.ref_conn : 0;
		open->ref_pos = t->data.ref_pos;
		open->has_option = t->has_context && t->context_pos == t->data.pos;
		open->option = t->context;
		return true;
	}
	known = bpf_map_lookup_elem(&open_heads, &id);
	if (!known)
		return false;
	work->head = known->head;
	open->pos = known->pos;
	open->ref_conn = known->ref_conn;
	open->ref_pos = known->ref_pos;
	open->has_option = known->has_option;
	open->option = known->option;
	open->walk = known->walk;
	return true;
}

enum context_how {
	CONTEXT_TURN = 1 << 0,	 /* the request's first bytes; else more of a head that is open */
	CONTEXT_OPEN = 1 << 1,	 /* a head was open, or is now */
	CONTEXT_ONE = 1 << 2,	 /* all bytes are of one request, whose end is known */
	CONTEXT_PARAMS = 1 << 3, /* the request is one of FastCGI */
};

static __always_inline bool context__is_one(const struct head *head, __u32 size)
{
	__u64 body = head->has_length ? head->content_length : 0;

	return !head->chunked && !head->upgrade && size <= head->size + body;
}

/*
 * A server has received @size bytes of a request whose buffer is where the transfer of @slot
 * stands.  Whatever was known of the request before it is over.  CONTEXT_OPEN: there is more of
 * its head to come.  This and context__called() are functions of their own for the reasons that
 * payload.bpf.h tells.
 */
__weak int context__receive(__u32 slot, __u32 size, __u32 how)
{
	const struct transfer *t = payload__transfer(slot);
	struct head_work *work;
	struct open_head *open;
	bool more = false;
	int found = 0;
	__u64 id;

	if (!t)
		return 0;
	work = head__work(t->head);
	open = context__scratch(t->head);
	if (!work || !open)
		return 0;
	id = t->data.hdr.conn_id;
	if (how == CONTEXT_TURN && context__is_carried(t))
		return 0;
	if (context__resume(work, open, t, how & CONTEXT_TURN) &&
	    (how & CONTEXT_PARAMS ? context__read_params(work, open, t, size)
				  : context__read(work, t, size))) {
		if (work->head.done) {
			context__settle(id, t->head, work, open);
			if (how & CONTEXT_TURN && !(how & CONTEXT_PARAMS) &&
			    context__is_one(&work->head, size))
				found = CONTEXT_ONE;
		} else {
			open->head = work->head;
			more = !bpf_map_update_elem(&open_heads, &id, open, BPF_ANY);
		}
	}
	if (!more && how & CONTEXT_OPEN)
		bpf_map_delete_elem(&open_heads, &id);
	return more ? CONTEXT_OPEN : found;
}

/* ---- a client's -------------------------------------------------------------------------- */

/*
 * A client begins to send the request at @pos of @conn_id, for the request at @ref_pos of
 * @ref_conn, or for none (0).  1 when its context is known now, 0 when it is not, for that
 * one's is not.
 */
__weak int context__called(__u64 conn_id, __u64 pos, __u64 ref_conn, __u64 ref_pos)
{
	struct trace_context *context = context__open(conn_id, pos);
	const struct trace_context *parent;

	if (!context)
		return 0;
	context->ref_conn = ref_conn;
	context->ref_pos = ref_pos;
	context__number(context, conn_id, DIR_SEND, pos, !ref_conn);
	if (ref_conn) {
		parent = context__find(ref_conn, ref_pos);
		if (!parent)
			return 0;
		if (!context__follow(context, parent, ref_conn, ref_pos))
			return 0;
	} else {
		context__be_root(context);
	}
	context->known = 1;
	return 1;
}

/* Likewise, with the header of one of its requests, which the head in @slot has. */
__weak int context__passed_on(__u64 conn_id, __u64 pos, __u32 slot)
{
	struct trace_context *context = context__open(conn_id, pos);
	const struct head_work *work = head__work(slot);
	struct traceparent parent;

	if (!context || !work || !head__context(&work->head, &parent))
		return 0;
	context->ref_conn = 0;
	context->ref_pos = 0;
	context__number(context, conn_id, DIR_SEND, pos, false);
	context__continue(context, &parent);
	context->known = 1;
	return 1;
}

#endif
