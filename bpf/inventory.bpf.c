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
#include "bpf/core.bpf.h"

SEC("iter/task_file")
int inventory_unix(struct bpf_iter__task_file *ctx)
{
	struct sock *sk = core__sock_from_file(ctx->file);

	if (!sk || BPF_CORE_READ(sk, sk_type) != SOCK_STREAM ||
	    BPF_CORE_READ(sk, __sk_common.skc_family) != AF_UNIX)
		return 0;
	if (!conn__find(sk) && !conn__open(sk, SLOT_INVENTORY, bpf_ktime_get_ns()))
		inventory_failed = 1;
	return 0;
}
