/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message that is sent, as bpf_msg_*_data() of net/core/filter.c see it: a list of pieces, each a
 * part of a page.  It refuses what the kernel refuses, and what a test has it refuse.
 */
#ifndef SPANLOOM_FAKE_MSG_H
#define SPANLOOM_FAKE_MSG_H

#include <stdbool.h>
#include <stddef.h>

#include "bpf/inject_splice.h"

#define FAKE_PIECES_MAX 17 /* MAX_MSG_FRAGS */
#define FAKE_PAGES_MAX	32
#define FAKE_PAGE_BYTES 8192

struct fake_piece {
	unsigned char *page;
	__u32 offset;
	__u32 len;
	bool shared; /* others have the page, too: nobody may write into it */
};

struct sk_msg_md {
	struct fake_piece piece[FAKE_PIECES_MAX + 2];
	__u32 count;
	__u32 size;
	__u32 view; /* the piece that the program sees, from this offset on */
	__u32 view_from;
	bool keeps_end;	      /* pop: as before 5d609ba26247 */
	bool loses_tail;      /* push: as before f72eed9b84fb */
	unsigned int no_page; /* bit n: the allocation of the nth page fails */
	unsigned int refused; /* bit n: the nth call of a helper fails, whatever the reason */
	unsigned int pages;
	unsigned int calls;
	unsigned char memory[FAKE_PAGES_MAX][FAKE_PAGE_BYTES];
};

/* No pieces.  What is in pages that nobody has written is no text. */
void fake_msg__init(struct sk_msg_md *msg);
/* @len of @bytes are behind what there is. */
void fake_msg__add(struct sk_msg_md *msg, const char *bytes, __u32 len, bool shared);
/* What would leave, @room bytes at the most.  How many there are. */
__u32 fake_msg__read(const struct sk_msg_md *msg, char *out, __u32 room);
/* Where the program may write @len bytes, @at behind the beginning of its view; NULL: it may not. */
unsigned char *fake_msg__view(struct sk_msg_md *msg, __u32 at, __u32 len);

#endif
