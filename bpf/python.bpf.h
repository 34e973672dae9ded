/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * CPython: the activity is the contextvars context.
 *
 * An event loop runs each task and each callback in a context, mostly one of its own, which is a
 * copy of the one that was current when it was made.  So what a context was made in tells on whose
 * behalf it was made:
 *
 *	A context in which a request was received, by a reader of that one connection, works for
 *	that request until the next one is received in it.
 *	What is made in a context works for the same request for as long as it lives.
 *	A task of a connection that goes through its requests one by one works for the request
 *	whose bytes have woken it: it was waiting for them, and so for nothing else.
 *
 * uvloop reads outside of all contexts, and then calls back in one that its connections share.
 * There the contexts that are made during that call work for the request.
 *
 * Addresses of contexts are used again, soon.  So the time at which a context was made is its
 * name, and all ways to make one are watched: bpf/python.bpf.c.  A context that nobody has entered
 * is one that a thread has made by itself, which cannot be watched, and works for nobody.
 */
#ifndef SPANLOOM_PYTHON_BPF_H
#define SPANLOOM_PYTHON_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/conn.bpf.h"
#include "bpf/core.bpf.h"
#include "bpf/event.h"
#include "bpf/runtime.bpf.h"

/* Meaning of process_runtime.at[] with RUNTIME_PYTHON. */
enum python_at {
	PYTHON_AT_KEY,	   /* address of the pthread key (int) that the thread's state is under */
	PYTHON_AT_CONTEXT, /* offset of "context" in the thread's state */
	PYTHON_AT_UVLOOP,  /* not 0: the process has loaded uvloop */
};

#define PYTHON_DEPTH 12 /* how far up a context knows those that it stands below */

/* Offsets in objects of CPython 3.8 to 3.13. */
#define PYTHON_CONTEXT_ENTERED 40 /* PyContext.ctx_entered */
#define PYTHON_FUTURE_CONTEXT  32 /* FutureObj.fut_context0: of the first that waits for it */

#define UV_STREAM_FD	       184 /* uv_stream_t.io_watcher.fd of libuv 1.x on Linux */

/* glibc: the values of the first 32 keys stand in struct pthread, at which the thread pointer
 * points. */
#define PTHREAD_KEYS	 32
#define PTHREAD_VALUES	 0x310
#define PTHREAD_KEY_SIZE 16
#define PTHREAD_KEY_DATA 8

struct python_context {
	__u64 conn_id; /* the request that it works for; 0: none */
	__u64 pos;
	__u64 reads; /* the connection that requests were received from in it; 0: none */
	__u64 root;  /* name of the first context made for that connection */
	__u64 line[PYTHON_DEPTH]; /* names of itself, its parent and so on up; 0: not known */
};

/* Address of a context -> on whose behalf it was made.  Written when one is made; older ones make
 * room. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct activity_key);
	__type(value, struct python_context);
} python_contexts SEC(".maps") __weak;

/* What a thread has received last, for a request. */
struct python_read {
	__u64 conn_id;
	__u64 pos;
	__u32 fd;
	__u32 size;
	__u64 called; /* uvloop: it is being handed over */
};

/* pid_tgid -> what it has read.  Deleted when that was handed over; older ones make room. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 256);
	__type(key, __u64);
	__type(value, struct python_read);
} python_reads SEC(".maps") __weak;

static const struct python_context python_unknown;

/* NULL: nothing is known of the context at that address. */
static __always_inline struct python_context *python__context(__u32 tgid, __u64 address)
{
	struct activity_key key = { .id = address, .tgid = tgid, .kind = ACTIVITY_PYCONTEXT };

	return address ? bpf_map_lookup_elem(&python_contexts, &key) : NULL;
}

#if defined(__TARGET_ARCH_x86)
static __always_inline __u64 python__thread_pointer(void)
{
	return BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), thread.fsbase);
}
#else
static __always_inline __u64 python__thread_pointer(void)
{
	return 0;
}
#endif

/* The context that the current thread runs in; NULL: none, or nothing is known of it. */
static __always_inline struct python_context *python__current(const struct process_runtime *runtime,
							      __u32 tgid)
{
	__u64 thread = python__thread_pointer();
	__u64 state = 0, context = 0;
	__u32 key, entered = 0;

	if (!thread || bpf_probe_read_user(&key, sizeof(key), (void *)runtime->at[PYTHON_AT_KEY]) ||
	    key >= PTHREAD_KEYS)
		return NULL;
	thread += PTHREAD_VALUES + key * PTHREAD_KEY_SIZE + PTHREAD_KEY_DATA;
	if (bpf_probe_read_user(&state, sizeof(state), (void *)thread) || !state ||
	    bpf_probe_read_user(&context, sizeof(context),
				(void *)(state + runtime->at[PYTHON_AT_CONTEXT])) ||
	    !context ||
	    bpf_probe_read_user(&entered, sizeof(entered),
				(void *)(context + PYTHON_CONTEXT_ENTERED)) ||
	    entered != 1)
		return NULL;
	return python__context(tgid, context);
}

/* The first context on the way to @context that is younger than @start_ns, or 0: it is older
 * itself, or too far up. */
static __always_inline __u64 python__root(const struct python_context *context, __u64 start_ns)
{
	__u64 root = 0;

	for (int i = 0; i < PYTHON_DEPTH; i++) {
		if (context->line[i] <= start_ns)
			return root;
		root = context->line[i];
	}
	return 0;
}

static __always_inline bool python__is_below(const struct python_context *context, __u64 root)
{
	for (int i = 0; i < PYTHON_DEPTH; i++)
		if (context->line[i] == root)
			return true;
	return false;
}

/* The @size bytes that @thread has received are of the open request of @conn. */
static __always_inline void python__has_read(const struct conn *conn, __u64 thread, __u32 size)
{
	struct python_read read = {
		.conn_id = conn->id,
		.pos = conn->request_pos,
		.size = size,
		.fd = core__syscall_fd(),
	};

	bpf_map_update_elem(&python_reads, &thread, &read, BPF_ANY);
}

/* @thread has received the request of @conn that begins at @pos.  Is it known what works for
 * it? */
static __always_inline bool python__receives(const struct process_runtime *runtime,
					     const struct conn *conn, __u64 thread, __u64 pos)
{
	struct python_context *context;
	__u64 root;

	context = python__current(runtime, thread >> 32);
	if (!context || !(conn->flags & CONN_FRESH))
		return runtime->at[PYTHON_AT_UVLOOP];
	root = python__root(context, conn->start_ns);
	if (!root)
		return runtime->at[PYTHON_AT_UVLOOP];
	if (context->reads && context->reads != conn->id) { /* a loop that has no contexts */
		context->root = context->conn_id = 0;
		context->reads = ~0ULL;
		return false;
	}
	context->conn_id = conn->id;
	context->pos = pos;
	context->reads = conn->id;
	context->root = root;
	return true;
}

/* @parent: NULL when it is not known, or nobody's child was made. */
static __always_inline void python__made(__u64 thread, __u64 address,
					 const struct python_context *parent, bool uvloop)
{
	struct activity_key key = { .id = address,
				    .tgid = thread >> 32,
				    .kind = ACTIVITY_PYCONTEXT };
	struct python_context *made = bpf_map_lookup_elem(&python_contexts, &key);
	const struct python_read *read;

	if (!made) {
		bpf_map_update_elem(&python_contexts, &key, &python_unknown, BPF_ANY);
		made = bpf_map_lookup_elem(&python_contexts, &key);
	}
	if (!made)
		return;
	*made = python_unknown;
	if (parent) {
		made->conn_id = parent->conn_id;
		made->pos = parent->pos;
		for (int i = 1; i < PYTHON_DEPTH; i++)
			made->line[i] = parent->line[i - 1];
	}
	read = uvloop ? bpf_map_lookup_elem(&python_reads, &thread) : NULL;
	if (read && read->called) {
		made->conn_id = read->conn_id;
		made->pos = read->pos;
	}
	made->line[0] = bpf_ktime_get_ns();
}

/* Who waits for @future goes on.  When it is what a reader has received that wakes a task of the
 * same connection, that works for the request from now on. */
static __always_inline void python__resolves(const struct process_runtime *runtime, __u64 thread,
					     __u64 future)
{
	const struct python_context *reader = python__current(runtime, thread >> 32);
	struct python_context *woken;
	__u64 context = 0;

	if (!reader || !reader->root) { /* no longer what was called with what was read */
		bpf_map_delete_elem(&python_reads, &thread);
		return;
	}
	if (bpf_probe_read_user(&context, sizeof(context),
				(void *)(future + PYTHON_FUTURE_CONTEXT)))
		return;
	woken = python__context(thread >> 32, context);
	if (!woken || !python__is_below(woken, reader->root))
		return;
	woken->conn_id = reader->conn_id;
	woken->pos = reader->pos;
}

#endif
