/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Follows a chunked body through a message that is sent. */
#ifndef SPANLOOM_INJECT_CHUNKS_BPF_H
#define SPANLOOM_INJECT_CHUNKS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/chunk.h"
#include "bpf/inject_desk.bpf.h"

#define INJECT_CHUNKS_MAX    32 /* of one message */
#define INJECT_CHUNK_STRETCH 8	/* bytes of such lines; INJECT_CHUNK_VIEW is a multiple */

/* Reads the lines on from byte @from of the view, which has @len, for a stretch.  0, or 1 when they
 * are over.  This and the next are functions of their own for the reasons that payload.bpf.h
 * tells. */
__weak int inject__chunk_stretch(__u32 number, __u32 from, __u32 len)
{
	struct inject_desk *desk = inject_desk__of(number);

	if (!desk)
		return 1;
	for (__u32 i = 0; i < INJECT_CHUNK_STRETCH; i++) {
		if (from + i >= len || desk->chunk.state == CHUNK_DATA ||
		    desk->chunk.state >= CHUNK_DONE)
			return 1;
		chunk__byte(&desk->chunk, desk->view[(from + i) & (INJECT_CHUNK_VIEW - 1)]);
		desk->at++;
	}
	return 0;
}

/* Reads lines between chunks; stops at data, and at the end.  0, or 1 when they cannot be had. */
__weak int inject__chunk_lines(struct sk_msg_md *msg, __u32 number)
{
	struct inject_desk *desk = inject_desk__of(number);
	__u32 from, len;

	if (!desk)
		return 1;
	from = desk->at;
	len = desk->size - from;
	if (len > INJECT_CHUNK_VIEW)
		len = INJECT_CHUNK_VIEW;
	if (bpf_msg_pull_data(msg, from, from + len, 0))
		return 1;
	barrier_var(len); /* see payload__record_of() */
	if (len > INJECT_CHUNK_VIEW)
		len = INJECT_CHUNK_VIEW;
	if (bpf_probe_read_kernel(desk->view, len, (void *)(long)msg->data))
		return 1;
	for (__u32 i = 0; i < INJECT_CHUNK_VIEW; i += INJECT_CHUNK_STRETCH)
		if (inject__chunk_stretch(number, i, len))
			break;
	return 0;
}

/* Goes on in the message from desk->at, to the body's end or the message's.  0, or 1 when it cannot
 * be followed. */
__weak int inject__chunks(struct sk_msg_md *msg, __u32 number)
{
	struct inject_desk *desk = inject_desk__of(number);

	if (!desk)
		return 1;
	for (int i = 0; i < 2 * INJECT_CHUNKS_MAX; i++) {
		if (desk->at >= desk->size || desk->chunk.state == CHUNK_DONE)
			return 0;
		if (desk->chunk.state == CHUNK_BAD)
			return 1;
		if (desk->chunk.state == CHUNK_DATA)
			desk->at += chunk__skip(&desk->chunk, desk->size - desk->at);
		else if (inject__chunk_lines(msg, number))
			return 1;
	}
	return desk->at < desk->size && desk->chunk.state != CHUNK_DONE;
}

#endif
