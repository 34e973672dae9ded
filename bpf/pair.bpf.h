/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The sequence pair: both ends of a TCP connection on this host give a message the same name.
 *
 *	client, when its send begins	(write_seq,		copied_seq)
 *	server, when it has received	(copied_seq - size,	write_seq)
 *
 * A sequence number that one end will send next is the one that the other end will read next,
 * through NAT, port mapping and network namespaces.  The two are equal for a request that was
 * sent after the whole response before it was read; else there is no match, and no link.
 */
#ifndef SPANLOOM_PAIR_BPF_H
#define SPANLOOM_PAIR_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/config.bpf.h"
#include "bpf/conn.bpf.h"
#include "bpf/event.h"

#define PAIR_BUCKETS	4096 /* a power of two */
#define PAIR_WAYS	4    /* messages under way that may share a bucket; a power of two */

#define PAIR_AHEAD_MOST (1U << 30) /* bytes that may have been missed */

struct pair_slot {
	__u64 name;
	__u64 conn_id; /* of the client, and where in its stream the message begins */
	__u64 pos;
	__u64 check; /* of the three: two processors may write a slot at once, without a lock */
};

struct pair_bucket {
	struct pair_slot slot[PAIR_WAYS];
	__u64 next; /* slot to be written */
};

/* By a hash of the name; the newest messages take the place of the oldest. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PAIR_BUCKETS);
	__type(key, __u32);
	__type(value, struct pair_bucket);
} pairs SEC(".maps") __weak;

static __always_inline struct pair_bucket *pair__bucket(__u64 name)
{
	__u32 key = name * 0x9e3779b97f4a7c15ULL >> 32 & (PAIR_BUCKETS - 1);

	return bpf_map_lookup_elem(&pairs, &key);
}

static __always_inline __u64 pair__check(__u64 name, __u64 conn_id, __u64 pos)
{
	return (name * 0x9e3779b97f4a7c15ULL + conn_id) * 0xbf58476d1ce4e5b9ULL + pos;
}

/* Of the next byte that a socket sends, and of the next one that its program reads. */
struct pair_numbers {
	__u32 sent;
	__u32 read;
};

/* Has the end of what the peer sends been read?  It has a number of its own, and is read with
 * the last bytes, or behind them. */
static __always_inline bool pair__is_at_end(struct sock *sk, struct tcp_sock *tcp)
{
	if (!use_sk_storage) /* @sk is only a number here */
		return BPF_CORE_READ(sk, __sk_common.skc_state) != TCP_ESTABLISHED &&
		       BPF_CORE_READ(sk, __sk_common.skc_flags) & core__flag(SOCK_DONE) &&
		       BPF_CORE_READ(tcp, copied_seq) == BPF_CORE_READ(tcp, rcv_nxt);
	return sk->__sk_common.skc_state != TCP_ESTABLISHED &&
	       sk->__sk_common.skc_flags & core__flag(SOCK_DONE) && tcp->copied_seq == tcp->rcv_nxt;
}

/* False: @sk is no TCP socket. */
static __always_inline bool pair__numbers(struct sock *sk, struct pair_numbers *numbers)
{
	struct tcp_sock *tcp;

	if (use_sk_storage) {
		tcp = bpf_skc_to_tcp_sock(sk);
		if (!tcp)
			return false;
		numbers->sent = tcp->write_seq;
		numbers->read = tcp->copied_seq;
	} else {
		if (BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP) /* @sk is only a number here */
			return false;
		tcp = (struct tcp_sock *)sk;
		numbers->sent = BPF_CORE_READ(tcp, write_seq);
		numbers->read = BPF_CORE_READ(tcp, copied_seq);
	}
	if (pair__is_at_end(sk, tcp))
		numbers->read--;
	return true;
}

/* Do the numbers of @sk count other bytes than its program sends and reads, as with TLS in the
 * kernel? */
static __always_inline bool pair__is_translated(struct sock *sk)
{
	return BPF_CORE_READ((struct inet_connection_sock *)sk, icsk_ulp_ops);
}

/* @sk is connected, and has moved nothing yet. */
static __always_inline void pair__connected(struct sock *sk, struct conn *conn)
{
	struct pair_numbers next;

	if (!misses_possible || !conn || conn->pos[DIR_SEND] || conn->pos[DIR_RECV] ||
	    !pair__numbers(sk, &next))
		return;
	conn->base[DIR_SEND] = next.sent;
	conn->base[DIR_RECV] = next.read;
}

/*
 * Where programs may be missed, as in twin.bpf.h, what was moved next would take the place of
 * the bytes that went by, its answer would be the next one's, and another's message had their
 * name.  The sequence numbers tell that something went by: user space sees a gap then.  @moved:
 * bytes that are moved and not counted yet; 0: they are about to be.  Did something go by?
 */
static __always_inline bool pair__catch_up(struct sock *sk, struct conn *conn, enum event_dir dir,
					   __u32 moved)
{
	struct pair_numbers next;
	__u32 ahead;

	if (!misses_possible || !pair__numbers(sk, &next))
		return false;
	ahead = (dir == DIR_SEND ? next.sent : next.read) - moved - (__u32)conn->pos[dir];
	if (!conn->base[dir]) {
		if (moved) /* what is put in on the way of the first send is behind it */
			conn->base[dir] = ahead;
		return false;
	}
	ahead -= conn->base[dir];
	if (!ahead || ahead >= PAIR_AHEAD_MOST || pair__is_translated(sk))
		return false;
	conn->pos[dir] += ahead;
	if (dir == DIR_SEND) { /* what is known is of what went by */
		conn->send_start_ns = 0;
		conn->marks &= ~CONN_OVERTAKEN;
	}
	return true;
}

/* A client sends the message at @pos of @conn_id, of which @sent bytes are on their way. */
static __always_inline void pair__tell(struct sock *sk, __u32 sent, __u64 conn_id, __u64 pos)
{
	struct pair_bucket *bucket;
	struct pair_numbers next;
	struct pair_slot *slot;
	__u64 name;

	if (!pair__numbers(sk, &next))
		return;
	name = (__u64)(next.sent - sent) << 32 | next.read;
	bucket = pair__bucket(name);
	if (!bucket)
		return;
	slot = &bucket->slot[bucket->next++ & (PAIR_WAYS - 1)];
	slot->name = name;
	slot->conn_id = conn_id;
	slot->pos = pos;
	slot->check = pair__check(name, conn_id, pos);
}

/*
 * Where a send ends that has @left bytes to go.  While it goes on that is the same; one behind it
 * ends elsewhere, or goes on where it stopped.  0: nobody asks.
 */
static __always_inline __u32 pair__end(struct sock *sk, __u32 left)
{
	struct pair_numbers next;

	if (!misses_possible || !pair__numbers(sk, &next))
		return 0;
	return next.sent + left;
}

/* A server has received @size bytes that begin a message: whose are they?  Nothing changes when
 * they are nobody's on this host that we know.  False: @sk is no TCP socket. */
static __always_inline bool pair__find(struct sock *sk, __u32 size, struct event_data *data)
{
	struct pair_bucket *bucket;
	struct pair_numbers next;
	__u64 name;

	if (!pair__numbers(sk, &next))
		return false;
	name = (__u64)(next.read - size) << 32 | next.sent;
	bucket = pair__bucket(name);
	for (int i = 0; bucket && i < PAIR_WAYS; i++) {
		struct pair_slot seen = bucket->slot[i];

		if (seen.name != name || seen.check != pair__check(name, seen.conn_id, seen.pos))
			continue;
		data->ref = REF_PEER;
		data->ref_conn = seen.conn_id;
		data->ref_pos = seen.pos;
		break;
	}
	return true;
}

#endif
