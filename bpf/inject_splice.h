/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How lines get into a message that is sent: all of them and nothing else, or none.  The host
 * compiles it, too, with helpers that fail where it wants (tests/unit/test_inject_splice.c).
 *
 * A message is a ring of pieces.  Of the helpers (bpf_msg_*_data() in net/core/filter.c, 5.10 to 7.2)
 * each does its work whole or changes nothing.  They fail
 *
 *	push	where there is no page
 *	pull	where there is no page, if what is wanted is not in one piece that is ours already
 *	pop	where a piece is cut in two and there is no room in the ring, nor a page
 *
 * and beyond the message's end.  So what may be refused comes first: behind it the message is ours
 * to mend, by pops that begin where a piece does, and pulls within one, which nothing refuses.
 */
#ifndef SPANLOOM_INJECT_SPLICE_H
#define SPANLOOM_INJECT_SPLICE_H

#include "bpf/word.h"

#ifdef __bpf__
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#else
struct sk_msg_md;
long bpf_msg_push_data(struct sk_msg_md *msg, __u32 start, __u32 len, __u64 flags);
long bpf_msg_pop_data(struct sk_msg_md *msg, __u32 start, __u32 len, __u64 flags);
long bpf_msg_pull_data(struct sk_msg_md *msg, __u32 start, __u32 end, __u64 flags);
#endif

#define INJECT_TORN (-1) /* against all that is said above: the message must not leave */

/* Writes the text of the desk @number at @at of the message's first piece.  0, or 1 when it has no
 * room. */
int inject__write(struct sk_msg_md *msg, __u32 number, __u32 at);

/* The first @bytes bytes are ours, the program's are behind them. */
static __always_inline int inject_splice__undo(struct sk_msg_md *msg, __u32 bytes)
{
	return bpf_msg_pop_data(msg, 0, bytes, 0) ? INJECT_TORN : 0;
}

/*
 * The message, one piece of @whole bytes, becomes the text of the desk @number, which is that with
 * @len bytes put in before offset @at.  The text goes in front, and the message itself goes: for
 * that the kernel takes one page.  @len, 0: it is as it was, INJECT_TORN.
 */
static __always_inline int inject_splice__exchange(struct sk_msg_md *msg, __u32 number, __u32 at,
						   __u32 len, __u32 whole)
{
	__u32 all = whole + len;

	if (bpf_msg_push_data(msg, 0, all, 0))
		return 0;
	if (inject__write(msg, number, 0))
		return inject_splice__undo(msg, all);
	if (!bpf_msg_pop_data(msg, all, whole, 0))
		return len;
	/* Before 5d609ba26247 (6.13, and stable kernels) a message's end cannot go: the end of
	 * what is new and the beginning of the old do. */
	if (bpf_msg_pop_data(msg, at + len, whole - at, 0))
		return inject_splice__undo(msg, all);
	if (bpf_msg_pop_data(msg, at + len, at, 0))
		return inject_splice__undo(msg, at + len);
	bpf_msg_pull_data(msg, 0, all, 0); /* in pieces it is slower, but right */
	return len;
}

/*
 * The text of the desk @number, @len bytes, goes in before offset @at of the message, of @whole
 * bytes, the first @head of which are more than @at.  They are made one piece before: in others
 * than the first one, what is behind @at would be lost (before f72eed9b84fb).  @len, 0: it is as
 * it was, INJECT_TORN.
 */
static __always_inline int inject_splice__insert(struct sk_msg_md *msg, __u32 number, __u32 at,
						 __u32 len, __u32 head, __u32 whole)
{
	if (bpf_msg_pull_data(msg, 0, head, 0) || bpf_msg_push_data(msg, at, len, 0))
		return 0;
	if (!bpf_msg_pull_data(msg, 0, whole + len, 0) && !inject__write(msg, number, at))
		return len;
	/* In pieces it is slower, but right. */
	if (!bpf_msg_pull_data(msg, at, at + len, 0) && !inject__write(msg, number, 0))
		return len;
	return bpf_msg_pop_data(msg, at, len, 0) ? INJECT_TORN : 0;
}

#endif
