// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Functions of Go programs.  User space attaches these, once for each file, to the first jump of
 * the function: the arguments are still in the registers there, and the stack is the caller's.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/activity.bpf.h"
#include "bpf/activity_find.bpf.h"
#include "bpf/go_context.bpf.h"
#include "bpf/go_transport.bpf.h"

/* The words of the arguments that we look at, and where the function returns to (Go 1.17 and
 * later). */
struct go_entry {
	__u64 word[4];
	__u64 frame; /* the caller's frame pointer */
	__u64 back;
};

#if defined(__TARGET_ARCH_x86)
static __always_inline struct go_entry go__entry(const struct pt_regs *regs)
{
	struct go_entry entry = {
		.word = { regs->ax, regs->bx, regs->cx, regs->di },
		.frame = regs->bp,
		.back = go__read(regs->sp),
	};

	return entry;
}
#elif defined(__TARGET_ARCH_arm64)
static __always_inline struct go_entry go__entry(const struct pt_regs *regs)
{
	const struct user_pt_regs *user = (const struct user_pt_regs *)regs;
	struct go_entry entry = {
		.word = { user->regs[0], user->regs[1], user->regs[2], user->regs[3] },
		.frame = user->regs[29],
		.back = user->regs[30],
	};

	return entry;
}
#endif

/* NULL: not for us. */
static __always_inline const struct process_runtime *go__runtime(__u64 thread)
{
	const struct process_runtime *runtime = runtime__of(thread >> 32);

	return runtime && runtime->kind == RUNTIME_GO ? runtime : NULL;
}

/* The context of the net/http.Request at this address. */
static __always_inline __u64 go__request_context(const struct process_runtime *runtime,
						 __u64 request)
{
	struct go_interface context = {};

	if (bpf_probe_read_user(&context, sizeof(context),
				(void *)(request + runtime->at[GO_AT_CONTEXT])))
		return 0;
	return context.data;
}

/* net/http.(*persistConn).roundTrip(*transportRequest), which begins with a *Request */
SEC("uprobe")
int go_round_trip(struct pt_regs *regs)
{
	__u64 thread = bpf_get_current_pid_tgid();
	const struct process_runtime *runtime = go__runtime(thread);
	struct go_entry entry = go__entry(regs);
	struct event_data data = {};
	__u64 request;
	struct sock *sk;

	if (!runtime)
		return 0;
	sk = go_transport__of(runtime, entry.word[0]);
	if (!sk)
		return 0;
	activity__find_goroutine(runtime, thread, &data);
	if (!data.ref || data.ref == REF_LIKELY) {
		request = go__read(entry.word[1]);
		activity__of_context(thread, go__request_context(runtime, request), &data);
	}
	go_transport__hand_over(sk, &data);
	return 0;
}

/* net/http.serverHandler.ServeHTTP(ResponseWriter, *Request) */
SEC("uprobe")
int go_serve_http(struct pt_regs *regs)
{
	__u64 thread = bpf_get_current_pid_tgid();
	const struct process_runtime *runtime = go__runtime(thread);
	struct go_entry entry = go__entry(regs);
	struct go_request request = {};
	struct event_data data = {};
	struct activity_key key;

	if (!runtime)
		return 0;
	request.goid = go__current(runtime).goid;
	key = activity__of_goroutine(thread, request.goid);
	if (!request.goid || !activity__serves(key, 0, REF_GOROUTINE, &data))
		return 0;
	request.conn_id = data.ref_conn;
	request.pos = data.ref_pos;
	key.id = go__request_context(runtime, entry.word[3]);
	if (key.id)
		bpf_map_update_elem(&go_requests, &key, &request, BPF_ANY);
	return 0;
}

/* A method whose first argument is a context.Context, and which returns when the call is made.
 * Goroutines that serve a request themselves need no other evidence. */
SEC("uprobe")
int go_call(struct pt_regs *regs)
{
	__u64 thread = bpf_get_current_pid_tgid();
	const struct process_runtime *runtime = go__runtime(thread);
	struct go_entry entry = go__entry(regs);
	struct event_data data = {};
	struct activity_key key;
	struct go_frame frame;
	struct goroutine g;

	if (!runtime)
		return 0;
	g = go__current(runtime);
	key = activity__of_goroutine(thread, g.goid);
	if (!g.goid || activity__serves(key, 0, REF_GOROUTINE, &data) ||
	    !activity__of_context(thread, entry.word[2], &data))
		return 0;
	frame.depth = go__stack_end(g.g) - entry.frame;
	frame.back = entry.back;
	frame.conn_id = data.ref_conn;
	frame.pos = data.ref_pos;
	go_context__enter(&key, &frame);
	return 0;
}
