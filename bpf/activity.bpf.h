/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The activity: what serves one request at a time.  A call belongs to the request that its
 * activity is serving, but only when that is exactly one.
 *
 *	A thread that waits for its requests in a blocking socket is an activity: it does nothing
 *	else until the response.
 *	A socket that does not block is served by an event loop or a scheduler: which of several
 *	requests a thread of it works for cannot be known.  There the process is the activity, and
 *	only what the thread that received the request sends is the request's.  Even then it may
 *	be a timer's, or a request's that has its response: but for nginx, which calls for nobody
 *	else, and loops that have shown that they do not (loop.bpf.h), such links are guesses, and
 *	made only when they are asked for.
 *	In a Go program a goroutine is an activity.  One that it starts while it serves works for
 *	the same request, unless it is a worker that stays, and has others' jobs already: such
 *	links, too, are made only when they are asked for.
 *	In a program of CPython a connection is an activity: of whatever loop, its contexts tell what
 *	works for its open request.
 *
 * A request is open from its receipt until the first bytes of its response; one of FastCGI until
 * its last ones, for the application says where they are.  All that are open are kept as sums, so
 * that the last one left can be read off them.  When there were several, no call is anybody's
 * until there are none: who has his response may still be at work.  Whoever reads the sums while
 * another processor changes them gets a place at which no request stands, and no link.
 */
#ifndef SPANLOOM_ACTIVITY_BPF_H
#define SPANLOOM_ACTIVITY_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/conn.bpf.h"
#include "bpf/count.bpf.h"
#include "bpf/event.h"
#include "bpf/go.bpf.h"
#include "bpf/heir.bpf.h"
#include "bpf/loop.bpf.h"
#include "bpf/python.bpf.h"
#include "bpf/runtime.bpf.h"

struct activity {
	__u64 conn_id; /* sum over the open requests */
	__u64 pos;     /* likewise */
	__s64 open;    /* how many there are */
	__u64 mixed;   /* there were several, and not none since */
	__u64 thread;  /* pid_tgid that received the last one */
};

/* Threads and processes (tgid << 32 | id) -> what they serve.  Made by their first request, deleted
 * when they end.  None makes room for another: it may have requests open, and would seem to serve
 * only the next one. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, struct activity);
} workers SEC(".maps") __weak;

/* Goroutines and connections of CPython -> likewise.  That these end is not seen: they make room
 * for newer ones. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct activity_key);
	__type(value, struct activity);
} activities SEC(".maps") __weak;

/* Goroutine that serves -> how far the numbers of goroutines were when it received its last
 * request.  User space sets the bound where likely links are wanted. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct activity_key);
	__type(value, struct go_births);
} births SEC(".maps") __weak;

static const struct go_births births_unknown;

static __always_inline struct activity_key activity__key(enum activity_kind kind, __u64 thread,
							 __u64 id)
{
	struct activity_key key = { .id = id, .tgid = thread >> 32, .kind = kind };

	return key;
}

static __always_inline struct activity_key activity__of_thread(__u64 thread)
{
	return activity__key(ACTIVITY_THREAD, thread, (__u32)thread);
}

static __always_inline struct activity_key activity__of_process(__u64 thread)
{
	return activity__key(ACTIVITY_PROCESS, thread, 0);
}

/* The activity is none when the current thread runs no goroutine. */
static __always_inline struct activity_key activity__of_goroutine(__u64 thread, __u64 goid)
{
	return activity__key(goid ? ACTIVITY_GOROUTINE : ACTIVITY_NONE, thread, goid);
}

static __always_inline struct activity_key activity__of_contexts(__u64 thread, __u64 conn_id)
{
	return activity__key(ACTIVITY_PYCONTEXT, thread, conn_id);
}

/* Who serves the request at @pos that @thread (pid_tgid) has received?  @blocking: on a socket
 * that it waits in. */
static __always_inline struct activity_key activity__receiver(const struct conn *conn, __u64 thread,
							      bool blocking, __u64 pos)
{
	const struct process_runtime *runtime = runtime__of(thread >> 32);

	if (runtime && runtime->kind == RUNTIME_GO)
		return activity__of_goroutine(thread, go__current(runtime).goid);
	if (blocking)
		return activity__of_thread(thread);
	if (runtime && runtime->kind == RUNTIME_PYTHON &&
	    python__receives(runtime, conn, thread, pos))
		return activity__of_contexts(thread, conn->id);
	return activity__of_process(thread);
}

static __always_inline bool activity__is_worker(const struct activity_key *key)
{
	return key->kind == ACTIVITY_THREAD || key->kind == ACTIVITY_PROCESS;
}

/* NULL: it has served nothing, or too many have. */
static __always_inline struct activity *activity__of(const struct activity_key *key)
{
	__u64 worker = (__u64)key->tgid << 32 | key->id;

	return activity__is_worker(key) ? bpf_map_lookup_elem(&workers, &worker)
					: bpf_map_lookup_elem(&activities, key);
}

static __always_inline struct activity *activity__make(const struct activity_key *key)
{
	__u64 worker = (__u64)key->tgid << 32 | key->id;
	struct activity idle = {};

	if (activity__is_worker(key)) {
		bpf_map_update_elem(&workers, &worker, &idle, BPF_NOEXIST);
		__sync_fetch_and_add(&workers_made, 1);
	} else {
		bpf_map_update_elem(&activities, key, &idle, BPF_NOEXIST);
	}
	return activity__of(key);
}

static __always_inline void activity__change(struct activity *a, __u64 conn_id, __u64 pos, __s64 by)
{
	__sync_fetch_and_add(&a->conn_id, by * conn_id);
	__sync_fetch_and_add(&a->pos, by * pos);
	__sync_fetch_and_add(&a->open, by);
}

/* Is @key, which serves @conn, a loop whose silence counts? */
static __always_inline bool activity__is_loop(const struct activity_key *key,
					      const struct conn *conn)
{
	return key->kind == ACTIVITY_PROCESS && !conn__is_nginx(conn);
}

/* The request of @conn has its response, or will have none. */
static __always_inline void activity__end(struct conn *conn)
{
	struct activity_key key = conn->served_by;
	struct activity *a;

	if (!key.kind)
		return;
	conn->served_by.kind = ACTIVITY_NONE;
	a = activity__of(&key);
	if (!a) {
		if (!activity__is_worker(&key))
			count__one(COUNT_ACTIVITY_PUSHED_OUT);
		return;
	}
	activity__change(a, conn->id, conn->request_pos, -1);
	if (a->open)
		return;
	/* A goroutine that serves several connections at once is an event loop, for good. */
	if (key.kind != ACTIVITY_GOROUTINE)
		a->mixed = 0;
	if (activity__is_loop(&key, conn))
		loop__ends(key.tgid);
}

/* The goroutine @key is about to serve a request. */
static __always_inline void activity__remember_births(const struct activity_key *key)
{
	const struct process_runtime *runtime = runtime__of(key->tgid);
	struct go_births *known = bpf_map_lookup_elem(&births, key);

	if (!known) {
		bpf_map_update_elem(&births, key, &births_unknown, BPF_NOEXIST);
		known = bpf_map_lookup_elem(&births, key);
	}
	if (!known)
		return;
	if (runtime)
		go__remember_births(runtime, known);
	else
		known->counter = 0;
}

/* @thread has received the request that begins at @pos. */
static __always_inline void activity__begin(struct conn *conn, __u64 thread, bool blocking,
					    __u64 pos)
{
	struct activity_key key = activity__receiver(conn, thread, blocking, pos);
	struct activity *a;

	activity__end(conn);
	if (!key.kind)
		return;
	a = activity__of(&key);
	if (!a) {
		heir__forget(key.tgid);
		a = activity__make(&key);
	}
	if (!a) {
		count__one(COUNT_ACTIVITY_FULL);
		return;
	}
	conn->served_by = key;
	conn->request_pos = pos;
	a->thread = thread;
	if (likely_links && key.kind == ACTIVITY_GOROUTINE)
		activity__remember_births(&key);
	if (!a->open && activity__is_loop(&key, conn))
		loop__begins(key.tgid);
	activity__change(a, conn->id, pos, 1);
	if (a->open > 1)
		a->mixed = 1;
}

/* The @size bytes that @thread has received are of the open request. */
static __always_inline void activity__has_read(const struct conn *conn, __u64 thread, __u32 size)
{
	if (conn->served_by.kind == ACTIVITY_PYCONTEXT)
		python__has_read(conn, thread, size);
}

/*
 * While a handler runs, net/http watches the connection for its end from a goroutine of its own,
 * with a read of one byte.  That is of the next request, when it comes early; whoever reads
 * the second byte serves it.
 */
static __always_inline bool activity__peeks(struct conn *conn, __u64 thread, __u32 size, __u64 pos)
{
	const struct process_runtime *runtime;

	if (size != 1)
		return false;
	runtime = runtime__of(thread >> 32);
	if (!runtime || runtime->kind != RUNTIME_GO)
		return false;
	activity__end(conn);
	conn->request_pos = pos;
	conn->marks |= CONN_PEEKED;
	return true;
}

static __always_inline void activity__begin_peeked(struct conn *conn, __u64 thread)
{
	conn->marks &= ~CONN_PEEKED;
	activity__begin(conn, thread, false, conn->request_pos);
}

/* What runs on @thread, that is more than a process. */
static __always_inline struct activity_key activity__current(__u64 thread)
{
	const struct process_runtime *runtime = runtime__of(thread >> 32);

	if (runtime && runtime->kind == RUNTIME_GO)
		return activity__of_goroutine(thread, go__current(runtime).goid);
	return activity__of_thread(thread);
}

/* @thread, the current one, starts the process or thread @pid. */
static __always_inline void activity__fork(__u64 thread, __u32 pid)
{
	const struct heir *parent = heir__of(thread);
	struct heir heir = {};
	const struct activity *a;

	if (parent) {
		heir = *parent;
		heir__add(pid, &heir);
		return;
	}
	heir.served_by = activity__current(thread);
	a = activity__of(&heir.served_by);
	if (!a || a->open != 1 || a->mixed)
		return;
	heir.conn_id = a->conn_id;
	heir.pos = a->pos;
	heir__add(pid, &heir);
}

static __always_inline void activity__forget(__u32 tgid, __u32 pid)
{
	__u64 worker = (__u64)tgid << 32 | pid;

	bpf_map_delete_elem(&workers, &worker);
}

static __always_inline void activity__forget_process(__u32 tgid)
{
	__u64 worker = (__u64)tgid << 32;

	if (!bpf_map_delete_elem(&workers, &worker))
		loop__forget(tgid);
}

#endif
