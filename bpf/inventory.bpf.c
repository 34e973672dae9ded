// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The unix sockets that are open when the agent starts get their state now.  So whichever
 * gets it later is new, and its first byte will be seen: no hook tells when such a socket is
 * connected.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/conn.bpf.h"

SEC("iter/task_file")
int inventory_unix(struct bpf_iter__task_file *ctx)
{
	struct file *file = ctx->file;
	struct socket *socket;
	struct sock *sk;

	/* 5.11, 4f19cab76136 */
	if (!bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_sock_from_file))
		return 0;
	if (!file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk || sk->sk_type != SOCK_STREAM || sk->__sk_common.skc_family != AF_UNIX)
		return 0;
	if (!conn__find(sk) && !conn__open(sk, SLOT_INVENTORY, bpf_ktime_get_ns()))
		inventory_failed = 1;
	return 0;
}
