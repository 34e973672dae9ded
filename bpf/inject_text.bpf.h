/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The header lines that are injected: put together, and written into a message. */
#ifndef SPANLOOM_INJECT_TEXT_BPF_H
#define SPANLOOM_INJECT_TEXT_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/context.bpf.h"
#include "bpf/inject_desk.bpf.h"
#include "bpf/inject_splice.h"
#include "bpf/traceparent.h"
#include "bpf/word.h"

#define INJECT_HEAD_MAX 16384 /* of a message, where lines can go in; a power of two */
#define INJECT_STRIDE	32    /* bytes that are copied at once; there is no text that is shorter */

/* @count bytes, a multiple of four, as lower-case hex. */
static __always_inline void inject__hex(__u8 *out, const __u8 *in, int count)
{
	for (int i = 0; i < count; i += 4)
		word__store(out + 2 * i, word__hex(*(const __u32 *)(in + i)));
}

static __always_inline void inject__stride(__u8 *out, const __u8 *in)
{
	for (int i = 0; i < INJECT_STRIDE; i += 8)
		word__store(out + i, word__load(in + i));
}

static __always_inline __u8 *inject__place(struct inject_desk *desk, __u64 at)
{
	return desk->text + (at & (INJECT_TEXT_ROOM - 1));
}

/* The header lines for the newest request of @conn_id, from @at of the text on the desk @number.
 * Their length, 0: there is none.  These are functions of their own for the reasons that
 * payload.bpf.h tells. */
__weak int inject__compose(__u32 number, __u64 conn_id, __u32 at)
{
	const struct trace_context *context = bpf_map_lookup_elem(&contexts, &conn_id);
	struct inject_desk *desk = inject_desk__of(number);
	__u32 len;
	__u8 *out;

	if (!desk || !context || at > INJECT_COPY_MAX)
		return 0;
	out = desk->text + at;
	word__store(out, word__of("tracepar"));
	word__store(out + 8, word__of("ent: 00-"));
	inject__hex(out + 16, context->trace_id, 16);
	out[48] = '-';
	inject__hex(out + 49, context->span_id, 8);
	word__store(out + 65, word__hex(context->flags) << 8 | '-');
	out[68] = '\r';
	out[69] = '\n';
	len = context->state_len;
	desk->text_len = INJECT_TRACEPARENT_LEN;
	if (!len)
		return INJECT_TRACEPARENT_LEN;
	out += INJECT_TRACEPARENT_LEN;
	word__store(out, word__of("tracesta"));
	word__store(out + 4, word__of("estate: "));
	__builtin_memcpy(out + 12, context->state, HEAD_STATE_MAX);
	barrier_var(len);
	if (len > HEAD_STATE_MAX)
		len = HEAD_STATE_MAX;
	out[12 + len] = '\r';
	out[12 + len + 1] = '\n';
	desk->text_len += 12 + len + 2;
	return INJECT_TRACEPARENT_LEN + 12 + len + 2;
}

/* Copies the bytes from..to of the message, as the head's reader was shown them, to @at of the
 * text; behind it anything may be written, too. */
static __always_inline void inject__copy(struct inject_desk *desk, __u32 at,
					 const struct head_work *work, __u32 from, __u32 to)
{
	for (__u32 i = 0; i < INJECT_COPY_MAX; i += INJECT_STRIDE) {
		if (from + i >= to)
			break;
		inject__stride(inject__place(desk, at + i),
			       work->bytes + ((from + i) & (HEAD_WINDOW - 1)));
	}
}

/* The message as it is to be, with the lines before its offset @at.  Their length, 0: there is
 * none. */
__weak int inject__assemble(__u32 number, __u64 conn_id, __u32 at)
{
	const struct head_work *work = inject_desk__head(number);
	struct inject_desk *desk = inject_desk__of(number);
	__u32 len;

	if (!desk || !work || work->len > INJECT_COPY_MAX)
		return 0;
	inject__copy(desk, 0, work, 0, at);
	len = inject__compose(number, conn_id, at);
	if (!len)
		return 0;
	inject__copy(desk, at + len, work, at, work->len);
	desk->text_len = work->len + len;
	return len;
}

__weak int inject__write(struct sk_msg_md *msg, __u32 number, __u32 at)
{
	struct inject_desk *desk = inject_desk__of(number);
	__u8 *out = (void *)(long)msg->data;
	void *end = (void *)(long)msg->data_end;
	__u32 last;
	__u8 *next;

	if (!desk || desk->text_len < INJECT_STRIDE)
		return 1;
	last = (desk->text_len - INJECT_STRIDE) & (INJECT_TEXT_ROOM - 1);
	out += at & (INJECT_HEAD_MAX - 1);
	next = out;
	for (__u32 i = 0; i < INJECT_TEXT_ROOM; i += INJECT_STRIDE) {
		if (i >= last)
			break;
		if ((void *)(next + INJECT_STRIDE) > end)
			return 1;
		inject__stride(next, desk->text + i);
		next += INJECT_STRIDE;
	}
	out += last;
	if ((void *)(out + INJECT_STRIDE) > end)
		return 1;
	inject__stride(out, inject__place(desk, last));
	return 0;
}

#endif
