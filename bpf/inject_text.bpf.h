/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The header lines that are injected: put together, and written into a message. */
#ifndef SPANLOOM_INJECT_TEXT_BPF_H
#define SPANLOOM_INJECT_TEXT_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/context.bpf.h"
#include "bpf/inject_desk.bpf.h"
#include "bpf/traceparent.h"

#define INJECT_HEAD_MAX 16384 /* of a message, where lines can go in; a power of two */

/* @count bytes as lower-case hex. */
static __always_inline void inject__hex(__u8 *out, const __u8 *in, int count)
{
	for (int i = 0; i < count; i++) {
		__u8 high = in[i] >> 4, low = in[i] & 15;

		out[2 * i] = high + (high > 9 ? 'a' - 10 : '0');
		out[2 * i + 1] = low + (low > 9 ? 'a' - 10 : '0');
	}
}

/* The header lines for the newest request of @conn_id, on the desk @number.  Their length, 0:
 * there is none.  This and the next are functions of their own for the reasons that payload.bpf.h tells. */
__weak int inject__compose(__u32 number, __u64 conn_id)
{
	const struct trace_context *context = bpf_map_lookup_elem(&contexts, &conn_id);
	struct inject_desk *desk = inject_desk__of(number);
	__u32 len;
	__u8 *at;

	if (!desk || !context)
		return 0;
	at = desk->text;
	__builtin_memcpy(at, "traceparent: 00-", 16);
	inject__hex(at + 16, context->trace_id, 16);
	at[48] = '-';
	inject__hex(at + 49, context->span_id, 8);
	at[65] = '-';
	inject__hex(at + 66, &context->flags, 1);
	at[68] = '\r';
	at[69] = '\n';
	desk->text_len = INJECT_TRACEPARENT_LEN;
	len = context->state_len;
	if (!len)
		return desk->text_len;
	at += INJECT_TRACEPARENT_LEN;
	__builtin_memcpy(at, "tracestate: ", 12);
	__builtin_memcpy(at + 12, context->state, HEAD_STATE_MAX);
	barrier_var(len);
	if (len > HEAD_STATE_MAX)
		len = HEAD_STATE_MAX;
	at[12 + len] = '\r';
	at[12 + len + 1] = '\n';
	desk->text_len = INJECT_TRACEPARENT_LEN + 12 + len + 2;
	return desk->text_len;
}

/* Writes them at @at of the message's first piece.  0, or 1 when it has no room. */
__weak int inject__write(struct sk_msg_md *msg, __u32 number, __u32 at)
{
	const struct inject_desk *desk = inject_desk__of(number);
	__u8 *out = (void *)(long)msg->data;
	void *end = (void *)(long)msg->data_end;
	__u32 i, len;

	if (!desk)
		return 1;
	len = desk->text_len;
	out += at & (INJECT_HEAD_MAX - 1);
	for (i = 0; i < INJECT_TEXT_MAX / 8; i++) {
		if (8 * i + 8 > len)
			break;
		if ((void *)(out + 8) > end)
			return 1;
		*(__u64 *)out = *(const __u64 *)(desk->text + 8 * i);
		out += 8;
	}
	for (__u32 k = 0; k < 8; k++) {
		if (8 * i + k >= len)
			return 0;
		if ((void *)(out + 1) > end)
			return 1;
		*out++ = desk->text[(8 * i + k) & (INJECT_TEXT_ROOM - 1)];
	}
	return 0;
}

#endif
