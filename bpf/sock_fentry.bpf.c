// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Hooks on the entry and exit of socket functions.  "fentry_": D and R of the family of that
 * name.  "extra_": S and what else has no tracepoint; for the family "tp" as well, on kernels
 * that allow them.
 *
 * inet_sendmsg and its kin, not tcp_sendmsg: a socket in a sockmap bypasses the latter, and
 * the arguments of tcp_recvmsg() have changed three times.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/traffic.bpf.h"
#include "bpf/traffic_begins.bpf.h"

SEC("fentry/inet_sendmsg")
int BPF_PROG(extra_inet_send, struct socket *sock, struct msghdr *msg, __u64 size)
{
	traffic__begins(sock->sk, size);
	return 0;
}

SEC("fentry/inet6_sendmsg")
int BPF_PROG(extra_inet6_send, struct socket *sock, struct msghdr *msg, __u64 size)
{
	traffic__begins(sock->sk, size);
	return 0;
}

SEC("fentry/unix_stream_sendmsg")
int BPF_PROG(extra_unix_send, struct socket *sock, struct msghdr *msg, __u64 size)
{
	traffic__begins(sock->sk, size);
	return 0;
}

SEC("fentry/unix_release")
int BPF_PROG(extra_unix_gone, struct socket *sock)
{
	struct sock *sk = sock->sk;

	if (sk)
		traffic__gone(sk);
	return 0;
}

/* sendfile() and splice() until 6.5 (dc97391e6610) did not come by inet_sendmsg(). */
SEC("fexit/inet_sendpage")
int BPF_PROG(extra_sendpage, struct socket *sock, void *page, int offset, __u64 size, int flags,
	     __s64 ret)
{
	traffic__done(sock->sk, SLOT_SEND_PAGE, DIR_SEND, ret, 0);
	return 0;
}

SEC("fexit/inet_sendmsg")
int BPF_PROG(fentry_inet_sent, struct socket *sock, struct msghdr *msg, __u64 size, int ret)
{
	traffic__done(sock->sk, SLOT_SEND, DIR_SEND, ret, 0);
	return 0;
}

SEC("fexit/inet6_sendmsg")
int BPF_PROG(fentry_inet6_sent, struct socket *sock, struct msghdr *msg, __u64 size, int ret)
{
	traffic__done(sock->sk, SLOT_SEND6, DIR_SEND, ret, 0);
	return 0;
}

SEC("fexit/unix_stream_sendmsg")
int BPF_PROG(fentry_unix_sent, struct socket *sock, struct msghdr *msg, __u64 size, int ret)
{
	traffic__done(sock->sk, SLOT_SEND_UNIX, DIR_SEND, ret, 0);
	return 0;
}

SEC("fexit/inet_recvmsg")
int BPF_PROG(fentry_inet_recv, struct socket *sock, struct msghdr *msg, __u64 size, int flags,
	     int ret)
{
	traffic__done(sock->sk, SLOT_RECV, DIR_RECV, ret, flags);
	return 0;
}

SEC("fexit/inet6_recvmsg")
int BPF_PROG(fentry_inet6_recv, struct socket *sock, struct msghdr *msg, __u64 size, int flags,
	     int ret)
{
	traffic__done(sock->sk, SLOT_RECV6, DIR_RECV, ret, flags);
	return 0;
}

SEC("fexit/unix_stream_recvmsg")
int BPF_PROG(fentry_unix_recv, struct socket *sock, struct msghdr *msg, __u64 size, int flags,
	     int ret)
{
	traffic__done(sock->sk, SLOT_RECV_UNIX, DIR_RECV, ret, flags);
	return 0;
}
