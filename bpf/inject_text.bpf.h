/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The header lines that are injected: put together, and written into a message. */
#ifndef SPANLOOM_INJECT_TEXT_BPF_H
#define SPANLOOM_INJECT_TEXT_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/context.bpf.h"
#include "bpf/head.h"
#include "bpf/traceparent.h"

#define INJECT_TRACEPARENT_LEN (13 + TRACEPARENT_LEN + 2)
#define INJECT_TEXT_MAX	       (INJECT_TRACEPARENT_LEN + 12 + HEAD_STATE_MAX + 2)
#define INJECT_HEAD_MAX	       16384 /* of a message, where lines can go in; a power of two */
#define INJECT_TEXT_ROOM       1024  /* a power of two */

/* The header lines. */
struct inject_text {
	__u32 len;
	__u32 pad;
	__u8 bytes[INJECT_TEXT_ROOM];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct inject_text);
} inject_texts SEC(".maps") __weak;

/* @count bytes as lower-case hex. */
static __always_inline void inject__hex(__u8 *out, const __u8 *in, int count)
{
	for (int i = 0; i < count; i++) {
		__u8 high = in[i] >> 4, low = in[i] & 15;

		out[2 * i] = high + (high > 9 ? 'a' - 10 : '0');
		out[2 * i + 1] = low + (low > 9 ? 'a' - 10 : '0');
	}
}

static __always_inline struct inject_text *inject__text(void)
{
	__u32 slot = 0;

	return bpf_map_lookup_elem(&inject_texts, &slot);
}

/* The header lines for the newest request of @conn_id.  Their length, 0: there is none.  This
 * and the next are functions of their own for the reasons that payload.bpf.h tells. */
__weak int inject__compose(__u64 conn_id)
{
	const struct trace_context *context = bpf_map_lookup_elem(&contexts, &conn_id);
	struct inject_text *text = inject__text();
	__u32 len;
	__u8 *at;

	if (!text || !context)
		return 0;
	at = text->bytes;
	__builtin_memcpy(at, "traceparent: 00-", 16);
	inject__hex(at + 16, context->trace_id, 16);
	at[48] = '-';
	inject__hex(at + 49, context->span_id, 8);
	at[65] = '-';
	inject__hex(at + 66, &context->flags, 1);
	at[68] = '\r';
	at[69] = '\n';
	text->len = INJECT_TRACEPARENT_LEN;
	len = context->state_len;
	if (!len)
		return text->len;
	at += INJECT_TRACEPARENT_LEN;
	__builtin_memcpy(at, "tracestate: ", 12);
	__builtin_memcpy(at + 12, context->state, HEAD_STATE_MAX);
	barrier_var(len);
	if (len > HEAD_STATE_MAX)
		len = HEAD_STATE_MAX;
	at[12 + len] = '\r';
	at[12 + len + 1] = '\n';
	text->len = INJECT_TRACEPARENT_LEN + 12 + len + 2;
	return text->len;
}

/* Writes them at @at of the message's first piece.  0, or 1 when it has no room. */
__weak int inject__write(struct sk_msg_md *msg, __u32 at)
{
	const struct inject_text *text = inject__text();
	__u8 *out = (void *)(long)msg->data;
	void *end = (void *)(long)msg->data_end;
	__u32 i, len;

	if (!text)
		return 1;
	len = text->len;
	out += at & (INJECT_HEAD_MAX - 1);
	for (i = 0; i < INJECT_TEXT_MAX / 8; i++) {
		if (8 * i + 8 > len)
			break;
		if ((void *)(out + 8) > end)
			return 1;
		*(__u64 *)out = *(const __u64 *)(text->bytes + 8 * i);
		out += 8;
	}
	for (__u32 k = 0; k < 8; k++) {
		if (8 * i + k >= len)
			return 0;
		if ((void *)(out + 1) > end)
			return 1;
		*out++ = text->bytes[(8 * i + k) & (INJECT_TEXT_ROOM - 1)];
	}
	return 0;
}

#endif
