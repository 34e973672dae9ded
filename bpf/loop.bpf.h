/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An event loop that serves one request: are the calls that it makes meanwhile the request's?
 *
 * They are, where nothing else in the program calls: no timer, no job that goes on behind a
 * response.  That shows while the loop serves nobody.  When it has been silent for a second behind
 * a request, its calls are those of its requests, as far as can be seen; a call that it makes for
 * nobody, or that is unanswered when the last response goes out, ends that, and each time it must
 * have been silent for twice as long before.
 *
 * nginx is no matter of this: it calls for nobody else.
 */
#ifndef SPANLOOM_LOOP_BPF_H
#define SPANLOOM_LOOP_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/conn.bpf.h"
#include "bpf/count.bpf.h"

#define LOOP_SILENCE_NS	 1000000000ULL
#define LOOP_STRAYS_MOST 20 /* twelve days of silence */

struct loop {
	__u64 idle_since; /* ns; 0: it serves, or has not served yet */
	__s64 calls;	  /* that are unanswered */
	__u32 strays;	  /* calls for nobody, and responses that left calls behind */
	__u32 silent;	  /* for long enough, before the request that it serves */
};

/* tgid -> the loop of that process.  Made by its first request, deleted with the process. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct loop);
} loops SEC(".maps") __weak;

/* A process that there is no room for never counts as silent. */
static __always_inline void loop__make(__u32 tgid)
{
	struct loop first = {};

	if (bpf_map_update_elem(&loops, &tgid, &first, BPF_NOEXIST))
		count__one(COUNT_ACTIVITY_FULL);
	else
		loops_made = 1;
}

/* The process is about to serve a request, and no other. */
static __always_inline void loop__begins(__u32 tgid)
{
	struct loop *loop = bpf_map_lookup_elem(&loops, &tgid);

	if (!loop) {
		loop__make(tgid);
		return;
	}
	if (loop->idle_since && bpf_ktime_get_ns() - loop->idle_since >= LOOP_SILENCE_NS
										 << loop->strays)
		loop->silent = 1;
	loop->idle_since = 0;
}

static __always_inline void loop__strays(struct loop *loop)
{
	loop->silent = 0;
	if (loop->strays < LOOP_STRAYS_MOST)
		loop->strays++;
}

/* Its last request has a response. */
static __always_inline void loop__ends(__u32 tgid)
{
	struct loop *loop = bpf_map_lookup_elem(&loops, &tgid);

	if (!loop)
		return;
	if (loop->calls)
		loop__strays(loop);
	loop->idle_since = bpf_ktime_get_ns();
}

/* It sends a call on @conn. */
static __always_inline void loop__calls(struct conn *conn, __u32 tgid)
{
	struct loop *loop = bpf_map_lookup_elem(&loops, &tgid);

	if (!loop)
		return;
	if (loop->idle_since) {
		loop__strays(loop);
		loop->idle_since = bpf_ktime_get_ns();
	}
	if (!(conn->marks & CONN_CALLING))
		__sync_fetch_and_add(&loop->calls, 1);
	conn->marks |= CONN_CALLING;
}

/* The call on @conn has an answer, or will have none. */
static __always_inline void loop__answered(struct conn *conn, __u32 tgid)
{
	struct loop *loop;

	if (!(conn->marks & CONN_CALLING))
		return;
	conn->marks &= ~CONN_CALLING;
	loop = bpf_map_lookup_elem(&loops, &tgid);
	if (loop)
		__sync_fetch_and_add(&loop->calls, -1);
}

static __always_inline bool loop__is_silent(__u32 tgid)
{
	const struct loop *loop = bpf_map_lookup_elem(&loops, &tgid);

	return loop && loop->silent;
}

static __always_inline void loop__forget(__u32 tgid)
{
	bpf_map_delete_elem(&loops, &tgid);
}

#endif
