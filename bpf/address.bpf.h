/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who is at the two ends of a socket, read once per connection. */
#ifndef SPANLOOM_ADDRESS_BPF_H
#define SPANLOOM_ADDRESS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/config.bpf.h"
#include "bpf/event.h"

/* inet_sport outlives the port number that a failed connect() gives back (skc_num). */
static __always_inline __u16 address__local_port(struct sock *sk)
{
	return bpf_ntohs(BPF_CORE_READ((struct inet_sock *)sk, inet_sport));
}

static __always_inline __u16 address__peer_port(struct sock *sk)
{
	return bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
}

/* Does the filter of ports let this connection pass? */
static __always_inline bool address__wanted(struct sock *sk)
{
	__u16 local, peer;

	if (!port_count)
		return true;
	if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_UNIX)
		return false;
	local = address__local_port(sk);
	peer = address__peer_port(sk);
	for (__u32 i = 0; i < PORTS_MAX; i++) {
		if (i < port_count && (ports[i] == local || ports[i] == peer))
			return true;
	}
	return false;
}

/* Path of the listening side: our own address when we were accepted, else our peer's.  A peer
 * that goes away meanwhile leaves an empty path: the reads cannot fault. */
static __always_inline void address__unix_path(struct sock *sk, char path[EVENT_PATH_LEN])
{
	struct unix_address *addr = BPF_CORE_READ((struct unix_sock *)sk, addr);
	__u32 len;

	if (!addr) {
		sk = BPF_CORE_READ((struct unix_sock *)sk, peer);
		addr = BPF_CORE_READ((struct unix_sock *)sk, addr);
	}
	if (!addr)
		return;
	len = BPF_CORE_READ(addr, len) - sizeof(__u16); /* sun_family */
	if (len > sizeof(((struct sockaddr_un *)0)->sun_path))
		return;
	bpf_core_read(path, len, &addr->name[0].sun_path);
	if (len && !path[0])
		path[0] = '@'; /* abstract */
}

/* Fills family, ports, addresses, path and netns; the rest of these fields is zero already. */
static __always_inline void address__read(struct event_conn *event, struct sock *sk)
{
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);

	event->family = family;
	event->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	if (family == AF_UNIX) {
		address__unix_path(sk, event->path);
		return;
	}
	event->local_port = address__local_port(sk);
	event->peer_port = address__peer_port(sk);
	if (family == AF_INET) {
		BPF_CORE_READ_INTO((__be32 *)event->local_addr, sk, __sk_common.skc_rcv_saddr);
		BPF_CORE_READ_INTO((__be32 *)event->peer_addr, sk, __sk_common.skc_daddr);
		return;
	}
	BPF_CORE_READ_INTO(&event->local_addr, sk, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr8);
	BPF_CORE_READ_INTO(&event->peer_addr, sk, __sk_common.skc_v6_daddr.in6_u.u6_addr8);
}

#endif
