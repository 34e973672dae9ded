/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one handler behind every hook: bytes moved on a socket, a connection ended.
 *
 * A turn is where the direction of the traffic changes.  Messages of the protocols that we
 * know begin at a turn, so this is where bytes are classified and the budget is renewed.
 */
#ifndef SPANLOOM_TRAFFIC_BPF_H
#define SPANLOOM_TRAFFIC_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/activity.bpf.h"
#include "bpf/activity_find.bpf.h"
#include "bpf/address.bpf.h"
#include "bpf/bystander.bpf.h"
#include "bpf/classify.bpf.h"
#include "bpf/config.bpf.h"
#include "bpf/conn.bpf.h"
#include "bpf/context.bpf.h"
#include "bpf/count.bpf.h"
#include "bpf/event.h"
#include "bpf/fastcgi.bpf.h"
#include "bpf/ids.h"
#include "bpf/inject.bpf.h"
#include "bpf/intake.bpf.h"
#include "bpf/option.bpf.h"
#include "bpf/output.bpf.h"
#include "bpf/pair.bpf.h"
#include "bpf/payload.bpf.h"
#include "bpf/syscall.bpf.h"
#include "bpf/unix.bpf.h"
#include "bpf/waiter.bpf.h"

/* Sends EVENT_CONN or EVENT_CONN_FAILED.  @traffic: bytes that are lost with it. */
static __always_inline bool traffic__announce(struct conn *conn, struct sock *sk, __u32 type,
					      __u64 now, __s32 error, __u64 traffic)
{
	struct event_conn *event = output__reserve(sizeof(*event), traffic);

	if (!event)
		return false;
	__builtin_memset(event, 0, sizeof(*event));
	event->hdr.type = type;
	event->hdr.len = sizeof(*event);
	event->hdr.ts_ns = now;
	event->hdr.conn_id = conn->id;
	event->start_ns = conn->start_ns;
	event->cgroup_id = conn->cgroup_id;
	event->pos[DIR_SEND] = conn__pos(sk, conn, DIR_SEND);
	event->pos[DIR_RECV] = conn__pos(sk, conn, DIR_RECV);
	event->tgid = conn->tgid;
	event->tid = conn->tid;
	event->error = error;
	event->role = conn->role;
	event->flags = conn->flags;
	event->ref = conn->ref;
	event->ref_conn = conn->ref_conn;
	event->ref_pos = conn->ref_pos;
	__builtin_memcpy(event->comm, conn->comm, sizeof(event->comm));
	address__read(event, sk);
	output__submit(event, sizeof(*event));
	return true;
}

/* Sends EVENT_CLOSE once per kind, for connections that user space knows. */
static __always_inline void traffic__close(struct conn *conn, enum conn_mark mark,
					   enum close_kind kind, __s32 error)
{
	struct event_close *event;

	if (!(conn->marks & CONN_ANNOUNCED) || conn->marks & mark || conn->state == CONN_IGNORED)
		return;
	event = output__reserve(sizeof(*event), 0);
	if (!event)
		return;
	conn->marks |= mark;
	event->hdr.type = EVENT_CLOSE;
	event->hdr.len = sizeof(*event);
	event->hdr.ts_ns = bpf_ktime_get_ns();
	event->hdr.conn_id = conn->id;
	event->kind = kind;
	event->error = error;
	output__submit(event, sizeof(*event));
}

/* A send or receive that moved nothing. */
static __always_inline void traffic__nothing(struct sock *sk, struct conn *conn, enum event_dir dir,
					     int ret)
{
	bool reset = ret == -ECONNRESET || ret == -EPIPE || ret == -ETIMEDOUT;
	bool eof = ret == 0 && dir == DIR_RECV && BPF_CORE_READ(sk, sk_shutdown) & RCV_SHUTDOWN;

	conn->mmsg_vector = 0;
	if (dir == DIR_SEND) {
		conn->send_start_ns = 0;
		conn->marks &= ~CONN_OVERTAKEN;
	}
	/* mostly a client that went away; a unix socket's end is not seen */
	if (eof || (reset && dir == DIR_SEND))
		activity__end(conn);
	if (reset)
		traffic__close(conn, CONN_RESET, CLOSE_RESET, -ret);
	else if (eof)
		traffic__close(conn, CONN_EOF, CLOSE_PEER_EOF, 0);
}

/* Is @data from a server to its client?  Where it is not known who is who, it may be anything. */
static __always_inline bool traffic__answers(const struct conn *conn, const struct event_data *data)
{
	return conn->side && (data->dir == DIR_SEND) == (conn->side == ROLE_SERVER);
}

/* The trace of the request at the beginning of @data; NULL: not known, or nobody asks. */
static __always_inline const struct trace_context *traffic__context(const struct conn *conn,
								    const struct event_data *data)
{
	const struct trace_context *own;

	if (!contexts_wanted || traffic__answers(conn, data))
		return NULL;
	own = context__find(conn->id, data->pos);
	return own || !data->ref ? own : context__find(data->ref_conn, data->ref_pos);
}

/* Says in @data whether the trace is sampled that the message belongs to, or that starts with
 * it. */
static __always_inline void traffic__sample(const struct conn *conn, struct event_data *data)
{
	const struct trace_context *context = traffic__context(conn, data);
	struct ids_key key = context__key();
	struct ids_state ids;
	bool sampled;

	if (context) {
		sampled = context->flags & CONTEXT_SAMPLED;
	} else if (sampler_threshold == 0 || sampler_threshold == ~0ULL) {
		sampled = !sampler_threshold;
	} else {
		ids = ids__begin(&key, conn->id, data->dir, data->pos);
		sampled = context__kept(ids__random56(&ids));
	}
	if (sampled)
		data->flags |= DATA_SAMPLED;
	else if (context)
		data->flags |= DATA_UNSAMPLED;
}

/* Is a call that is known by @ref made by a thread that receives its response, too? */
static __always_inline bool traffic__waits(__u8 ref)
{
	return ref == REF_THREAD || ref == REF_TURN || ref == REF_PYCONTEXT;
}

/*
 * Is nothing to be told of this, for its trace is not sampled?  With a request the word is given
 * for all up to the next one.  Sessions of databases are always told of: what is prepared in one
 * trace is used in another.  So is what may be more than one request.
 */
static __always_inline bool traffic__mutes(struct conn *conn, struct event_data *data, bool turn)
{
	bool client = conn->side == ROLE_CLIENT, was = conn->mute;

	if (data->flags & DATA_SEND_PENDING) /* a response whose request is not judged yet */
		return false;
	if (!turn || (data->dir == DIR_SEND) != client)
		return conn->mute;
	conn->mute = conn->state == CONN_BOUND && conn->proto == PROTO_HTTP1 && conn->side &&
		     data->flags & DATA_UNSAMPLED &&
		     (client ? traffic__waits(data->ref) : !!(conn->head & CONTEXT_ONE));
	if (conn->mute)
		count__one(COUNT_UNSAMPLED);
	else if (was)
		data->flags |= DATA_RESUMED;
	return conn->mute;
}

static __always_inline bool traffic__is_server(const struct conn *conn, enum event_dir dir,
					       enum match match)
{
	return conn->role == ROLE_SERVER || (dir == DIR_RECV && match == MATCH_REQUEST) ||
	       (dir == DIR_SEND && match == MATCH_RESPONSE);
}

static __always_inline void traffic__bind(struct conn *conn, enum event_dir dir, struct guess guess)
{
	if (conn->state == CONN_UNKNOWN)
		count__one(COUNT_BOUND);
	conn->state = guess.match == MATCH_EITHER ? CONN_CANDIDATE : CONN_BOUND;
	conn->proto = guess.proto;
	conn->side = conn->role;
	if (!conn->role && guess.match != MATCH_EITHER)
		conn->side = traffic__is_server(conn, dir, guess.match) ? ROLE_SERVER : ROLE_CLIENT;
	if (!db_server_spans && classify__is_database(guess.proto) &&
	    traffic__is_server(conn, dir, guess.match)) {
		conn->state = CONN_IGNORED;
		count__one(COUNT_SERVER_SIDE);
	}
}

/* First bytes of a turn on a connection that is not bound.  Is it worth a record? */
static __always_inline bool traffic__classify(struct conn *conn, struct transfer *t, enum slot slot,
					      enum event_dir dir, __u32 size)
{
	__u8 fresh = conn->flags & CONN_FRESH && !t->data.pos;
	struct guess guess = payload__classify(t, slot, size, fresh);

	t->data.match = guess.match;
	if (guess.match == MATCH_REQUEST || guess.match == MATCH_RESPONSE ||
	    (guess.match == MATCH_EITHER && conn->state == CONN_UNKNOWN))
		traffic__bind(conn, dir, guess);
	else if (conn->state == CONN_UNKNOWN)
		conn__unmatched(conn);
	return conn->state == CONN_CANDIDATE || conn->state == CONN_BOUND;
}

/* All of a record that does not depend on its bytes. */
static __always_inline void traffic__describe(struct transfer *t, const struct conn *conn,
					      enum slot slot, enum event_dir dir, __u64 pos,
					      __u64 now, __u64 start_ns, __u64 pid_tgid)
{
	__builtin_memset(&t->data, 0, sizeof(t->data));
	t->data.hdr.type = EVENT_DATA;
	t->data.hdr.len = sizeof(t->data);
	t->data.hdr.ts_ns = now;
	t->data.hdr.conn_id = conn->id;
	t->head = slot == SLOT_RECV_TWIN ? HEAD_SLOT_TWIN : HEAD_SLOT_RECV;
	t->data.start_ns = start_ns ? start_ns : now;
	t->data.flags = start_ns ? DATA_EXACT_START : 0;
	t->has_context = 0;
	if (dir == DIR_RECV && conn->send_start_ns)
		t->data.flags |= DATA_SEND_PENDING;
	t->data.pos = pos;
	t->data.tgid = pid_tgid >> 32;
	t->data.tid = pid_tgid;
	t->data.dir = dir;
}

/* How to read on in the head of a request: enum context_how. */
static __always_inline __u32 traffic__how(const struct conn *conn, bool turn)
{
	return (turn ? CONTEXT_TURN : 0) | (conn->head & CONTEXT_OPEN) |
	       (conn->proto == PROTO_FASTCGI ? CONTEXT_PARAMS : 0);
}

/* Not inline: its paths are one again behind it, to the verifier, too. */
static __noinline int traffic__find_client(struct sock *sk, struct conn *conn, struct transfer *t,
					   enum slot slot, __u32 size)
{
	if (!pair__find(sk, size, &t->data))
		unix__find(sk, conn, slot, t->data.hdr.ts_ns, &t->data);
	return 0;
}

/*
 * On whose behalf is this?  A server learns which client's message it has received, and its
 * thread serves that request from now on; what a client sends is of the request that its
 * thread serves.
 */
static __always_inline void traffic__refer(struct sock *sk, struct conn *conn, struct transfer *t,
					   enum slot slot, enum event_dir dir, __u32 size,
					   int flags, bool turn, bool located, __u64 thread)
{
	__u64 now = t->data.hdr.ts_ns;

	if (conn->side == ROLE_CLIENT) {
		if (dir == DIR_SEND) {
			activity__find(sk, conn, thread, &t->data);
			activity__calls(conn, thread, size);
		} else {
			loop__answered(conn, thread >> 32);
		}
		if (dir == DIR_SEND && turn && classify__is_web(conn->proto)) {
			unix__tell(sk, conn, slot, size, now);
			inject__sent(sk, conn, thread >> 32);
		}
		return;
	}
	if (conn->side != ROLE_SERVER)
		return;
	if (option_wanted && dir == DIR_RECV)
		option__receive(sk, t, size);
	if (!classify__is_web(conn->proto))
		return;
	if (dir == DIR_RECV && conn->marks & CONN_PEEKED)
		activity__begin_peeked(conn, thread);
	if (dir == DIR_SEND) {
		if (conn->proto == PROTO_FASTCGI ? fastcgi__ends(t, size) : turn) {
			conn->marks &= ~CONN_PEEKED;
			activity__end(conn);
		}
		return;
	}
	if (turn)
		traffic__find_client(sk, conn, t, slot, size);
	if (contexts_wanted && (turn || conn->head & CONTEXT_OPEN))
		conn->head = context__receive(slot, located ? size : 0, traffic__how(conn, turn));
	if (turn) {
		if (activity__peeks(conn, thread, size, t->data.pos))
			return;
		activity__begin(conn, thread, waiter__is_thread(sk, slot, size, flags),
				t->data.pos);
	}
	activity__has_read(conn, thread, size);
}

/* The context that these bytes came with, or went out with. */
static __always_inline void traffic__emit_context(struct conn *conn, const struct transfer *t,
						  enum event_dir dir)
{
	const struct trace_context *sent = NULL;
	struct event_context *event;

	if (dir == DIR_SEND && conn->context_sent) {
		sent = context__find(conn->id, t->data.pos);
		conn->context_sent = 0;
	}
	if (!sent && !t->has_context)
		return;
	event = output__reserve(sizeof(*event), 0);
	if (!event)
		return;
	__builtin_memset(event, 0, sizeof(*event));
	event->hdr.type = EVENT_CONTEXT;
	event->hdr.len = sizeof(*event);
	event->hdr.ts_ns = t->data.hdr.ts_ns;
	event->hdr.conn_id = conn->id;
	event->dir = dir;
	event->carrier = CARRIER_OPTION;
	if (sent)
		option__tell_sent(event, conn, sent, &t->data);
	else
		option__tell_received(event, t);
	output__submit(event, sizeof(*event));
}

/* Emits what is known to be of a protocol. */
static __always_inline void traffic__emit(struct sock *sk, struct conn *conn, struct transfer *t,
					  enum slot slot, enum event_dir dir, __u32 size,
					  bool located)
{
	__u32 budget = conn->budget;

	count__one(dir == DIR_SEND ? COUNT_SENDS : COUNT_RECEIVES);
	if (!(conn->marks & CONN_ANNOUNCED)) {
		if (!traffic__announce(conn, sk, EVENT_CONN, t->data.hdr.ts_ns, 0, size))
			return;
		conn->marks |= CONN_ANNOUNCED;
	}
	if (option_wanted)
		traffic__emit_context(conn, t, dir);
	t->data.proto = conn->proto;
	if (!located) {
		payload__emit_length(t, slot, size);
		return;
	}
	conn->budget = budget > size ? budget - size : 0;
	payload__emit(t, slot, size, budget);
}

/* @size bytes were moved on @conn, a connection that is not ignored. */
static __always_inline void traffic__moved(struct sock *sk, struct conn *conn, enum slot slot,
					   enum event_dir dir, __u32 size, int flags, __u64 now,
					   __u64 pid_tgid)
{
	bool turn = conn__turns(conn, dir);
	__u64 pos = conn->pos[dir];
	__u64 start_ns = dir == DIR_SEND ? conn->send_start_ns : 0;
	bool traced = conn__in_scope(conn, pid_tgid >> 32), located;
	struct transfer *t;

	if (traced && !conn->tgid)
		conn__adopt(conn);
	if (conn->state == CONN_IGNORED || conn__given_up(conn)) {
		intake__unread(sk, conn);
		return;
	}
	if (!traced || (conn->state == CONN_UNKNOWN && !turn)) {
		conn->mmsg_vector = 0;
		return;
	}
	t = payload__transfer(slot);
	if (!t)
		return;
	traffic__describe(t, conn, slot, dir, pos, now, start_ns, pid_tgid);
	located = syscall__locate(t, conn, dir, size, flags);
	if (!located)
		t->piece.len = t->pieces = 0;
	if (turn && conn->state != CONN_BOUND && !traffic__classify(conn, t, slot, dir, size)) {
		if (dir == DIR_RECV && !intake__unread(sk, conn))
			conn->state = CONN_UNKNOWN; /* so that the next turn comes here */
		return;
	}
	if (conn->proto == PROTO_FASTCGI && conn->side == ROLE_SERVER && dir == DIR_RECV)
		turn = fastcgi__begins(conn, t, size, turn);
	if (turn) {
		conn->budget = capture_bytes * classify__depth(conn->proto);
		t->data.flags |= DATA_TURN;
	}
	traffic__refer(sk, conn, t, slot, dir, size, flags, turn, located, pid_tgid);
	if (turn)
		traffic__sample(conn, &t->data);
	if (contexts_wanted && traffic__mutes(conn, &t->data, turn)) {
		count__add(COUNT_UNSAMPLED_BYTES, size);
		return;
	}
	traffic__emit(sk, conn, t, slot, dir, size, located);
}

/*
 * A send or receive of @ret bytes on @sk is done.  What is out of scope leaves before all that
 * costs: on a host where little is traced that is most of what goes by here.
 */
static __always_inline void traffic__done(struct sock *sk, enum slot slot, enum event_dir dir,
					  int ret, int flags)
{
	__u64 now, pid_tgid = bpf_get_current_pid_tgid(), key = scope__key(pid_tgid >> 32);
	volatile struct bystander *place = bystander__place(sk);
	struct conn *conn;

	if (flags & (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE))
		return;
	if (ret > 0 && bystander__is_out(place, sk, key)) {
		bystander__moves(place, dir, ret);
		return;
	}
	conn = conn__find(sk);
	if (conn ? conn->state == CONN_IGNORED : !core__is_followed(sk))
		return;
	if (ret <= 0) {
		if (conn)
			traffic__nothing(sk, conn, dir, ret);
		return;
	}
	if (conn)
		conn__settle(conn, sk, place, dir);
	if (conn && conn__is_out(conn, key)) {
		bystander__take(sk, conn->id, key);
		conn__pass(conn, dir, ret);
		return;
	}
	now = bpf_ktime_get_ns();
	if (!conn) {
		conn = conn__open(sk, slot, now);
		if (!conn) {
			intake__unread(sk, NULL);
			return;
		}
		if (dir == DIR_SEND) /* late, but mostly before the peer has received it */
			pair__tell(sk, ret, conn->id, 0);
	}
	if (!(conn->marks & CONN_PORT_SEEN) && !address__wanted(sk)) {
		if (intake__unread(sk, conn))
			conn->state = CONN_IGNORED;
		return;
	}
	conn->marks |= CONN_PORT_SEEN;
	pair__catch_up(sk, conn, dir, ret);
	traffic__moved(sk, conn, slot, dir, ret, flags, now, pid_tgid);
	conn->pos[dir] += ret;
	if (dir == DIR_SEND) /* only now: until the record is out, receives say that it is due */
		conn->send_start_ns = 0;
}

/* The socket is gone, or about to. */
static __always_inline void traffic__gone(struct sock *sk)
{
	struct conn *conn = conn__find(sk);

	if (conn) {
		activity__end(conn);
		loop__answered(conn, conn->tgid);
		traffic__close(conn, CONN_DONE, CLOSE_DONE, BPF_CORE_READ(sk, sk_err));
	}
	conn__free(sk);
}

#endif
