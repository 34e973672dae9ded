/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Goroutines: which one runs on the current thread, who started it, and was that before or
 * after a moment?
 *
 * The numbers of goroutines are never used twice.  A processor of Go's scheduler (a P) takes
 * them in batches of 16 from a common counter, and gives those of a batch out in order.  So the
 * counter and what each P has left of its batch, as of some moment, tell of any goroutine whether it was
 * started since: its batch was taken later, or it is not below the next number of that batch.
 * All that a goroutine has started earlier is in what it sees of these numbers.
 */
#ifndef SPANLOOM_GO_BPF_H
#define SPANLOOM_GO_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/config.bpf.h"
#include "bpf/core.bpf.h"
#include "bpf/event.h"

#define GO_PROCESSORS_MAX 16
#define GO_BATCH	  16

/* Meaning of process_runtime.at[] with RUNTIME_GO. */
enum go_at {
	GO_AT_TLS,     /* x86: where below the thread pointer the pointer to g is */
	GO_AT_GOID,    /* in g */
	GO_AT_PARENT,  /* in g; 0: it is not known who starts goroutines, nor when */
	GO_AT_COUNTER, /* address of the common counter of goroutines */
	GO_AT_ALLP,    /* address of the slice of pointers to P */
	GO_AT_BATCH,   /* in P: struct go_batch */
	GO_AT_CONN,    /* in net/http.persistConn: its net.Conn */
	GO_AT_SHARED,  /* likewise: whether others wait for it while it is in use; 0: never */
	GO_AT_FD,      /* in net.netFD: the file descriptor */
	GO_AT_FAMILY,  /* likewise, int: that of the socket; its type follows */
	GO_AT_CONTEXT, /* in net/http.Request: its context.Context */
};

struct goroutine {
	__u64 goid; /* 0: none runs here */
	__u64 parent;
	__u64 g; /* address of the runtime's structure for it */
};

/* Of Go's: an interface, such as net.Conn or context.Context. */
struct go_interface {
	__u64 type;
	__u64 data;
};

/* Of Go's: the numbers of a batch that are left. */
struct go_batch {
	__u64 next;
	__u64 end;
};

/* How far the numbers were at a moment. */
struct go_births {
	__u64 counter; /* 0: not known */
	struct go_batch batches[GO_PROCESSORS_MAX];
};

static __always_inline __u64 go__read(__u64 address)
{
	__u64 value = 0;

	if (bpf_probe_read_user(&value, sizeof(value), (void *)address))
		return 0;
	return value;
}

#if defined(__TARGET_ARCH_x86)

static __always_inline __u64 go__g(const struct process_runtime *runtime)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	return go__read(BPF_CORE_READ(task, thread.fsbase) - runtime->at[GO_AT_TLS]);
}

#elif defined(__TARGET_ARCH_arm64)

/* A register of its own, which holds in system calls, too.  Code of C may have put anything there:
 * it is g if the stack in use is the one that g begins with. */
static __always_inline __u64 go__g(const struct process_runtime *runtime)
{
	struct pt_regs *regs = core__stack_regs((struct task_struct *)bpf_get_current_task());
	__u64 g = BPF_CORE_READ(regs, regs[28]), sp = BPF_CORE_READ(regs, sp);
	__u64 stack[2]; /* from, to */

	if (bpf_probe_read_user(stack, sizeof(stack), (void *)g) || sp < stack[0] || sp > stack[1])
		return 0;
	return g;
}

#endif

static __always_inline struct goroutine go__current(const struct process_runtime *runtime)
{
	struct goroutine g = { .g = go__g(runtime) };

	if (!g.g || !runtime->at[GO_AT_GOID])
		return g;
	g.goid = go__read(g.g + runtime->at[GO_AT_GOID]);
	if (likely_links && runtime->at[GO_AT_PARENT])
		g.parent = go__read(g.g + runtime->at[GO_AT_PARENT]);
	return g;
}

/* Stacks grow down from here; g begins with where they begin and end. */
static __always_inline __u64 go__stack_end(__u64 g)
{
	return go__read(g + sizeof(__u64));
}

/* The counter first: a batch that is taken meanwhile is then later than it. */
static __always_inline void go__remember_births(const struct process_runtime *runtime,
						struct go_births *births)
{
	__u64 allp[2] = {}; /* pointer, length */

	births->counter = 0;
	if (!runtime->at[GO_AT_PARENT])
		return;
	if (bpf_probe_read_user(allp, sizeof(allp), (void *)runtime->at[GO_AT_ALLP]))
		return;
	births->counter = go__read(runtime->at[GO_AT_COUNTER]);
	for (__u32 i = 0; i < GO_PROCESSORS_MAX; i++) {
		struct go_batch *batch = &births->batches[i];
		__u64 p = i < allp[1] ? go__read(allp[0] + i * sizeof(p)) : 0;

		batch->end = 0;
		if (p && bpf_probe_read_user(batch, sizeof(*batch),
					     (void *)(p + runtime->at[GO_AT_BATCH])))
			batch->end = 0;
	}
}

/* Batches may begin anywhere: a thread of C that calls Go takes a single number. */
static __always_inline bool go__born_since(const struct go_births *births, __u64 goid)
{
	if (!births->counter)
		return false;
	if (goid > births->counter)
		return true;
	for (__u32 i = 0; i < GO_PROCESSORS_MAX; i++) {
		const struct go_batch *batch = &births->batches[i];

		if (goid < batch->end && goid + GO_BATCH >= batch->end)
			return goid >= batch->next;
	}
	return false;
}

#endif
