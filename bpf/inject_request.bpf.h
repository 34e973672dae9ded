/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What happens to the head of one request that is sent: our lines go in, or our span's id. */
#ifndef SPANLOOM_INJECT_REQUEST_BPF_H
#define SPANLOOM_INJECT_REQUEST_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/activity_find.bpf.h"
#include "bpf/context.bpf.h"
#include "bpf/inject.bpf.h"
#include "bpf/inject_splice.h"
#include "bpf/inject_text.bpf.h"
#include "bpf/sdk.bpf.h"
#include "bpf/traffic.bpf.h"

#define INJECT_WHOLE   65536 /* up to here a message is made one piece */
#define INJECT_SEGMENT 1536  /* bytes of the socket's buffer that a segment takes for itself */

/* A message that is sent: bytes [before, before + used) of a head are its first ones. */
struct inject_message {
	struct sk_msg_md *msg;
	struct tcp_sock *tcp;
	struct conn *conn;
	struct injection *in;
	__u64 thread;
	__u32 before;
	__u32 used;
	__u32 desk;
	int verdict;
};

/* What user space must know: this context went out. */
static __always_inline void inject__tell(const struct inject_message *m,
					 const struct trace_context *context,
					 const struct event_data *data)
{
	struct event_context *event;
	__u64 now = bpf_ktime_get_ns();

	if (!(context->flags & CONTEXT_SAMPLED)) /* it gives no span */
		return;
	if (!(m->conn->marks & CONN_ANNOUNCED)) {
		if (!traffic__announce(m->conn, (struct sock *)m->tcp, EVENT_CONN, now, 0, 0))
			return;
		m->conn->marks |= CONN_ANNOUNCED;
	}
	event = output__reserve(sizeof(*event), 0);
	if (!event)
		return;
	__builtin_memset(event, 0, sizeof(*event));
	event->hdr.type = EVENT_CONTEXT;
	event->hdr.len = sizeof(*event);
	event->hdr.ts_ns = now;
	event->hdr.conn_id = m->conn->id;
	event->pos = m->in->head_pos;
	__builtin_memcpy(event->trace_id, context->trace_id, sizeof(event->trace_id));
	__builtin_memcpy(event->span_id, context->span_id, sizeof(event->span_id));
	__builtin_memcpy(event->parent_id, context->parent_id, sizeof(event->parent_id));
	event->flags = context->flags;
	event->ref = data->ref;
	event->dir = DIR_SEND;
	event->carrier = CARRIER_HEADER;
	event->ref_conn = data->ref_conn;
	event->ref_pos = data->ref_pos;
	output__submit(event, sizeof(*event));
}

/* May this process be touched? */
static __always_inline bool inject__allowed(const struct inject_message *m)
{
	__u32 tgid = m->thread >> 32;

	return conn__in_scope(m->conn, tgid) && inject__touches(tgid);
}

/* May @size bytes more wait to be sent?  What fits into one segment may always. */
static __always_inline bool inject__may_wait(const struct inject_message *m, __u32 size,
					     __u32 segment)
{
	const struct sock *sk = &m->tcp->inet_conn.icsk_inet.sk;
	__u32 most = m->tcp->notsent_lowat, waiting = m->tcp->write_seq - m->tcp->snd_una;

	if (!most)
		most = sk->__sk_common.skc_net.net->ipv4.sysctl_tcp_notsent_lowat;
	return (!waiting && size <= segment) || (__u64)waiting + size < most;
}

/* Would the kernel refuse memory for what is sent?  Never without this warning, but for the limit
 * of a control group. */
static __always_inline bool inject__is_short_of_memory(const struct sock *sk)
{
	unsigned long *warning = sk->__sk_common.skc_prot->memory_pressure;
	unsigned long given = 0;

	return bpf_probe_read_kernel(&given, sizeof(given), warning) || given;
}

/*
 * Is there room for a message of @size bytes?  If the kernel took less than the first @least ones,
 * through what we change, the program would send them again from a place that it counts without
 * the header.  The peer's window tells how short segments are: each takes more of the buffer
 * than its bytes.
 */
static __always_inline bool inject__has_room(const struct inject_message *m, __u32 size,
					     __u32 least)
{
	const struct sock *sk = &m->tcp->inet_conn.icsk_inet.sk;
	__u32 segment = m->tcp->mss_cache / 2 + 1; /* options take less than half */
	__u64 needed = least + (least / segment + 1) * (__u64)INJECT_SEGMENT;

	if (needed < 2ULL * size)
		needed = 2ULL * size;
	return (__u64)sk->sk_wmem_queued + needed <= (__u64)sk->sk_sndbuf &&
	       inject__may_wait(m, least, segment) && !inject__is_short_of_memory(sk);
}

/* Puts the lines before offset @at of the message, of @whole bytes.  How many it grew: all or
 * none. */
static __always_inline __u32 inject__put(struct inject_message *m, __u32 at, __u32 whole)
{
	bool is_short = m->msg->size <= INJECT_COPY_MAX;
	__u32 len = is_short ? inject__assemble(m->desk, m->conn->id, at)
			     : inject__compose(m->desk, m->conn->id, 0);
	int grown = 0;

	if (len && is_short)
		grown = inject_splice__exchange(m->msg, m->desk, at, len, whole);
	else if (len)
		grown = inject_splice__insert(m->msg, m->desk, at, len, m->used, whole);
	if (grown != INJECT_TORN)
		return grown;
	m->verdict = SK_DROP;
	return 0;
}

/* How much of a message of @size bytes goes out at once. */
static __always_inline __u32 inject__whole(const struct inject_message *m, __u32 size)
{
	return size <= INJECT_WHOLE - INJECT_TEXT_MAX ? size : m->used;
}

/* For which request is the one sent whose head this is?  Its context, when the hook on the send's
 * begin has found all that out; else NULL. */
static __always_inline struct trace_context *inject__refer(const struct inject_message *m,
							   struct event_data *data)
{
	struct trace_context *known = NULL;

	if (m->conn->marks & CONN_CALLED && !m->before)
		known = context__find(m->conn->id, m->in->head_pos);
	if (!known) {
		activity__find((struct sock *)m->tcp, m->conn, m->thread, data);
		return NULL;
	}
	data->ref = m->conn->context_ref;
	data->ref_conn = known->ref_conn;
	data->ref_pos = known->ref_pos;
	return known;
}

/* The context of the request, which is sent for the one in @data, unless it is @known.  NULL: it
 * cannot be. */
static __always_inline struct trace_context *inject__context(const struct inject_message *m,
							     struct trace_context *known,
							     const struct event_data *data)
{
	if (known)
		return known;
	if (!context__called(m->conn->id, m->in->head_pos, data->ref_conn, data->ref_pos))
		return NULL;
	return context__find(m->conn->id, m->in->head_pos);
}

/* The request gets no header.  Whoever receives it on this host must know its context all the
 * same; what an SDK calls is no span, and so nobody's parent. */
static __always_inline void inject__pass_by(const struct inject_message *m)
{
	struct event_data data = {};

	if (sdk__adopted(m->thread >> 32))
		return;
	inject__context(m, inject__refer(m, &data), &data);
}

/* A head without a traceparent: it gets ours.  How many bytes the message grew. */
static __always_inline __u32 inject__add(struct inject_message *m, const struct head *head,
					 __u32 whole)
{
	struct trace_context *context;
	struct event_data data = {};
	__u32 at = head->end_at - m->before, grown = 0;

	context = inject__context(m, inject__refer(m, &data), &data);
	if (!context) {
		count__one(COUNT_INJECT_NO_CONTEXT);
		return 0;
	}
	if (head->end_at < m->before || at >= m->used) {
		count__one(COUNT_INJECT_SPLIT);
		return 0;
	}
	if (inject__has_room(m, whole + INJECT_TEXT_MAX, m->used + INJECT_TEXT_MAX))
		grown = inject__put(m, at, whole);
	if (!grown) {
		count__one(COUNT_INJECT_NO_ROOM);
		return 0;
	}
	context->carried = 1;
	count__one(COUNT_INJECTED);
	inject__tell(m, context, &data);
	return grown;
}

static __always_inline bool inject__same(const __u8 *a, const __u8 *b, int len)
{
	__u8 differ = 0;

	for (int i = 0; i < len; i++)
		differ |= a[i] ^ b[i];
	return !differ;
}

/* The span's id, in place of the parent's in the header at @at of the message. */
static __always_inline bool inject__replace(const struct inject_message *m, __u32 at, __u32 whole,
					    const __u8 span_id[8])
{
	struct sk_msg_md *msg = m->msg;
	__u8 *out;

	if (bpf_msg_pull_data(msg, 0, whole, 0))
		return false;
	out = (void *)(long)msg->data;
	out += at & (INJECT_HEAD_MAX - 1);
	if ((void *)(out + 16) > (void *)(long)msg->data_end)
		return false;
	inject__hex(out, span_id, 8);
	return true;
}

/* Is the header @sent passed on, with a call for the request in @data, or for one that is not
 * known? */
static __always_inline bool inject__passes_on(const struct inject_message *m,
					      const struct traceparent *sent,
					      const struct event_data *data)
{
	const struct trace_context *server;

	if (!data->ref)
		return received__has(HEAD_SLOT_SEND + m->desk);
	server = context__find(data->ref_conn, data->ref_pos);
	return server && inject__same(server->trace_id, sent->trace_id, 16) &&
	       inject__same(server->parent_id, sent->parent_id, 8);
}

/* Which request that is, user space may find out; what the call's own span is does not hang on
 * it. */
static __always_inline const struct trace_context *
inject__context_between(const struct inject_message *m, struct trace_context *known,
			struct event_data *data)
{
	if (data->ref)
		return inject__context(m, known, data);
	data->ref = REF_HEADER;
	if (!context__passed_on(m->conn->id, m->in->head_pos, HEAD_SLOT_SEND + m->desk))
		return NULL;
	return context__find(m->conn->id, m->in->head_pos);
}

/*
 * A head that has a traceparent: when it is one that the process has received, it is passed on,
 * and its parent is our span from here on.  Else it is another tracer's, and its word; and so it
 * is when it came with another request than the one that the call is for.
 */
static __always_inline void inject__update(const struct inject_message *m, const struct head *head,
					   __u32 whole)
{
	__u32 at = head->parent_at + TRACEPARENT_PARENT - m->before;
	const struct trace_context *context;
	struct trace_context *known;
	struct event_data data = {};
	struct traceparent sent;

	known = inject__refer(m, &data);
	if (!head__context(head, &sent) || !inject__passes_on(m, &sent, &data)) {
		count__one(COUNT_INJECT_ADOPTED);
		return;
	}
	if (head->parent_at + TRACEPARENT_PARENT < m->before || at + 16 > m->used) {
		count__one(COUNT_INJECT_SPLIT);
		return;
	}
	context = inject__context_between(m, known, &data);
	if (!context) {
		count__one(COUNT_INJECT_NO_CONTEXT);
		return;
	}
	if (!inject__has_room(m, whole, m->used) ||
	    !inject__replace(m, at, whole, context->span_id)) {
		count__one(COUNT_INJECT_NO_ROOM);
		return;
	}
	count__one(COUNT_INJECT_UPDATED);
	inject__tell(m, context, &data);
}

#endif
