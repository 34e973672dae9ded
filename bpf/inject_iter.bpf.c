// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Walks over sockets, started by user space: those that are to join, those that may be stuck. */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/conn.bpf.h"
#include "bpf/core.bpf.h"
#include "bpf/inject.bpf.h"

/* Connections that were open before, or had left: into the map with their next request. */
SEC("iter/task_file")
int inject_join(struct bpf_iter__task_file *ctx)
{
	struct sock *sk = core__sock_from_file(ctx->file);
	struct injection *in;
	struct conn *conn;
	__u64 id;

	if (!ctx->task || !sk || sk->sk_type != SOCK_STREAM || sk->sk_protocol != IPPROTO_TCP)
		return 0;
	conn = bpf_sk_storage_get(&conns, sk, NULL, 0);
	if (!conn)
		return 0;
	id = conn->id;
	if (!bpf_map_lookup_elem(&joins, &id))
		return 0;
	bpf_map_delete_elem(&joins, &id);
	if (!inject__bears(sk) || inject__rests(conn->tgid))
		return 0;
	in = bpf_sk_storage_get(&injections, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!in)
		return 0;
	__builtin_memset(in, 0, sizeof(*in));
	in->state = INJECT_SEEK;
	in->unproven = 1;
	bpf_map_delete_elem(&verdicts, &id);
	if (bpf_map_update_elem(&sockets, &id, sk, BPF_NOEXIST))
		count__one(COUNT_INJECT_FULL);
	return 0;
}

/* Is it for the peer or the network that bytes are not acknowledged? */
static __always_inline bool inject__peer_is_slow(const struct tcp_sock *tcp)
{
	return tcp->inet_conn.icsk_retransmits || tcp->write_seq - tcp->snd_una > tcp->snd_wnd;
}

/* Has it bytes that are not acknowledged, or not read?  Where the peer has ended, what counts as not
 * read is that end: programs look when they need the connection again. */
static __always_inline bool inject__is_busy(const struct sock *sk, const struct tcp_sock *tcp)
{
	bool unsent = tcp->snd_una != tcp->write_seq, unread = tcp->copied_seq != tcp->rcv_nxt;

	if (sk->__sk_common.skc_state != TCP_ESTABLISHED || (!unsent && !unread))
		return false;
	return !unsent || !inject__peer_is_slow(tcp);
}

SEC("iter/sockmap")
int inject_watch(struct bpf_iter__sockmap *ctx)
{
	struct inject_socket_state state = {};
	struct sock *sk = ctx->sk;
	struct tcp_sock *tcp;
	struct conn *conn;

	if (!sk || !ctx->key)
		return 0;
	tcp = bpf_skc_to_tcp_sock(sk);
	conn = bpf_sk_storage_get(&conns, sk, NULL, 0);
	if (!tcp || !conn)
		return 0;
	state.rests = inject__rests(conn->tgid);
	if (!state.rests && !inject__is_busy(sk, tcp))
		return 0;
	state.conn_id = conn->id;
	state.tgid = conn->tgid;
	state.unsent[0] = tcp->snd_una;
	state.unsent[1] = tcp->write_seq;
	state.unread[0] = tcp->copied_seq;
	state.unread[1] = tcp->rcv_nxt;
	bpf_seq_write(ctx->meta->seq, &state, sizeof(state));
	return 0;
}
