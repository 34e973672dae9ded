// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Functions of Go programs.  User space attaches these, once for each file, to the first jump of
 * the function: the arguments are still in the registers there.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/activity.bpf.h"
#include "bpf/go_transport.bpf.h"

/* The arguments of Go's functions, since 1.17. */
#if defined(__TARGET_ARCH_x86)
static __always_inline __u64 go__argument(const struct pt_regs *regs)
{
	return regs->ax;
}
#elif defined(__TARGET_ARCH_arm64)
static __always_inline __u64 go__argument(const struct pt_regs *regs)
{
	return ((const struct user_pt_regs *)regs)->regs[0];
}
#endif

/* net/http.(*persistConn).roundTrip */
SEC("uprobe")
int go_round_trip(struct pt_regs *regs)
{
	__u64 thread = bpf_get_current_pid_tgid();
	const struct process_runtime *runtime = runtime__of(thread >> 32);
	struct event_data data = {};
	struct sock *sk;

	if (!runtime || runtime->kind != RUNTIME_GO)
		return 0;
	sk = go_transport__of(runtime, go__argument(regs));
	if (!sk)
		return 0;
	activity__find_goroutine(runtime, thread, &data);
	go_transport__hand_over(sk, &data);
	return 0;
}
