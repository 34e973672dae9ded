// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/fake_msg.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define FAKE_DIRT 0xa5 /* what stands in a page that nobody has written */

void fake_msg__init(struct sk_msg_md *msg)
{
	memset(msg, 0, sizeof(*msg));
	memset(msg->memory, FAKE_DIRT, sizeof(msg->memory));
}

/* NULL: it is refused. */
static unsigned char *page(struct sk_msg_md *msg, __u32 len)
{
	unsigned int number = msg->pages++;

	assert_true(len <= FAKE_PAGE_BYTES && number < FAKE_PAGES_MAX);
	return msg->no_page >> number & 1 ? NULL : msg->memory[number];
}

static void make_room(struct sk_msg_md *msg, __u32 at, __u32 count)
{
	assert_true(msg->count + count <= FAKE_PIECES_MAX);
	memmove(&msg->piece[at + count], &msg->piece[at],
		(msg->count - at) * sizeof(msg->piece[0]));
	msg->count += count;
}

static void take_out(struct sk_msg_md *msg, __u32 at, __u32 count)
{
	memmove(&msg->piece[at], &msg->piece[at + count],
		(msg->count - at - count) * sizeof(msg->piece[0]));
	msg->count -= count;
}

/* The number of the piece that has byte @start; the message's bytes before it to @before. */
static __u32 find(const struct sk_msg_md *msg, __u32 start, __u32 *before)
{
	__u32 i = 0;

	*before = 0;
	while (i < msg->count && start >= *before + msg->piece[i].len)
		*before += msg->piece[i++].len;
	return i;
}

static bool is_refused(struct sk_msg_md *msg)
{
	return msg->refused >> msg->calls++ & 1;
}

static void look_at(struct sk_msg_md *msg, __u32 piece, __u32 from)
{
	msg->view = piece;
	msg->view_from = from;
}

void fake_msg__add(struct sk_msg_md *msg, const char *bytes, __u32 len, bool shared)
{
	unsigned char *to = page(msg, len);

	assert_non_null(to);
	make_room(msg, msg->count, 1);
	memcpy(to, bytes, len);
	msg->piece[msg->count - 1] = (struct fake_piece){ to, 0, len, shared };
	msg->size += len;
}

__u32 fake_msg__read(const struct sk_msg_md *msg, char *out, __u32 room)
{
	__u32 len = 0;

	for (__u32 i = 0; i < msg->count; i++) {
		const struct fake_piece *p = &msg->piece[i];

		assert_true(len + p->len <= room && p->offset + p->len <= FAKE_PAGE_BYTES);
		memcpy(out + len, p->page + p->offset, p->len);
		len += p->len;
	}
	assert_int_equal(len, msg->size);
	return len;
}

unsigned char *fake_msg__view(struct sk_msg_md *msg, __u32 at, __u32 len)
{
	const struct fake_piece *p = &msg->piece[msg->view];

	if (p->shared || msg->view_from + at + len > p->len)
		return NULL;
	return p->page + p->offset + msg->view_from + at;
}

/* ---- the helpers ------------------------------------------------------------------------ */

/* The pieces from @first on, until they have @bytes, become one.  0: there is no page. */
static bool join(struct sk_msg_md *msg, __u32 first, __u32 bytes)
{
	__u32 last = first, len = 0, at = 0;
	unsigned char *to;

	while (len < bytes)
		len += msg->piece[last++].len;
	to = page(msg, len);
	if (!to)
		return false;
	for (__u32 i = first; i < last; i++) {
		memcpy(to + at, msg->piece[i].page + msg->piece[i].offset, msg->piece[i].len);
		at += msg->piece[i].len;
	}
	msg->piece[first] = (struct fake_piece){ to, 0, len, false };
	take_out(msg, first + 1, last - first - 1);
	return true;
}

long bpf_msg_pull_data(struct sk_msg_md *msg, __u32 start, __u32 end, __u64 flags)
{
	__u32 before, i = find(msg, start, &before);

	if (is_refused(msg) || flags || end <= start || end > msg->size)
		return -EINVAL;
	if ((msg->piece[i].shared || end - before > msg->piece[i].len) &&
	    !join(msg, i, end - before))
		return -ENOMEM;
	look_at(msg, i, start - before);
	return 0;
}

/* The piece @i is copied, with @len bytes of nobody's before its offset @at.  0: there is no page. */
static bool widen(struct sk_msg_md *msg, __u32 i, __u32 at, __u32 len)
{
	struct fake_piece *p = &msg->piece[i];
	unsigned char *to = page(msg, p->len + len);

	if (!to)
		return false;
	memcpy(to, p->page + p->offset, at);
	memcpy(to + at + len, p->page + p->offset + at, p->len - at);
	*p = (struct fake_piece){ to, 0, p->len + len, false };
	return true;
}

/* @len bytes of nobody's go in front of the piece @i, or into it.  0: there is no page. */
static bool put(struct sk_msg_md *msg, __u32 i, __u32 at, __u32 before, __u32 len)
{
	const struct fake_piece old = msg->piece[i];
	unsigned char *to = page(msg, len);

	if (!to)
		return false;
	make_room(msg, i, at ? 2 : 1);
	if (at) {
		msg->piece[i++].len = at;
		msg->piece[i + 1] =
			(struct fake_piece){ old.page,
					     old.offset + at + (msg->loses_tail ? before : 0),
					     old.len - at, old.shared };
	}
	msg->piece[i] = (struct fake_piece){ to, 0, len, false };
	return true;
}

long bpf_msg_push_data(struct sk_msg_md *msg, __u32 start, __u32 len, __u64 flags)
{
	__u32 before, i = find(msg, start, &before);
	__u32 room = FAKE_PIECES_MAX - msg->count, at = start - before;

	if (is_refused(msg) || flags || i == msg->count)
		return -EINVAL;
	if (!room || (room == 1 && at) ? !widen(msg, i, at, len) : !put(msg, i, at, before, len))
		return -ENOMEM;
	msg->size += len;
	look_at(msg, 0, 0);
	return 0;
}

/* @len bytes from offset @at of the piece @i on go, more of it follow.  0: there is no page. */
static bool cut_in_two(struct sk_msg_md *msg, __u32 i, __u32 at, __u32 len)
{
	struct fake_piece *p = &msg->piece[i];
	unsigned char *to;

	if (msg->count < FAKE_PIECES_MAX) {
		make_room(msg, i + 1, 1);
		p[1] = (struct fake_piece){ p->page, p->offset + at + len, p->len - at - len,
					    p->shared };
		p->len = at;
		return true;
	}
	to = page(msg, p->len - len);
	if (!to)
		return false;
	memcpy(to, p->page + p->offset, at);
	memcpy(to + at, p->page + p->offset + at + len, p->len - at - len);
	*p = (struct fake_piece){ to, 0, p->len - len, false };
	return true;
}

long bpf_msg_pop_data(struct sk_msg_md *msg, __u32 start, __u32 len, __u64 flags)
{
	__u32 before, i = find(msg, start, &before), at = start - before, left = len;

	if (is_refused(msg) || flags || i == msg->count || start + len > msg->size ||
	    (msg->keeps_end && start + len == msg->size))
		return -EINVAL;
	if (at && at + len < msg->piece[i].len) {
		if (!cut_in_two(msg, i, at, len))
			return -ENOMEM;
		left = 0;
	} else if (at) {
		left -= msg->piece[i].len - at;
		msg->piece[i++].len = at;
	}
	while (left && i < msg->count) {
		struct fake_piece *p = &msg->piece[i];
		__u32 part = left < p->len ? left : p->len;

		p->offset += part;
		p->len -= part;
		left -= part;
		if (!p->len) {
			take_out(msg, i, 1);
			i += msg->keeps_end; /* likewise: the next one stays */
		}
	}
	msg->size -= len;
	look_at(msg, 0, 0);
	return 0;
}
