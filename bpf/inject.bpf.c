// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Header injection: one traceparent (and tracestate) line goes into each HTTP/1 request that a
 * client sends in plain text.
 *
 * A socket in a map of sockets has its sends pass by a program that may change them.  It sends
 * each piece on its own, and without TCP_NODELAY the next one waits for the acknowledgement of
 * the last: so what was cut by the insertion is made one piece again.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/inject.bpf.h"
#include "bpf/inject_chunks.bpf.h"
#include "bpf/inject_destination.bpf.h"
#include "bpf/inject_request.bpf.h"
#include "bpf/traffic.bpf.h"

#define INJECT_WINDOWS	  (INJECT_HEAD_MAX / HEAD_WINDOW)
#define INJECT_BULK_BYTES (8 << 20)  /* of a body: from here on passing by is too dear */
#define INJECT_FAR	  (1U << 30) /* bytes that need not be shown to the program */

/* ---- leaving ----------------------------------------------------------------------------- */

static __always_inline void inject__leave(const struct inject_message *m, enum leave_reason reason)
{
	struct event_leave *event;

	m->in->state = INJECT_OFF;
	count__one(COUNT_LEFT + reason);
	event = output__reserve(sizeof(*event), 0);
	if (!event)
		return; /* it stays, and is passed by */
	event->hdr.type = EVENT_LEAVE;
	event->hdr.len = sizeof(*event);
	event->hdr.ts_ns = bpf_ktime_get_ns();
	event->hdr.conn_id = m->conn->id;
	event->reason = reason;
	event->pad = 0;
	output__submit(event, sizeof(*event));
}

/* What stands at the beginning is no request: other connections to this server need not try. */
static __always_inline void inject__not_http(const struct inject_message *m)
{
	destination__refuse(m->tcp);
	inject__leave(m, LEAVE_NOT_HTTP);
}

/* ---- the stream -------------------------------------------------------------------------- */

/* Are the first @len bytes of the message in one piece already? */
static __always_inline bool inject__are_at_hand(const struct sk_msg_md *msg, __u32 len)
{
	return (long)msg->data_end - (long)msg->data >= (long)len;
}

/* Shows the head's bytes to the scanner.  False: they cannot be had. */
static __always_inline bool inject__scan(const struct inject_message *m, struct head_work *work,
					 __u32 size)
{
	for (int i = 0; i < INJECT_WINDOWS; i++) {
		__u32 from = i * HEAD_WINDOW, len = size - from;

		if (from >= size || work->head.done || work->head.broken)
			return true;
		if (len > HEAD_WINDOW)
			len = HEAD_WINDOW;
		if ((from || !inject__are_at_hand(m->msg, len)) &&
		    bpf_msg_pull_data(m->msg, from, from + len, 0))
			return false;
		barrier_var(len); /* see payload__record_of() */
		if (len > HEAD_WINDOW)
			len = HEAD_WINDOW;
		if (bpf_probe_read_kernel(work->bytes, len, (void *)(long)m->msg->data))
			return false;
		work->len = len;
		head__scan_slot(HEAD_SLOT_SEND + m->desk);
	}
	return true;
}

/* The first @bytes of the message go, @own of them the program's; for what is behind we are
 * called again.  The kernel keeps the number for that call: 0 takes it back. */
static __always_inline void inject__pass(const struct inject_message *m, __u32 own, __u32 bytes)
{
	m->in->passed += own;
	bpf_msg_apply_bytes(m->msg, bytes < m->msg->size ? bytes : 0);
}

/* Is what begins here a request beyond doubt? */
static __always_inline bool inject__proven(const struct inject_message *m)
{
	__u64 id = m->conn->id;
	__u32 *verdict;

	if (!m->in->unproven)
		return true;
	verdict = bpf_map_lookup_elem(&verdicts, &id);
	if (!verdict || *verdict != VERDICT_PROVEN)
		return false;
	m->in->unproven = 0;
	return true;
}

/* A chunked body goes on at offset @at of the message, which has @size bytes now, @grown of them
 * ours. */
static __always_inline void inject__chunked(const struct inject_message *m, __u32 at, __u32 size,
					    __u32 grown)
{
	struct inject_desk *desk = inject_desk__of(m->desk);
	__u32 end = size;

	if (!desk)
		return;
	desk->chunk = m->in->chunk;
	desk->at = at;
	desk->size = size;
	if (inject__chunks(m->msg, m->desk)) {
		inject__leave(m, LEAVE_UNKNOWN_END);
		return;
	}
	m->in->chunk = desk->chunk;
	if (desk->chunk.state == CHUNK_DONE) {
		m->in->state = INJECT_HEAD;
		end = desk->at;
	}
	/* of our lines all are in front of @at */
	m->in->next_pos = m->conn->pos[DIR_SEND] + m->in->passed + end - grown;
	inject__pass(m, end - grown, end);
}

/* The whole head was seen; its request ends where its body does. */
static __always_inline void inject__request(struct inject_message *m, const struct head *head,
					    __u32 size)
{
	__u64 body = head->has_length ? head->content_length : 0;
	__u32 whole = inject__whole(m, size), grown = 0;

	m->in->judged_ns = m->in->send_ns;
	if (!inject__proven(m)) {
		count__one(COUNT_INJECT_APART);
		inject__pass_by(m);
	} else if (head->telemetry || !inject__allowed(m)) {
		count__one(COUNT_INJECT_NOT_WANTED);
		inject__pass_by(m);
	} else if (head->count[HEAD_PARENT]) {
		inject__update(m, head, whole);
	} else {
		grown = inject__add(m, head, whole);
	}
	m->in->shift += grown;
	if (m->conn->base[DIR_SEND])
		m->conn->base[DIR_SEND] += grown;
	m->in->in_head = 0;
	m->in->state = head->chunked ? INJECT_CHUNKS : INJECT_BODY;
	m->in->next_pos = m->in->head_pos + head->size + body;
	if (head->upgrade) {
		inject__leave(m, LEAVE_UNKNOWN_END);
		return;
	}
	if (!conn__in_scope(m->conn, m->thread >> 32)) {
		inject__leave(m, LEAVE_NOT_TRACED);
		return;
	}
	if (head->chunked)
		__builtin_memset(&m->in->chunk, 0, sizeof(m->in->chunk));
	if (head->chunked && whole == size) {
		inject__chunked(m, m->used + grown, size + grown, grown);
		return;
	}
	if (body >= INJECT_BULK_BYTES)
		inject__leave(m, LEAVE_BULK);
	/* Of several requests each goes out on its own; so does the head of a large one: what
	 * the kernel then does not take of the body is counted without the header. */
	if (!head->chunked && body < size - m->used)
		inject__pass(m, m->used + body, m->used + grown + body);
	else if (whole < size || head->chunked)
		inject__pass(m, m->used, m->used + grown);
	else
		inject__pass(m, size, size + grown);
}

/* What is sent here looks like a request; user space will know. */
static __always_inline void inject__ask(const struct inject_message *m)
{
	struct event_head *event = output__reserve(sizeof(*event), 0);

	if (!event) {
		m->in->state = INJECT_SEEK;
		return;
	}
	event->hdr.type = EVENT_HEAD;
	event->hdr.len = sizeof(*event);
	event->hdr.ts_ns = bpf_ktime_get_ns();
	event->hdr.conn_id = m->conn->id;
	event->pos = m->in->head_pos;
	output__submit(event, sizeof(*event));
}

static __always_inline void inject__head(struct inject_message *m, __u64 pos, __u32 size)
{
	struct head_work *work = inject_desk__head(m->desk);
	struct inject_desk *desk = inject_desk__of(m->desk);
	bool seeking = m->in->state == INJECT_SEEK;
	__u64 id = m->conn->id;

	if (!work || !desk)
		return;
	if (!m->in->in_head) {
		m->in->head_pos = pos;
		head__start(&work->head);
	} else {
		struct open_head *known = bpf_map_lookup_elem(&open_heads, &id);

		if (!known) {
			inject__leave(m, LEAVE_LOST);
			return;
		}
		work->head = known->head;
	}
	m->before = work->head.size;
	if (!inject__scan(m, work, size)) {
		inject__leave(m, LEAVE_LOST);
		return;
	}
	m->used = work->head.size - m->before;
	if (seeking && work->head.broken)
		return;
	if (seeking) {
		m->in->state = INJECT_HEAD;
		inject__ask(m);
	}
	if (work->head.broken) {
		if (m->in->head_pos)
			inject__leave(m, LEAVE_LOST);
		else
			inject__not_http(m);
		return;
	}
	if (work->head.done) {
		if (m->in->in_head)
			bpf_map_delete_elem(&open_heads, &id);
		inject__request(m, &work->head, size);
		return;
	}
	desk->open.head = work->head;
	m->in->in_head = 1;
	m->in->next_pos = pos + m->used;
	if (bpf_map_update_elem(&open_heads, &id, &desk->open, BPF_ANY))
		inject__leave(m, LEAVE_LOST);
	inject__pass(m, m->used, m->used);
}

/* Bytes of the current body; false: it ends at @pos or before. */
static __always_inline bool inject__body(const struct inject_message *m, __u64 pos, __u32 size)
{
	__u64 left = m->in->next_pos - pos;

	if (m->in->state != INJECT_BODY)
		return false;
	if (pos >= m->in->next_pos) {
		m->in->state = INJECT_HEAD;
		return false;
	}
	if (left > size)
		left = size;
	inject__pass(m, left, left);
	return true;
}

/* Sends of a socket are one after the other; with the next one we count anew. */
static __always_inline void inject__enter(const struct inject_message *m)
{
	struct sock *sk = (struct sock *)m->tcp;
	struct conn *conn = m->conn;

	if (!conn->send_start_ns) {
		pair__catch_up(sk, conn, DIR_SEND, 0);
		conn->send_start_ns = bpf_ktime_get_ns();
		conn->marks &= ~CONN_CALLED;
		if (conn->last_dir != DIR_SEND)
			pair__tell(sk, 0, conn->id, conn->pos[DIR_SEND]);
	}
	if (m->in->send_ns == conn->send_start_ns)
		return;
	m->in->send_ns = conn->send_start_ns;
	m->in->passed = 0;
}

/*
 * Is @pos where we take the socket to be?  It is not when a send was taken in part while the
 * kernel had yet to pass bytes that we had seen before, or when several send at once.
 */
static __always_inline bool inject__agrees(const struct inject_message *m, __u64 pos)
{
	__u32 shift = m->tcp->write_seq - (__u32)pos;

	if (!m->in->placed)
		m->in->shift = shift;
	m->in->placed = 1;
	return m->in->shift == shift;
}

/* What begins at @pos is no data of a body. */
static __always_inline void inject__lines(struct inject_message *m, __u64 pos, __u32 size)
{
	bool seeking = m->in->state == INJECT_SEEK;

	if (seeking && (m->conn->last_dir == DIR_SEND || m->in->passed))
		return;
	if (!seeking && pos != m->in->next_pos) {
		inject__leave(m, LEAVE_LOST);
		return;
	}
	m->desk = inject_desk__take();
	if (m->desk >= HEAD_DESKS) {
		inject__leave(m, LEAVE_LOST);
		return;
	}
	if (m->in->state == INJECT_CHUNKS)
		inject__chunked(m, 0, size, 0);
	else
		inject__head(m, pos, size);
	inject_desk__leave(m->desk);
}

/* The program counts completions, since it connected: one for each piece that a send goes out
 * in.  Until user space has taken the socket away, that should be one. */
static __always_inline void inject__let_go(const struct inject_message *m)
{
	bpf_msg_pull_data(m->msg, 0, m->msg->size, 0);
	if (m->in->state != INJECT_OFF)
		inject__leave(m, LEAVE_ZEROCOPY);
}

/* Is @thread known to be of a process that is not traced?  Else its connection counts what such
 * have sent.  Not inline: the program has no stack left for it. */
static __noinline int inject__is_out(struct conn *conn, struct tcp_sock *tcp, __u64 thread)
{
	struct sock *sk = (struct sock *)tcp;
	volatile struct bystander *place = bystander__place(sk);

	if (bystander__is_out(place, sk, scope__key(thread >> 32)))
		return 1;
	conn__settle(conn, sk, place, DIR_SEND);
	return 0;
}

SEC("sk_msg")
int inject_message(struct sk_msg_md *msg)
{
	struct inject_message m = { .msg = msg, .verdict = SK_PASS };
	struct bpf_sock *sk = msg->sk;
	__u64 pos;

	if (!sk)
		return SK_PASS;
	m.in = bpf_sk_storage_get(&injections, sk, NULL, 0);
	m.conn = bpf_sk_storage_get(&conns, sk, NULL, 0);
	m.tcp = bpf_skc_to_tcp_sock(sk);
	if (!m.in || !m.conn || !m.tcp)
		return SK_PASS;
	if (core__is_zerocopy((struct sock *)m.tcp)) {
		inject__let_go(&m);
		return SK_PASS;
	}
	if (m.in->state == INJECT_OFF || m.conn->state == CONN_IGNORED) {
		bpf_msg_apply_bytes(msg, INJECT_FAR);
		return SK_PASS;
	}
	m.thread = bpf_get_current_pid_tgid();
	if (inject__is_out(m.conn, m.tcp, m.thread)) {
		inject__leave(&m, LEAVE_NOT_TRACED);
		return m.verdict;
	}
	inject__enter(&m);
	pos = m.conn->pos[DIR_SEND] + m.in->passed;
	if (!inject__agrees(&m, pos))
		inject__leave(&m, LEAVE_LOST);
	else if (!inject__body(&m, pos, msg->size))
		inject__lines(&m, pos, msg->size);
	return m.verdict;
}

/* ---- joining ----------------------------------------------------------------------------- */

/* A connect() has succeeded.  The current process is any. */
SEC("sockops")
int inject_socket(struct bpf_sock_ops *ops)
{
	struct injection *in;
	struct tcp_sock *tcp;
	struct bpf_sock *sk;
	struct conn *conn;
	__u64 key;

	if (ops->op != BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB)
		return 1;
	sk = ops->sk;
	if (!sk)
		return 1;
	conn = bpf_sk_storage_get(&conns, sk, NULL, 0);
	tcp = bpf_skc_to_tcp_sock(sk);
	if (!conn || !tcp || !inject__bears((struct sock *)tcp) || conn->state == CONN_IGNORED ||
	    conn->role != ROLE_CLIENT || !conn__in_scope(conn, conn->tgid) ||
	    !address__wanted((struct sock *)tcp) || inject__rests(conn->tgid) ||
	    !destination__speaks_http(tcp))
		return 1;
	in = bpf_sk_storage_get(&injections, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!in)
		return 1;
	__builtin_memset(in, 0, sizeof(*in));
	key = conn->id;
	if (bpf_sock_hash_update(ops, &sockets, &key, BPF_NOEXIST))
		count__one(COUNT_INJECT_FULL);
	return 1;
}
