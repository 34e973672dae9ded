/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Processes that have received what nobody here can read: TLS, a protocol that is not known, a
 * port that is not looked at.  There may be requests in it, so those that are seen need not be all
 * that such a process has: whose a call is cannot be told there by how many there are.  User space
 * is told, once (user/flow/intake.h).
 *
 * What the two ends of a socketpair() say to one another is no request: a program and its parts.
 */
#ifndef SPANLOOM_INTAKE_BPF_H
#define SPANLOOM_INTAKE_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/classify.bpf.h"
#include "bpf/conn.bpf.h"
#include "bpf/event.h"
#include "bpf/output.bpf.h"

enum intake_kind {
	INTAKE_ANSWERS = 1, /* on connections that it has made; nginx fetches no requests there */
	INTAKE_REQUESTS,    /* on others */
};

/* tgid -> enum intake_kind, the worst: user space was told.  Receives and fork add, exit deletes;
 * who finds it full is told of each time, and then counts for all processes here. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u32);
} unread SEC(".maps") __weak;

/* 0: user space could not be told.  A function of its own: it has several callers. */
__weak int intake__tell(__u32 tgid, __u32 kind)
{
	const __u32 *known = bpf_map_lookup_elem(&unread, &tgid);
	struct event_unread *event;

	if (known && *known >= kind)
		return 1;
	event = output__reserve(sizeof(*event), 0);
	if (!event)
		return 0;
	event->hdr.type = EVENT_UNREAD;
	event->hdr.len = sizeof(*event);
	event->hdr.ts_ns = bpf_ktime_get_ns();
	event->hdr.conn_id = 0;
	event->tgid = tgid;
	event->pad = 0;
	output__submit(event, sizeof(*event));
	if (bpf_map_update_elem(&unread, &tgid, &kind, BPF_ANY))
		unread_full = 1;
	return 1;
}

/* Does it get requests that are not seen, from others? */
static __always_inline bool intake__is_asked_unseen(__u32 tgid)
{
	const __u32 *kind = bpf_map_lookup_elem(&unread, &tgid);

	return unread_full || (kind && *kind == INTAKE_REQUESTS);
}

/* What comes in there; 0: nothing that counts. */
static __always_inline __u32 intake__kind(struct sock *sk, const struct conn *conn)
{
	struct sock *peer;

	if (conn && conn->side == ROLE_CLIENT && classify__is_database(conn->proto))
		return 0;
	if (BPF_CORE_READ(sk, __sk_common.skc_family) != AF_UNIX) {
		if (!conn || conn->role != ROLE_CLIENT)
			return INTAKE_REQUESTS;
		return conn__is_nginx(conn) ? 0 : INTAKE_ANSWERS;
	}
	if (BPF_CORE_READ((struct unix_sock *)sk, addr))
		return INTAKE_REQUESTS;
	peer = BPF_CORE_READ((struct unix_sock *)sk, peer);
	return BPF_CORE_READ((struct unix_sock *)peer, addr) ? INTAKE_ANSWERS : 0;
}

/* The current process has received on @sk what cannot be read, or will; @conn: NULL, it has no
 * state.  False: to be told once more. */
static __always_inline bool intake__unread(struct sock *sk, const struct conn *conn)
{
	__u32 kind = intake__kind(sk, conn);

	return !kind || intake__tell(bpf_get_current_pid_tgid() >> 32, kind);
}

/* A child has the connections of its parent. */
static __always_inline void intake__inherit(__u32 parent, __u32 child)
{
	const __u32 *kind = bpf_map_lookup_elem(&unread, &parent);

	if (kind && !intake__tell(child, *kind))
		output__lost_for_good();
}

static __always_inline void intake__forget(__u32 tgid)
{
	bpf_map_delete_elem(&unread, &tgid);
}

#endif
