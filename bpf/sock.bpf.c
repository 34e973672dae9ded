// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Hooks on sockets that are tracepoints: S, D and R of the family "tp", and the life of TCP
 * connections for every family; and their twins, see twin.bpf.h.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/activity_find.bpf.h"
#include "bpf/traffic.bpf.h"
#include "bpf/traffic_begins.bpf.h"
#include "bpf/twin.bpf.h"

SEC("tp_btf/tcp_sendmsg_locked")
int BPF_PROG(tp_send_begins, struct sock *sk, const struct msghdr *msg)
{
	traffic__begins(sk, msg->msg_iter.count);
	return 0;
}

/* When it was seen, this is nothing. */
SEC("tp_btf/tcp_sendmsg_locked")
int BPF_PROG(twin_send_begins, struct sock *sk, const struct msghdr *msg)
{
	traffic__begins(sk, msg->msg_iter.count);
	return 0;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(tp_send_done, struct sock *sk, int ret, int flags)
{
	if (sk->sk_type == SOCK_STREAM && twin__first(DIR_SEND))
		traffic__done(sk, SLOT_SEND, DIR_SEND, ret, 0);
	return 0;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(twin_send_done, struct sock *sk, int ret, int flags)
{
	if (sk->sk_type == SOCK_STREAM && twin__second(DIR_SEND))
		traffic__done(sk, SLOT_SEND_TWIN, DIR_SEND, ret, 0);
	return 0;
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(tp_receive_done, struct sock *sk, int ret, int flags)
{
	if (sk->sk_type == SOCK_STREAM && twin__first(DIR_RECV))
		traffic__done(sk, SLOT_RECV, DIR_RECV, ret, flags);
	return 0;
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(twin_receive_done, struct sock *sk, int ret, int flags)
{
	if (sk->sk_type == SOCK_STREAM && twin__second(DIR_RECV))
		traffic__done(sk, SLOT_RECV_TWIN, DIR_RECV, ret, flags);
	return 0;
}

/* On whose behalf does the current thread connect? */
static __always_inline void sock__remember_cause(struct sock *sk, struct conn *conn)
{
	struct event_data found = {};

	activity__find(sk, conn, bpf_get_current_pid_tgid(), &found);
	conn->ref = found.ref;
	conn->ref_conn = found.ref_conn;
	conn->ref_pos = found.ref_pos;
}

/* Has the current connect() of the socket been seen? */
static __always_inline bool sock__is_connecting(const struct conn *conn)
{
	return conn->role == ROLE_CLIENT && conn->state == CONN_UNKNOWN &&
	       !(conn->marks & CONN_ANNOUNCED) && !conn->pos[DIR_SEND] && !conn->pos[DIR_RECV];
}

/* connect(): the process is the current one, the local port is not chosen yet. */
static __always_inline void sock__connects(struct sock *sk, enum slot slot)
{
	struct conn *conn = conn__find(sk);
	__u64 now = bpf_ktime_get_ns();

	if (slot == SLOT_STATE_TWIN && conn && sock__is_connecting(conn))
		return;
	if (conn) { /* the socket is used again */
		traffic__close(conn, CONN_DONE, CLOSE_DONE, 0);
		bystander__free(sk);
		conn__reset(conn, slot, now);
	} else {
		conn = conn__open(sk, slot, now);
	}
	if (!conn)
		return;
	conn->role = ROLE_CLIENT;
	conn->flags = CONN_FRESH;
	conn__adopt(conn);
	sock__remember_cause(sk, conn); /* should it fail, that is known in a softirq */
}

/* accept() will return this socket.  We are in a softirq: the current process is any. */
static __always_inline void sock__accepted(struct sock *sk, enum slot slot)
{
	struct conn *conn = conn__find(sk);

	if (conn) /* data came with the handshake and was read already, or the twin asks */
		return;
	conn = conn__open(sk, slot, bpf_ktime_get_ns());
	if (!conn)
		return;
	conn->role = ROLE_SERVER;
	conn->flags = CONN_FRESH;
}

/* connect() failed, or was given up by the program: sk_err is 0 then. */
static __always_inline void sock__refused(struct sock *sk)
{
	struct conn *conn = conn__find(sk);
	__s32 error = BPF_CORE_READ(sk, sk_err);

	if (!conn || conn->state == CONN_IGNORED || !conn__in_scope(conn, conn->tgid) ||
	    !address__wanted(sk))
		return;
	count__one(COUNT_CONNECT_FAILED);
	traffic__announce(conn, sk, EVENT_CONN_FAILED, bpf_ktime_get_ns(),
			  error ? error : ECANCELED, 0);
	conn->state = CONN_IGNORED; /* until it connects again */
}

static __always_inline void sock__changes(struct sock *sk, enum slot slot, int from, int to)
{
	if (sk->sk_protocol != IPPROTO_TCP)
		return;
	if (to == TCP_SYN_SENT)
		sock__connects(sk, slot);
	else if (to == TCP_LISTEN)
		heir__forget(bpf_get_current_pid_tgid() >> 32);
	else if (from == TCP_SYN_RECV && to == TCP_ESTABLISHED)
		sock__accepted(sk, slot);
	else if (from == TCP_SYN_SENT && to == TCP_ESTABLISHED)
		pair__connected(sk, conn__find(sk));
	else if (from == TCP_SYN_SENT && to == TCP_CLOSE)
		sock__refused(sk);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(state_changes, struct sock *sk, int from, int to)
{
	sock__changes(sk, SLOT_STATE, from, to);
	return 0;
}

/* This and the next two change nothing when the first has been there. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(twin_state_changes, struct sock *sk, int from, int to)
{
	sock__changes(sk, SLOT_STATE_TWIN, from, to);
	return 0;
}

static __always_inline void sock__reset(struct sock *sk)
{
	struct conn *conn = conn__find(sk);

	if (conn)
		traffic__close(conn, CONN_RESET, CLOSE_RESET, ECONNRESET);
}

SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(reset_received, struct sock *sk)
{
	sock__reset(sk);
	return 0;
}

SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(twin_reset_received, struct sock *sk)
{
	sock__reset(sk);
	return 0;
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(socket_gone, struct sock *sk)
{
	traffic__gone(sk);
	return 0;
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(twin_socket_gone, struct sock *sk)
{
	traffic__gone(sk);
	return 0;
}
