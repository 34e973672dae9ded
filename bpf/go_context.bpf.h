/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Go's context.Context: whoever makes a call with one that was derived from a request's makes it
 * for that request, in whatever goroutine.
 *
 *	net/http's server gives its handler a request with a context of its own.
 *	Contexts are lists: each one that is derived from another begins with it.
 *	Libraries have functions that are given a context and do all of a call before they return.
 *	So while such a function has not returned, what its goroutine sends is that request's.
 *
 * When it returns is not watched.  Whether it has is seen when something is sent: its frame is
 * among those of the stack, or is not.
 */
#ifndef SPANLOOM_GO_CONTEXT_BPF_H
#define SPANLOOM_GO_CONTEXT_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/conn.bpf.h"
#include "bpf/core.bpf.h"
#include "bpf/event.h"
#include "bpf/go.bpf.h"

#define GO_CONTEXT_DEPTH 16 /* how far up is looked for a request's */
#define GO_FRAMES	 4  /* functions within functions that were given a context */
#define GO_STACK_STEPS	 64 /* how far up the stack is looked for them */

struct go_request {
	__u64 goid; /* that serves it */
	__u64 conn_id;
	__u64 pos;
};

/* Address of a context (id of the key) -> the request that it was made for.  What is done on
 * behalf of a request that is open holds its context: the address is no other's then. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct activity_key);
	__type(value, struct go_request);
} go_requests SEC(".maps") __weak;

/* A function that was given the context of a request. */
struct go_frame {
	__u64 depth; /* of its caller's frame, below the stack's end: stacks are moved; 0: none */
	__u64 back;  /* where it returns to */
	__u64 conn_id;
	__u64 pos;
};

/* Goroutine -> such functions that it is in, or was; the innermost first. */
struct go_frames {
	struct go_frame frame[GO_FRAMES];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct activity_key);
	__type(value, struct go_frames);
} go_frames SEC(".maps") __weak;

static const struct go_frames go_frames_none;

static __always_inline struct activity_key go_context__key(__u32 tgid, __u64 id)
{
	struct activity_key key = { .id = id, .tgid = tgid, .kind = ACTIVITY_GOROUTINE };

	return key;
}

/* The request that the context at this address is derived from; NULL: none that is known. */
static __always_inline const struct go_request *go_context__request(__u32 tgid, __u64 context)
{
	struct activity_key key = go_context__key(tgid, context);

	for (int i = 0; i < GO_CONTEXT_DEPTH && key.id; i++) {
		const struct go_request *request = bpf_map_lookup_elem(&go_requests, &key);
		struct go_interface parent;

		if (request)
			return request;
		if (bpf_probe_read_user(&parent, sizeof(parent), (void *)key.id))
			break;
		key.id = parent.data;
	}
	return NULL;
}

/* The goroutine @key is at the beginning of a function that was given the context of a request.
 * What is not further up the stack has returned. */
static __always_inline void go_context__enter(const struct activity_key *key,
					      const struct go_frame *frame)
{
	struct go_frames *frames = bpf_map_lookup_elem(&go_frames, key);
	struct go_frames before = {};
	int kept = 1;

	if (!frames) {
		bpf_map_update_elem(&go_frames, key, &go_frames_none, BPF_NOEXIST);
		frames = bpf_map_lookup_elem(&go_frames, key);
	}
	if (!frames)
		return;
	before = *frames;
	frames->frame[0] = *frame;
	for (int i = 0; i < GO_FRAMES; i++)
		if (before.frame[i].depth && before.frame[i].depth < frame->depth &&
		    kept < GO_FRAMES)
			frames->frame[kept++] = before.frame[i];
	if (kept < GO_FRAMES)
		frames->frame[kept].depth = 0;
}

/*
 * Which of its frames is the innermost that the goroutine is in?  -1: none.  The frame pointer
 * leads to where the caller's is saved, with the address to return to above it, and so on.
 */
__weak int go_context__innermost(__u32 tgid, __u64 goid, __u64 stack_end)
{
	struct activity_key key = go_context__key(tgid, goid);
	struct go_frames *frames = bpf_map_lookup_elem(&go_frames, &key);
	__u64 saved[2]; /* the caller's frame pointer, where to return to */
	__u32 slot = 0;

	if (!frames || bpf_probe_read_user(saved, sizeof(saved), (void *)core__frame_pointer()))
		return -1;
	for (int i = 0; i < GO_STACK_STEPS; i++) {
		const struct go_frame *frame;

		if (slot >= GO_FRAMES)
			break;
		frame = &frames->frame[slot];
		if (!frame->depth)
			break;
		if (stack_end - saved[0] > frame->depth) {
			if (bpf_probe_read_user(saved, sizeof(saved), (void *)saved[0]))
				break;
			continue;
		}
		if (stack_end - saved[0] == frame->depth && saved[1] == frame->back)
			return slot;
		slot++;
	}
	return -1;
}

/* The frame of a function that the current goroutine is in, and that was given the context of a
 * request; NULL: none. */
static __always_inline const struct go_frame *go_context__frame(const struct activity_key *key,
								__u64 g)
{
	struct go_frames *frames = bpf_map_lookup_elem(&go_frames, key);
	__u32 slot;

	if (!frames)
		return NULL;
	slot = go_context__innermost(key->tgid, key->id, go__stack_end(g));
	return slot < GO_FRAMES ? &frames->frame[slot] : NULL;
}

#endif
