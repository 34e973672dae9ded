/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is sent on a socket whose requests get a traceparent header, request by request.
 *
 *	HEAD --its end was sent--> BODY or CHUNKS --the last byte was sent--> HEAD ...
 *	   +------ not HTTP, or the next boundary cannot be known ------> OFF
 *	SEEK --a turn's first bytes are a head--> HEAD, unproven
 *
 * A socket that joins in the middle of its life is followed from what looks like a request;
 * headers it gets when user space, which reads all of the stream, has said that it is one.
 *
 * A head may come in pieces, several requests in one.  The header goes before the empty line
 * that ends the head, when all of it has been seen: then it is known that there is none yet.
 * Where a request ends follows from its Content-Length or its chunks; what is received says
 * nothing of it.
 * Positions are those of the program's own bytes, as conn.pos has them: what the kernel did not
 * take and the program sends again is found to be out of place, and ends it.
 */
#ifndef SPANLOOM_INJECT_BPF_H
#define SPANLOOM_INJECT_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/chunk.h"
#include "bpf/config.bpf.h"
#include "bpf/conn.bpf.h"
#include "bpf/core.bpf.h"
#include "bpf/count.bpf.h"
#include "bpf/event.h"
#include "bpf/scope.bpf.h"
#include "bpf/sdk.bpf.h"

enum inject_state {
	INJECT_HEAD,
	INJECT_BODY,
	INJECT_CHUNKS,
	INJECT_SEEK,
	INJECT_OFF,
};

struct injection {
	__u64 send_ns;	 /* the send under way, by conn.send_start_ns */
	__u64 passed;	 /* bytes of it that went by */
	__u64 judged_ns; /* the send in which a request was last counted, likewise */
	__u64 head_pos;	 /* where the current head begins */
	__u64 next_pos;	 /* where the next bytes must begin; of a body: where it ends */
	struct chunk chunk;
	__u32 shift;  /* what a sequence number is ahead of the position of its byte */
	__u8 state;   /* enum inject_state */
	__u8 in_head; /* a part of it was sent */
	__u8 unproven;
	__u8 placed; /* @shift is known */
};

/* Of the sockets in "sockets"; freed with the socket. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct injection);
} injections SEC(".maps") __weak;

/* conn_id -> socket of a client whose requests get headers.  Programs and user space add;
 * user space deletes on EVENT_LEAVE, the kernel when the socket closes. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __u32);
} sockets SEC(".maps") __weak;

/* conn_id -> 1: clients that speak HTTP and are not in "sockets".  User space adds; deleted when
 * they have joined; the newest take the place of the oldest. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, __u32);
} joins SEC(".maps") __weak;

/* tgid -> 1: none of its sockets gets headers for some time, for many of them stood still.  User
 * space adds and deletes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u32);
} resting SEC(".maps") __weak;

/*
 * May @sk be in the map?  Not when its program counts the completions of its sends, which a copy
 * in between changes.  And a thread that waits in a socket there with recv() gets EAGAIN when a
 * signal comes, where it would be restarted else (tcp_bpf_recvmsg).
 */
static __always_inline bool inject__bears(struct sock *sk)
{
	struct socket *socket = core__bsd_socket(sk);

	return !core__is_zerocopy(sk) && (inject_blocking || !socket || !core__blocks(socket));
}

static __always_inline bool inject__rests(__u32 tgid)
{
	return bpf_map_lookup_elem(&resting, &tgid);
}

/* May headers go into what @tgid sends?  An id of ours would be of a span that nobody makes when
 * it has an SDK. */
static __always_inline bool inject__touches(__u32 tgid)
{
	return scope__injected(tgid) && !sdk__adopted(tgid);
}

/* @tgid has sent a client's request.  Was it not looked at? */
static __always_inline void inject__sent(struct sock *sk, const struct conn *conn, __u32 tgid)
{
	const struct injection *in;

	if (!inject_wanted || conn->proto != PROTO_HTTP1 ||
	    BPF_CORE_READ(sk, __sk_common.skc_family) == AF_UNIX)
		return;
	in = bpf_sk_storage_get(&injections, sk, NULL, 0);
	if (in && ((in->judged_ns && in->judged_ns == conn->send_start_ns) ||
		   (in->in_head && in->state != INJECT_OFF)))
		return;
	if (!inject__touches(tgid))
		count__one(COUNT_INJECT_NOT_WANTED);
	else if (!inject__bears(sk))
		count__one(COUNT_INJECT_UNFIT);
	else
		count__one(COUNT_INJECT_APART);
}

#endif
