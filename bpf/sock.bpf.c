// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Hooks on sockets that are tracepoints: S, D and R of the family "tp", and the life of TCP
 * connections for every family.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/traffic.bpf.h"

static __always_inline bool sock__is_stream(struct sock *sk)
{
	return traffic__follows(sk->__sk_common.skc_family, sk->sk_type, sk->sk_protocol);
}

SEC("tp_btf/tcp_sendmsg_locked")
int BPF_PROG(tp_send_begins, struct sock *sk)
{
	traffic__begins(sk);
	return 0;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(tp_send_done, struct sock *sk, int ret, int flags)
{
	traffic__done(sk, sock__is_stream(sk), SLOT_SEND, DIR_SEND, ret, 0);
	return 0;
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(tp_receive_done, struct sock *sk, int ret, int flags)
{
	traffic__done(sk, sock__is_stream(sk), SLOT_RECV, DIR_RECV, ret, flags);
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

/* connect(): the process is the current one, the local port is not chosen yet. */
static __always_inline void sock__connects(struct sock *sk)
{
	struct conn *conn = conn__find(sk);
	__u64 now = bpf_ktime_get_ns();

	if (conn) { /* the socket is used again */
		traffic__close(conn, CONN_DONE, CLOSE_DONE, 0);
		conn__reset(conn, SLOT_STATE, now);
	} else {
		conn = conn__open(sk, SLOT_STATE, now);
	}
	if (!conn)
		return;
	conn->role = ROLE_CLIENT;
	conn->flags = CONN_FRESH;
	conn__adopt(conn);
	sock__remember_cause(sk, conn); /* should it fail, that is known in a softirq */
}

/* accept() will return this socket.  We are in a softirq: the current process is any. */
static __always_inline void sock__accepted(struct sock *sk)
{
	struct conn *conn = conn__find(sk);

	if (conn) /* data came with the handshake and was read already */
		return;
	conn = conn__open(sk, SLOT_STATE, bpf_ktime_get_ns());
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

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(state_changes, struct sock *sk, int from, int to)
{
	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	if (to == TCP_SYN_SENT)
		sock__connects(sk);
	else if (to == TCP_LISTEN)
		heir__forget(bpf_get_current_pid_tgid() >> 32);
	else if (from == TCP_SYN_RECV && to == TCP_ESTABLISHED)
		sock__accepted(sk);
	else if (from == TCP_SYN_SENT && to == TCP_CLOSE)
		sock__refused(sk);
	return 0;
}

SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(reset_received, struct sock *sk)
{
	struct conn *conn = conn__find(sk);

	if (conn)
		traffic__close(conn, CONN_RESET, CLOSE_RESET, ECONNRESET);
	return 0;
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(socket_gone, struct sock *sk)
{
	traffic__gone(sk);
	return 0;
}
