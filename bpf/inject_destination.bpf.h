/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where sockets lead whose requests are to get headers: servers that do not speak HTTP are
 * remembered for some time, so that not each connection to them has to find out. */
#ifndef SPANLOOM_INJECT_DESTINATION_BPF_H
#define SPANLOOM_INJECT_DESTINATION_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#define NOT_HTTP_NS (10 * 1000000000ULL)

struct destination {
	__u32 addr[4]; /* as the kernel has it; IPv4 in the first */
	__u32 port;    /* likewise */
	__u32 netns;
};

/* Servers that do not speak HTTP -> when that was found (ns).  The newest take the place of the
 * oldest; none is believed for ever. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct destination);
	__type(value, __u64);
} not_http SEC(".maps") __weak;

/* All of @to is written. */
static __always_inline void destination__read(struct destination *to, const struct tcp_sock *tcp)
{
	const struct sock *sk = (const struct sock *)tcp;

	__builtin_memset(to, 0, sizeof(*to));
	to->port = BPF_CORE_READ(sk, __sk_common.skc_dport);
	to->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET)
		to->addr[0] = BPF_CORE_READ(sk, __sk_common.skc_daddr);
	else
		BPF_CORE_READ_INTO(&to->addr, sk, __sk_common.skc_v6_daddr.in6_u.u6_addr8);
}

/* What was sent there first is no request. */
static __always_inline void destination__refuse(const struct tcp_sock *tcp)
{
	struct destination to;
	__u64 now = bpf_ktime_get_ns();

	destination__read(&to, tcp);
	bpf_map_update_elem(&not_http, &to, &now, BPF_ANY);
}

/* As far as it is known. */
static __always_inline bool destination__speaks_http(const struct tcp_sock *tcp)
{
	struct destination to;
	const __u64 *refused;

	destination__read(&to, tcp);
	refused = bpf_map_lookup_elem(&not_http, &to);
	return !refused || bpf_ktime_get_ns() - *refused > NOT_HTTP_NS;
}

#endif
