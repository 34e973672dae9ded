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
#include "bpf/core.bpf.h"
#include "bpf/event.h"

enum inject_state {
	INJECT_HEAD,
	INJECT_BODY,
	INJECT_CHUNKS,
	INJECT_SEEK,
	INJECT_OFF,
};

struct injection {
	__u64 send_ns;	/* the send under way, by conn.send_start_ns */
	__u64 passed;	/* bytes of it that went by */
	__u64 head_pos; /* where the current head begins */
	__u64 next_pos; /* where the next bytes must begin; of a body: where it ends */
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

struct destination {
	__u32 addr[4]; /* as the kernel has it; IPv4 in the first */
	__u32 port;
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

/*
 * May @sk be in the map?  Not when its program counts the completions of its sends, which a copy
 * in between changes.  And a thread that waits in a socket there with recv() gets EAGAIN when a
 * signal comes, where it would be restarted else (tcp_bpf_recvmsg).
 */
static __always_inline bool inject__bears(struct sock *sk)
{
	return !core__is_zerocopy(sk) && (inject_blocking || !core__blocks(sk));
}

#endif
