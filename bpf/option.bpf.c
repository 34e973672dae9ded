// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The TCP option on the wire: room for it is reserved while the last message's first byte is
 * not acknowledged, since any segment may be that byte's until then; and what comes is kept
 * until the program reads the message.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/option.bpf.h"
#include "bpf/traffic.bpf.h"

/* The callbacks are asked for beside those that others want. */
static __always_inline void option__ask(struct bpf_sock_ops *ops, int flag)
{
	bpf_sock_ops_cb_flags_set(ops, ops->bpf_sock_ops_cb_flags | flag);
}

/* A connect() has succeeded.  The current process is any. */
static __always_inline void option__connected(struct bpf_sock_ops *ops, struct bpf_sock *sk)
{
	struct conn *conn = bpf_sk_storage_get(&conns, sk, NULL, 0);
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);
	struct option_ring *ring;

	if (!conn || !tcp || conn->state == CONN_IGNORED || conn->role != ROLE_CLIENT ||
	    !conn__in_scope(conn, conn->tgid) || !address__wanted((struct sock *)tcp))
		return;
	ring = bpf_sk_storage_get(&options, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!ring) {
		count__one(COUNT_OPTION_NO_MEMORY);
		return;
	}
	__builtin_memset(ring, 0, sizeof(*ring));
	ring->shared = !!(ops->bpf_sock_ops_cb_flags & BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG);
	option__ask(ops, BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG);
}

/* What the connection speaks is nothing that gets spans: nothing of ours will go out. */
static __always_inline void option__rest(struct bpf_sock_ops *ops, const struct option_ring *ring)
{
	if (!ring->shared)
		bpf_sock_ops_cb_flags_set(ops, ops->bpf_sock_ops_cb_flags &
						       ~BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG);
}

/*
 * How long will the options be?  First it is asked how long they may be, for the size of
 * segments, and that is when a send begins, before we are told of it: so there must be room as
 * soon as the next send may be a new message.  A segment for which there was none has no option.
 */
static __always_inline void option__reserve(struct bpf_sock_ops *ops, struct bpf_sock *sk)
{
	struct option_ring *ring = bpf_sk_storage_get(&options, sk, NULL, 0);
	struct conn *conn = bpf_sk_storage_get(&conns, sk, NULL, 0);
	const struct option_slot *newest;
	bool pending;

	if (!ring)
		return;
	if (!conn || conn->state == CONN_IGNORED) {
		option__rest(ops, ring);
		return;
	}
	newest = option__newest(ring);
	pending = newest->where && (__s32)(option__seq(newest) - ops->snd_una) >= 0;
	if (ops->args[0] == BPF_WRITE_HDR_TCP_CURRENT_MSS) {
		ring->room = (pending || conn__last_dir((struct sock *)sk, conn) != DIR_SEND) &&
			     !bpf_reserve_hdr_opt(ops, sizeof(struct tcp_option), 0);
		return;
	}
	if (pending && (!ring->room || bpf_reserve_hdr_opt(ops, sizeof(struct tcp_option), 0)))
		count__one(COUNT_OPTION_NO_ROOM);
}

/* The header of a segment with data; false: of one without. */
static __always_inline bool option__header(struct bpf_sock_ops *ops, __u32 *seq)
{
	const struct tcphdr *th = ops->skb_data;

	if ((void *)(th + 1) > ops->skb_data_end)
		return false;
	*seq = bpf_ntohl(th->seq);
	return ops->skb_len > (__u32)(th->offset >> 4) * 4;
}

/* The newest message that begins at @seq: one whose send failed may have left its own there. */
static __always_inline const struct option_slot *option__at(const struct option_ring *ring,
							    __u32 seq)
{
	for (int i = 1; i <= OPTION_SLOTS; i++) {
		const struct option_slot *slot = &ring->slot[(ring->next - i) & (OPTION_SLOTS - 1)];

		if (slot->where && option__seq(slot) == seq && slot->check == option__check(slot))
			return slot;
	}
	return NULL;
}

static __always_inline void option__write(struct bpf_sock_ops *ops, struct bpf_sock *sk)
{
	struct tcp_option option = { .kind = OPTION_KIND, .len = sizeof(option) };
	struct option_ring *ring = bpf_sk_storage_get(&options, sk, NULL, 0);
	const struct option_slot *slot;
	__u32 seq;

	if (!ring || !option__header(ops, &seq))
		return;
	slot = option__at(ring, seq);
	if (!slot)
		return; /* the kernel fills the room with padding */
	option.magic[0] = OPTION_MAGIC >> 8;
	option.magic[1] = (OPTION_MAGIC & 0xff) | option__flags(slot);
	__builtin_memcpy(option.trace_id, &slot->id[0], sizeof(option.trace_id));
	__builtin_memcpy(option.span_id, &slot->id[2], sizeof(option.span_id));
	if (!bpf_store_hdr_opt(ops, &option, sizeof(option), 0))
		count__one(COUNT_OPTION_WRITTEN);
}

/* Looks for the option in what came; its flags, or -1. */
static __always_inline int option__find(struct bpf_sock_ops *ops, struct tcp_option *option)
{
	for (int flags = OPTION_FLAGS; flags >= 0; flags--) {
		option->kind = OPTION_KIND;
		option->len = 2 + sizeof(option->magic); /* of what is compared */
		option->magic[0] = OPTION_MAGIC >> 8;
		option->magic[1] = (OPTION_MAGIC & 0xff) | flags;
		if (bpf_load_hdr_opt(ops, option, sizeof(*option), 0) == sizeof(*option))
			return flags;
	}
	return -1;
}

/* Keeps the context @came of the message at @seq.  Was it kept already: sent again, or copied to
 * a later segment? */
static __always_inline bool option__known(struct option_ring *ring, const struct option_slot *came,
					  __u32 seq, __u8 flags)
{
	for (int i = 0; i < OPTION_SLOTS; i++) {
		struct option_slot *slot = &ring->slot[i];

		if (!slot->where || slot->id[0] != came->id[0] || slot->id[1] != came->id[1] ||
		    slot->id[2] != came->id[2])
			continue;
		if ((__s32)(seq - option__seq(slot)) < 0) /* overtaken by its own end */
			option__place(slot, seq, flags);
		return true;
	}
	return false;
}

static __always_inline void option__read(struct bpf_sock_ops *ops, struct bpf_sock *sk)
{
	struct option_slot came = {}, *slot;
	struct tcp_option option = {};
	struct option_ring *ring;
	int flags;
	__u32 seq;

	if (!option__header(ops, &seq))
		return;
	flags = option__find(ops, &option);
	if (flags < 0)
		return;
	__builtin_memcpy(&came.id[0], option.trace_id, sizeof(option.trace_id));
	__builtin_memcpy(&came.id[2], option.span_id, sizeof(option.span_id));
	if (!(came.id[0] | came.id[1]) || !came.id[2])
		return; /* no ids: W3C */
	ring = bpf_sk_storage_get(&options, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!ring) {
		count__one(COUNT_OPTION_NO_MEMORY);
		return;
	}
	if (option__known(ring, &came, seq, flags))
		return;
	slot = option__next(ring);
	__builtin_memcpy(slot->id, came.id, sizeof(slot->id));
	option__place(slot, seq, flags);
	count__one(COUNT_OPTION_READ);
}

SEC("sockops")
int option_socket(struct bpf_sock_ops *ops)
{
	struct bpf_sock *sk = ops->sk;

	if (!sk)
		return 1;
	switch (ops->op) {
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
		option__connected(ops, sk);
		break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		option__ask(ops, BPF_SOCK_OPS_PARSE_UNKNOWN_HDR_OPT_CB_FLAG);
		break;
	case BPF_SOCK_OPS_HDR_OPT_LEN_CB:
		option__reserve(ops, sk);
		break;
	case BPF_SOCK_OPS_WRITE_HDR_OPT_CB:
		option__write(ops, sk);
		break;
	case BPF_SOCK_OPS_PARSE_HDR_OPT_CB:
		option__read(ops, sk);
		break;
	}
	return 1;
}
