/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Unix sockets: both ends are on this host and know each other, and nothing is lost or
 * reordered in between.  So a byte that the server receives is named by the client's socket
 * and by how many bytes went before it, once the two ends count from the same byte:
 *
 *	both were seen from their first byte on, or
 *	all that stands in the server's queue is what the client has just sent.
 *
 * Bytes that no hook counts show: then no request of the client's begins where the count
 * says.  splice() reads such, and so does, with fexit, whoever waited already when the agent came.
 *
 * There is no hook before a send here: the server may have its message before anything is
 * known of the client.  Whoever comes first makes the state of both.
 */
#ifndef SPANLOOM_UNIX_BPF_H
#define SPANLOOM_UNIX_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/config.bpf.h"
#include "bpf/conn.bpf.h"
#include "bpf/core.bpf.h"
#include "bpf/event.h"

/* No system call takes so long to come from moving bytes to its hook. */
#define UNIX_QUIET_NS 100000000ULL

/* The other end, which lives as long as @sk: it is held by it.  NULL: none, or not to be had. */
static __always_inline struct sock *unix__peer(struct sock *sk)
{
	struct unix_sock *unix;

	if (!use_sk_storage && BPF_CORE_READ(sk, __sk_common.skc_family) == AF_UNIX)
		return BPF_CORE_READ((struct unix_sock *)sk, peer);
	if (!use_sk_storage)
		return NULL;
	if (!core__has_unix_cast())
		return NULL;
	unix = bpf_skc_to_unix_sock(sk);
	return unix ? unix->peer : NULL;
}

static __always_inline struct conn *unix__open(struct sock *sk, enum slot slot, __u64 now)
{
	struct conn *conn = conn__find(sk);

	return conn ? conn : conn__open(sk, slot, now);
}

/* Are the @size bytes that were just sent to @peer all that it has not read? */
static __always_inline bool unix__holds_only(struct sock *peer, __u32 size)
{
	struct sk_buff *first, *again;
	__u32 count, len, read;

	first = BPF_CORE_READ(peer, sk_receive_queue.next);
	count = BPF_CORE_READ(peer, sk_receive_queue.qlen);
	len = BPF_CORE_READ(first, len);
	if (!core__unix_consumed(first, &read))
		return false;
	/* still there: so it was it that we looked at */
	again = BPF_CORE_READ(peer, sk_receive_queue.next);
	return first == again && count == 1 && len == size && !read;
}

/* Did neither end move a byte since both were found, some time ago? */
static __always_inline bool unix__untouched(const struct conn *conn, const struct conn *peer,
					    __u64 now)
{
	return !conn->pos[DIR_SEND] && !conn->pos[DIR_RECV] && !peer->pos[DIR_SEND] &&
	       !peer->pos[DIR_RECV] && now > conn->start_ns + UNIX_QUIET_NS &&
	       now > peer->start_ns + UNIX_QUIET_NS;
}

/* The client @conn has sent @size bytes that begin a turn, but not counted them yet. */
static __always_inline void unix__tell(struct sock *sk, struct conn *conn, enum slot slot,
				       __u32 size, __u64 now)
{
	struct sock *peer = unix__peer(sk);
	struct conn *server;

	if (!peer)
		return;
	conn->request_pos = conn->pos[DIR_SEND];
	server = unix__open(peer, slot, now);
	if (!server || conn->flags & server->flags & CONN_FRESH)
		return;
	/* The server's last word was received: it has counted what it had read until then. */
	if (!unix__untouched(conn, server, now) &&
	    !(conn__pos(sk, conn, DIR_RECV) && conn__last_dir(peer, server) == DIR_SEND))
		return;
	if (!unix__holds_only(peer, size))
		return;
	conn->peer_base = conn->pos[DIR_SEND] - conn__pos(peer, server, DIR_RECV);
	barrier();
	conn->marks |= CONN_PAIRED;
}

/* Does what the client has sent last, or is about to, begin at @pos? */
static __always_inline bool unix__sends_at(const struct sock *sk, const struct conn *client,
					   __u64 pos)
{
	return conn__pos(sk, client, DIR_SEND) == pos ||
	       (conn__last_dir(sk, client) == DIR_SEND && client->request_pos == pos);
}

/* The server @conn has received a message: whose is it?  Nothing changes when that is not
 * certain. */
static __always_inline void unix__find(struct sock *sk, struct conn *conn, enum slot slot,
				       __u64 now, struct event_data *data)
{
	struct sock *peer = unix__peer(sk);
	struct conn *client;
	__u64 pos = data->pos;

	if (!peer)
		return;
	client = unix__open(peer, slot, now);
	if (!client)
		return;
	if (client->marks & CONN_PAIRED)
		pos += client->peer_base;
	else if (!(client->flags & conn->flags & CONN_FRESH))
		return;
	if (!unix__sends_at(peer, client, pos))
		return;
	data->ref = REF_PEER;
	data->ref_conn = client->id;
	data->ref_pos = pos;
}

#endif
