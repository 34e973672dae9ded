/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which request a call is made for: the one that the sender's activity serves (activity.bpf.h), be
 * that its goroutine, thread, context or process, or what these were started by.
 */
#ifndef SPANLOOM_ACTIVITY_FIND_BPF_H
#define SPANLOOM_ACTIVITY_FIND_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/activity.bpf.h"
#include "bpf/conn.bpf.h"
#include "bpf/event.h"
#include "bpf/go.bpf.h"
#include "bpf/go_context.bpf.h"
#include "bpf/go_transport.bpf.h"
#include "bpf/heir.bpf.h"
#include "bpf/intake.bpf.h"
#include "bpf/loop.bpf.h"
#include "bpf/python.bpf.h"
#include "bpf/runtime.bpf.h"

#define POSTGRES_TERMINATE_BYTES 5 /* 'X' and a length */

/* One more that the call is not of, or cannot be said to be. */
static __always_inline void activity__refuse(struct event_data *data, enum refusal why)
{
	if (!data->ref)
		data->ref_pos = why;
}

/* It is not known after all. */
static __always_inline void activity__unknown(struct event_data *data, enum refusal why)
{
	data->ref = REF_NONE;
	data->ref_conn = 0;
	data->ref_pos = why;
}

/* Why is a call not of what @a serves? */
static __always_inline enum refusal activity__refusal(const struct activity *a)
{
	if (a->open > 1 || a->mixed)
		return REFUSED_SEVERAL;
	return a->open ? REFUSED_APART : REFUSED_BEHIND;
}

/* @thread: only its own; 0: whoever sends. */
static __always_inline bool activity__names(const struct activity *a, __u64 thread,
					    enum ref_kind kind, struct event_data *data)
{
	if (a->open != 1 || a->mixed || (thread && a->thread != thread)) {
		activity__refuse(data, activity__refusal(a));
		return false;
	}
	data->ref = kind;
	data->ref_conn = a->conn_id;
	data->ref_pos = a->pos;
	return true;
}

static __always_inline bool activity__serves(struct activity_key key, __u64 thread,
					     enum ref_kind kind, struct event_data *data)
{
	const struct activity *a = activity__of(&key);

	return a && activity__names(a, thread, kind, data);
}

/* A context is of a request, if that is open still. */
static __always_inline bool activity__of_context(__u64 thread, __u64 context,
						 struct event_data *data)
{
	const struct go_request *request = go_context__request(thread >> 32, context);

	if (!request ||
	    !activity__serves(activity__of_goroutine(thread, request->goid), 0, REF_CONTEXT, data))
		return false;
	if (data->ref_conn == request->conn_id && data->ref_pos == request->pos)
		return true;
	activity__unknown(data, REFUSED_BEHIND);
	return false;
}

static __always_inline bool activity__within_call(const struct activity_key *key, __u64 g,
						  struct event_data *data)
{
	const struct go_frame *frame = go_context__frame(key, g);

	if (!frame)
		return false;
	data->ref = REF_CONTEXT;
	data->ref_conn = frame->conn_id;
	data->ref_pos = frame->pos;
	return true;
}

/* A goroutine works for the request that it serves itself, or for the one whose context its call
 * was given, or likely for the one during which the goroutine that serves it has started it. */
static __always_inline void activity__find_goroutine(const struct process_runtime *runtime,
						     __u64 thread, struct event_data *data)
{
	struct goroutine g = go__current(runtime);
	struct activity_key key = activity__of_goroutine(thread, g.goid);
	const struct go_births *known;

	if (!g.goid || activity__serves(key, 0, REF_GOROUTINE, data) ||
	    activity__within_call(&key, g.g, data) || !likely_links)
		return;
	key.id = g.parent;
	if (!activity__serves(key, 0, REF_LIKELY, data))
		return;
	/* In this order: what is remembered is of that request, or of a later one. */
	known = bpf_map_lookup_elem(&births, &key);
	if (!known || !go__born_since(known, g.goid))
		activity__unknown(data, REFUSED_APART);
}

/* A context works for the request that it was made for, while that is the one that is open on
 * its connection. */
static __always_inline void activity__find_context(const struct process_runtime *runtime,
						   __u64 thread, struct event_data *data)
{
	const struct python_context *context = python__current(runtime, thread >> 32);

	if (!context || !context->conn_id)
		return;
	if (activity__serves(activity__of_contexts(thread, context->conn_id), 0, REF_PYCONTEXT,
			     data) &&
	    data->ref_pos != context->pos)
		activity__unknown(data, REFUSED_BEHIND);
}

/* @thread or its process was started for a request, which is still open. */
static __always_inline void activity__find_inherited(__u64 thread, struct event_data *data)
{
	const struct heir *heir = heir__of(thread);

	if (!heir)
		return;
	if (!heir->certain && !likely_links) {
		activity__refuse(data, REFUSED_CHILD);
		return;
	}
	activity__refuse(data, REFUSED_BEHIND); /* who served it may have ended */
	if (activity__serves(heir->served_by, 0, heir->certain ? REF_PROCESS : REF_LIKELY, data) &&
	    (data->ref_conn != heir->conn_id || data->ref_pos != heir->pos))
		activity__unknown(data, REFUSED_BEHIND);
}

/* An event loop works for the only request that it serves, if for anybody and if all are seen. */
static __always_inline void activity__find_turn(const struct activity *loop,
						const struct conn *conn, __u64 thread,
						struct event_data *data)
{
	enum refusal why;

	if (!activity__names(loop, thread, REF_TURN, data))
		return;
	if (intake__is_asked_unseen(thread >> 32))
		why = REFUSED_UNSEEN;
	else if (!conn__is_nginx(conn) && !loop__is_silent(thread >> 32))
		why = REFUSED_RESTLESS;
	else
		return;
	if (likely_links)
		data->ref = REF_LIKELY;
	else
		activity__unknown(data, why);
}

/* While this is the same, @thread and its process have no entry in "workers" if they had none. */
static __always_inline __u64 activity__idle_key(__u64 thread)
{
	return (__u64)(__u32)thread << 32 | workers_made;
}

static __always_inline bool activity__is_idle(const struct conn *conn, __u64 idle_key)
{
	return conn->idle == idle_key && conn->served_by.kind == ACTIVITY_NONE;
}

/* Likewise where threads and processes serve.  @conn keeps the answer that neither of these two
 * has ever served: who is only a client is not looked up for each request. */
static __always_inline void activity__find_worker(const struct process_runtime *runtime,
						  struct conn *conn, __u64 thread,
						  struct event_data *data)
{
	struct activity_key self = activity__of_thread(thread);
	struct activity_key process = activity__of_process(thread);
	__u64 idle = activity__idle_key(thread); /* who serves from now on changes it */
	bool known = activity__is_idle(conn, idle);
	const struct activity *own = known ? NULL : activity__of(&self), *loop;

	if (own && activity__names(own, thread, REF_THREAD, data))
		return;
	if (runtime && runtime->kind == RUNTIME_PYTHON)
		activity__find_context(runtime, thread, data);
	if (data->ref || known)
		return;
	loop = activity__of(&process);
	if (loop)
		activity__find_turn(loop, conn, thread, data);
	else if (!own && conn->served_by.kind == ACTIVITY_NONE)
		conn->idle = idle;
}

/* Which request does @thread work for, that sends on @conn of @sk?  Nothing changes when that is
 * not known. */
static __always_inline void activity__find(const struct sock *sk, struct conn *conn, __u64 thread,
					   struct event_data *data)
{
	const struct process_runtime *runtime = runtime__of(thread >> 32);

	if (runtime && runtime->kind == RUNTIME_GO) {
		if (!go_transport__find(sk, conn, data))
			activity__find_goroutine(runtime, thread, data);
	} else {
		activity__find_worker(runtime, conn, thread, data);
	}
	if (!data->ref)
		activity__find_inherited(thread, data);
}

/* @thread has sent @size bytes of a call on @conn.  Terminate of PostgreSQL has no answer: it
 * calls for nothing. */
static __always_inline void activity__calls(struct conn *conn, __u64 thread, __u32 size)
{
	if (loops_made && !conn__is_nginx(conn) &&
	    !activity__is_idle(conn, activity__idle_key(thread)) &&
	    !(conn->proto == PROTO_POSTGRES && size == POSTGRES_TERMINATE_BYTES))
		loop__calls(conn, thread >> 32);
}

#endif
