/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Calls through net/http's transport: a goroutine of the connection writes them, not the one that
 * calls.
 *
 * (*persistConn).roundTrip runs in the goroutine that calls, when it has been given a connection
 * for its request alone: nobody else's request is written there before its own, or the
 * connection is closed.  So what the socket sends next is of the request that this goroutine
 * serves.
 */
#ifndef SPANLOOM_GO_TRANSPORT_BPF_H
#define SPANLOOM_GO_TRANSPORT_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/conn.bpf.h"
#include "bpf/core.bpf.h"
#include "bpf/event.h"
#include "bpf/go.bpf.h"

#define GO_NOT_SENT (~0ULL)

struct go_handover {
	__u64 since_ns;
	__u64 pos; /* where its request begins in what the socket sends, or GO_NOT_SENT */
	__u64 ref_conn;
	__u64 ref_pos;
	__u64 ref; /* enum ref_kind; the three as in struct event_data */
};

/* Address of a socket -> on whose behalf its next request is.  Each roundTrip writes or deletes;
 * the others make room for newer ones. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, struct go_handover);
} go_handovers SEC(".maps") __weak;

/* The socket behind a net.Conn that is a *net.TCPConn or *net.UnixConn; NULL: it is another type
 * (TLS), which is known by what stands in the place of the family and the type of the socket. */
static __always_inline struct sock *go_transport__socket(const struct process_runtime *runtime,
							 const struct go_interface *conn)
{
	__u64 fd_struct = conn->data ? go__read(conn->data) : 0;
	__u64 kind[2] = {}; /* family, type */
	struct sock *sk;

	if (!fd_struct || bpf_probe_read_user(kind, sizeof(kind),
					      (void *)(fd_struct + runtime->at[GO_AT_FAMILY])))
		return NULL;
	sk = core__socket(go__read(fd_struct + runtime->at[GO_AT_FD]));
	if (!sk || kind[0] != BPF_CORE_READ(sk, __sk_common.skc_family) || kind[1] != SOCK_STREAM)
		return NULL;
	return sk;
}

/* The socket of the net/http.persistConn at @pc; NULL: none that is known. */
static __always_inline struct sock *go_transport__of(const struct process_runtime *runtime,
						     __u64 pc)
{
	struct go_interface conn = {};
	__u8 shared = 0;

	if (!runtime->at[GO_AT_CONN] ||
	    bpf_probe_read_user(&conn, sizeof(conn), (void *)(pc + runtime->at[GO_AT_CONN])))
		return NULL;
	/* Whoever calls waits inside of roundTrip until another's request is done. */
	if (runtime->at[GO_AT_SHARED] &&
	    (bpf_probe_read_user(&shared, sizeof(shared),
				 (void *)(pc + runtime->at[GO_AT_SHARED])) ||
	     shared))
		return NULL;
	return go_transport__socket(runtime, &conn);
}

/* The next request on @sk is on behalf of @data->ref. */
static __always_inline void go_transport__hand_over(struct sock *sk, const struct event_data *data)
{
	struct go_handover handover = { .since_ns = bpf_ktime_get_ns(),
					.pos = GO_NOT_SENT,
					.ref_conn = data->ref_conn,
					.ref_pos = data->ref_pos,
					.ref = data->ref };
	__u64 key = (__u64)sk;

	if (data->ref)
		bpf_map_update_elem(&go_handovers, &key, &handover, BPF_ANY);
	else
		bpf_map_delete_elem(&go_handovers, &key);
}

/* Is it of this socket, or of one that had the same address before?  The state of a TCP connection
 * that is not fresh may be younger than it, but the connection is older than the agent. */
static __always_inline bool go_transport__is_of(const struct go_handover *handover,
						const struct sock *sk, const struct conn *conn)
{
	return handover->since_ns > conn->start_ns ||
	       (!(conn->flags & CONN_FRESH) &&
		BPF_CORE_READ(sk, __sk_common.skc_family) != AF_UNIX);
}

/* On whose behalf does @conn send?  Only the next message after roundTrip is. */
static __always_inline bool go_transport__find(const struct sock *sk, const struct conn *conn,
					       struct event_data *data)
{
	__u64 key = (__u64)sk, pos;
	struct go_handover *handover = bpf_map_lookup_elem(&go_handovers, &key);

	if (!handover || !go_transport__is_of(handover, sk, conn))
		return false;
	pos = conn__pos(sk, conn, DIR_SEND);
	if (handover->pos == GO_NOT_SENT)
		handover->pos = pos;
	if (handover->pos != pos)
		return false;
	data->ref = handover->ref;
	data->ref_conn = handover->ref_conn;
	data->ref_pos = handover->ref_pos;
	return true;
}

#endif
