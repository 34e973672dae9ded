/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Follows a chunked body through a message that is sent. */
#ifndef SPANLOOM_INJECT_CHUNKS_BPF_H
#define SPANLOOM_INJECT_CHUNKS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/chunk.h"

#define INJECT_CHUNKS_MAX 32 /* of one message; a power of two */
#define INJECT_CHUNK_VIEW 64 /* bytes that are read at once where no data is; likewise */

struct inject_body {
	struct chunk chunk;
	__u32 at; /* offset in the message */
	__u32 size;
	__u8 bytes[INJECT_CHUNK_VIEW];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct inject_body);
} inject_bodies SEC(".maps") __weak;

static __always_inline struct inject_body *inject__chunk_work(void)
{
	__u32 slot = 0;

	return bpf_map_lookup_elem(&inject_bodies, &slot);
}

/* Reads lines between chunks; stops at data, and at the end.  0, or 1 when they cannot be had.
 * This and the next are functions of their own for the reasons that payload.bpf.h tells. */
__weak int inject__chunk_lines(struct sk_msg_md *msg)
{
	struct inject_body *body = inject__chunk_work();
	__u32 from, len;

	if (!body)
		return 1;
	from = body->at;
	len = body->size - from;
	if (len > INJECT_CHUNK_VIEW)
		len = INJECT_CHUNK_VIEW;
	if (bpf_msg_pull_data(msg, from, from + len, 0))
		return 1;
	barrier_var(len); /* see payload__record_of() */
	if (len > INJECT_CHUNK_VIEW)
		len = INJECT_CHUNK_VIEW;
	if (bpf_probe_read_kernel(body->bytes, len, (void *)(long)msg->data))
		return 1;
	for (__u32 i = 0; i < INJECT_CHUNK_VIEW; i++) {
		if (i >= len || body->chunk.state == CHUNK_DATA || body->chunk.state >= CHUNK_DONE)
			break;
		chunk__byte(&body->chunk, body->bytes[i]);
		body->at++;
	}
	return 0;
}

/* Goes on in the message from @at, to the body's end or the message's.  0, or 1 when it cannot
 * be followed. */
__weak int inject__chunks(struct sk_msg_md *msg)
{
	struct inject_body *body = inject__chunk_work();

	if (!body)
		return 1;
	for (int i = 0; i < 2 * INJECT_CHUNKS_MAX; i++) {
		if (body->at >= body->size || body->chunk.state == CHUNK_DONE)
			return 0;
		if (body->chunk.state == CHUNK_BAD)
			return 1;
		if (body->chunk.state == CHUNK_DATA)
			body->at += chunk__skip(&body->chunk, body->size - body->at);
		else if (inject__chunk_lines(msg))
			return 1;
	}
	return body->at < body->size && body->chunk.state != CHUNK_DONE;
}

#endif
