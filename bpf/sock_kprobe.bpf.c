// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The last resort: the same functions as sock_fentry.bpf.c, by breakpoint.  A return probe does
 * not know the arguments, so the entry leaves them to it.  Connection state is in a hash:
 * socket storage is not for kprobes.  The kernel sees the return of a bounded number of calls
 * (user/kernel/kretprobe.h): others are counted when their thread makes its next call.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/traffic.bpf.h"
#include "bpf/traffic_begins.bpf.h"

struct kprobe_call {
	__u64 sk;
	__s32 flags;
	__u32 pad;
};

/* pid_tgid -> the call that the thread is in, twice as many as the kernel tells the return of.  The
 * entry adds, the return deletes; least recently used, because a return that the kernel has missed
 * deletes nothing. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, struct kprobe_call);
} kprobe_calls SEC(".maps");

static __always_inline void kprobe__enter(struct socket *sock, __u32 size, int flags,
					  enum event_dir dir)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct sock *sk = BPF_CORE_READ(sock, sk);
	struct kprobe_call call = {
		.sk = (__u64)sk,
		.flags = flags,
	};

	if (!core__is_followed(sk))
		return;
	if (dir == DIR_SEND)
		traffic__begins(sk, size);
	if (bpf_map_lookup_elem(&kprobe_calls, &thread))
		count__one(COUNT_RETURN_MISSED);
	if (bpf_map_update_elem(&kprobe_calls, &thread, &call, BPF_ANY))
		count__one(COUNT_NO_STATE);
}

static __always_inline void kprobe__leave(enum slot slot, enum event_dir dir, int ret)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct kprobe_call *call = bpf_map_lookup_elem(&kprobe_calls, &thread);
	struct sock *sk;
	int flags;

	if (!call)
		return;
	sk = (struct sock *)call->sk;
	flags = call->flags;
	bpf_map_delete_elem(&kprobe_calls, &thread);
	traffic__done(sk, slot, dir, ret, flags);
}

SEC("kprobe/inet_sendmsg")
int BPF_KPROBE(kprobe_inet_send, struct socket *sock, void *msg, __u64 size)
{
	kprobe__enter(sock, size, 0, DIR_SEND);
	return 0;
}

SEC("kretprobe/inet_sendmsg")
int BPF_KRETPROBE(kprobe_inet_sent, int ret)
{
	kprobe__leave(SLOT_SEND, DIR_SEND, ret);
	return 0;
}

SEC("kprobe/inet6_sendmsg")
int BPF_KPROBE(kprobe_inet6_send, struct socket *sock, void *msg, __u64 size)
{
	kprobe__enter(sock, size, 0, DIR_SEND);
	return 0;
}

SEC("kretprobe/inet6_sendmsg")
int BPF_KRETPROBE(kprobe_inet6_sent, int ret)
{
	kprobe__leave(SLOT_SEND6, DIR_SEND, ret);
	return 0;
}

SEC("kprobe/unix_stream_sendmsg")
int BPF_KPROBE(kprobe_unix_send, struct socket *sock, void *msg, __u64 size)
{
	kprobe__enter(sock, size, 0, DIR_SEND);
	return 0;
}

SEC("kretprobe/unix_stream_sendmsg")
int BPF_KRETPROBE(kprobe_unix_sent, int ret)
{
	kprobe__leave(SLOT_SEND_UNIX, DIR_SEND, ret);
	return 0;
}

SEC("kprobe/inet_sendpage")
int BPF_KPROBE(kprobe_sendpage, struct socket *sock, void *page, int offset, __u64 size)
{
	kprobe__enter(sock, size, 0, DIR_SEND);
	return 0;
}

SEC("kretprobe/inet_sendpage")
int BPF_KRETPROBE(kprobe_sentpage, int ret)
{
	kprobe__leave(SLOT_SEND_PAGE, DIR_SEND, ret);
	return 0;
}

SEC("kprobe/inet_recvmsg")
int BPF_KPROBE(kprobe_inet_recv, struct socket *sock, void *msg, __u64 size, int flags)
{
	kprobe__enter(sock, size, flags, DIR_RECV);
	return 0;
}

SEC("kretprobe/inet_recvmsg")
int BPF_KRETPROBE(kprobe_inet_read, int ret)
{
	kprobe__leave(SLOT_RECV, DIR_RECV, ret);
	return 0;
}

SEC("kprobe/inet6_recvmsg")
int BPF_KPROBE(kprobe_inet6_recv, struct socket *sock, void *msg, __u64 size, int flags)
{
	kprobe__enter(sock, size, flags, DIR_RECV);
	return 0;
}

SEC("kretprobe/inet6_recvmsg")
int BPF_KRETPROBE(kprobe_inet6_read, int ret)
{
	kprobe__leave(SLOT_RECV6, DIR_RECV, ret);
	return 0;
}

SEC("kprobe/unix_stream_recvmsg")
int BPF_KPROBE(kprobe_unix_recv, struct socket *sock, void *msg, __u64 size, int flags)
{
	kprobe__enter(sock, size, flags, DIR_RECV);
	return 0;
}

SEC("kretprobe/unix_stream_recvmsg")
int BPF_KRETPROBE(kprobe_unix_read, int ret)
{
	kprobe__leave(SLOT_RECV_UNIX, DIR_RECV, ret);
	return 0;
}

SEC("kprobe/unix_release")
int BPF_KPROBE(kprobe_unix_gone, struct socket *sock)
{
	struct sock *sk = BPF_CORE_READ(sock, sk);

	if (sk)
		traffic__gone(sk);
	return 0;
}
