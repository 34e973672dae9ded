/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * First bytes -> PostgreSQL?  Pure: the kernel, the parser and host tests compile it.
 *
 * A message is a tag, a length that counts itself but not the tag, and a body; only the first
 * packet of a client has no tag.  The lengths that a tag may have are a table, not code: what
 * is compared with numbers of the table teaches the verifier nothing, so it sees few states.
 */
#ifndef SPANLOOM_CLASSIFY_POSTGRES_H
#define SPANLOOM_CLASSIFY_POSTGRES_H

#include "bpf/event.h"

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

/* Who may send a message. */
#define POSTGRES_FRONT	  1u
#define POSTGRES_BACK	  2u

#define POSTGRES_HEADER	  5u
#define POSTGRES_STARTUP  10000u /* bytes of a first packet; the server refuses more, too */
#define POSTGRES_VERSION3 3u
#define POSTGRES_CANCEL	  80877102u
#define POSTGRES_SSL	  80877103u
#define POSTGRES_GSS	  80877104u

#define POSTGRES_HEAD	  64u /* bytes that can be looked at */
#define POSTGRES_CHAIN	  4   /* messages that are looked at */

/* Lengths of a message, or none at all when @span is 0. */
struct postgres_range {
	__u32 min;
	__u32 span; /* how many, from @min on */
};

/*
 * Of what carries data, and of what does not.  The first is half of what the server takes; it
 * keeps text out, where the four letters behind the first are a larger number.
 */
#define POSTGRES_DATA(min)                                                                         \
	{                                                                                          \
		(min), 1u << 29                                                                    \
	}
#define POSTGRES_SMALL(min)                                                                        \
	{                                                                                          \
		(min), 1u << 16                                                                    \
	}
#define POSTGRES_EXACT(len)                                                                        \
	{                                                                                          \
		(len), 1                                                                           \
	}

static const struct postgres_range postgres_front[128] = {
	['B'] = POSTGRES_DATA(12), /* Bind */
	['C'] = POSTGRES_SMALL(6), /* Close */
	['D'] = POSTGRES_SMALL(6), /* Describe */
	['E'] = POSTGRES_SMALL(9), /* Execute */
	['F'] = POSTGRES_DATA(14), /* FunctionCall */
	['H'] = POSTGRES_EXACT(4), /* Flush */
	['P'] = POSTGRES_DATA(8),  /* Parse */
	['Q'] = POSTGRES_DATA(5),  /* Query */
	['S'] = POSTGRES_EXACT(4), /* Sync */
	['X'] = POSTGRES_EXACT(4), /* Terminate */
	['c'] = POSTGRES_EXACT(4), /* CopyDone */
	['d'] = POSTGRES_DATA(4),  /* CopyData */
	['f'] = POSTGRES_SMALL(5), /* CopyFail */
	['p'] = POSTGRES_SMALL(4), /* passwords of all kinds */
};

static const struct postgres_range postgres_back[128] = {
	['1'] = POSTGRES_EXACT(4),  /* ParseComplete */
	['2'] = POSTGRES_EXACT(4),  /* BindComplete */
	['3'] = POSTGRES_EXACT(4),  /* CloseComplete */
	['A'] = POSTGRES_SMALL(10), /* NotificationResponse */
	['C'] = POSTGRES_SMALL(6),  /* CommandComplete */
	['D'] = POSTGRES_DATA(6),   /* DataRow */
	['E'] = POSTGRES_DATA(8),   /* ErrorResponse */
	['G'] = POSTGRES_SMALL(7),  /* CopyInResponse */
	['H'] = POSTGRES_SMALL(7),  /* CopyOutResponse */
	['I'] = POSTGRES_EXACT(4),  /* EmptyQueryResponse */
	['K'] = POSTGRES_SMALL(12), /* BackendKeyData */
	['N'] = POSTGRES_DATA(8),   /* NoticeResponse */
	['R'] = POSTGRES_SMALL(8),  /* Authentication */
	['S'] = POSTGRES_SMALL(6),  /* ParameterStatus */
	['T'] = POSTGRES_DATA(6),   /* RowDescription */
	['V'] = POSTGRES_DATA(8),   /* FunctionCallResponse */
	['W'] = POSTGRES_SMALL(7),  /* CopyBothResponse */
	['Z'] = POSTGRES_EXACT(5),  /* ReadyForQuery */
	['c'] = POSTGRES_EXACT(4),  /* CopyDone */
	['d'] = POSTGRES_DATA(4),   /* CopyData */
	['n'] = POSTGRES_EXACT(4),  /* NoData */
	['s'] = POSTGRES_EXACT(4),  /* PortalSuspended */
	['t'] = POSTGRES_DATA(6),   /* ParameterDescription */
	['v'] = POSTGRES_SMALL(12), /* NegotiateProtocolVersion */
};

/* Which sides may send a message of this @tag with the length @len in its header. */
static __always_inline __u32 postgres_sides(__u8 tag, __u32 len)
{
	const struct postgres_range *front = &postgres_front[tag & 127];
	const struct postgres_range *back = &postgres_back[tag & 127];
	__u32 sides = 0;

	if (tag > 127)
		return 0;
	if (len - front->min < front->span)
		sides |= POSTGRES_FRONT;
	if (len - back->min < back->span)
		sides |= POSTGRES_BACK;
	return sides;
}

static __always_inline __u32 postgres_be32(const __u8 *head, __u32 at)
{
	return (__u32)head[at & 63] << 24 | (__u32)head[(at + 1) & 63] << 16 |
	       (__u32)head[(at + 2) & 63] << 8 | head[(at + 3) & 63];
}

static __always_inline int postgres_is_upper(__u8 c)
{
	return c >= 'A' && c <= 'Z';
}

/* A byte of a name or of SQL, or the end of it. */
static __always_inline int postgres_is_text(__u8 c)
{
	return !c || c >= ' ' || (c >= '\t' && c <= '\r');
}

/* "SELECT 1", "DO": a command that was done. */
static __always_inline int postgres_is_command(__u8 a, __u8 b, __u8 c)
{
	return postgres_is_upper(a) && postgres_is_upper(b) &&
	       (postgres_is_upper(c) || c == ' ' || !c);
}

/* Which sides may send the first message, by the first bytes of its body. */
static __always_inline __u32 postgres_body(const __u8 *head, __u32 len)
{
	__u8 a = head[5], b = head[6], c = head[7];
	__u32 object = a == 'S' || a == 'P' ? POSTGRES_FRONT : 0;
	__u32 back;

	switch (head[0]) {
	case 'C': /* a command, or the name of a statement or portal */
		if (a == 'S' && b == 'E' && (c == 'L' || c == 'T'))
			return POSTGRES_BACK;
		back = postgres_is_command(a, b, c) ? POSTGRES_BACK : 0;
		return back | object;
	case 'D': /* the number of columns, or a name as above */
		return a < 8 ? POSTGRES_BACK : object;
	case 'E': /* "SERROR", or the name of a portal and a number */
		if (a == 'S' && postgres_is_upper(b) && len > 24)
			return POSTGRES_BACK;
		return (a ? postgres_is_text(a) : len == 9) ? POSTGRES_FRONT : 0;
	case 'N':
		return a == 'S' ? POSTGRES_BACK : 0;
	case 'B':
	case 'P':
	case 'Q':
		return postgres_is_text(a) && postgres_is_text(b) ? POSTGRES_FRONT : 0;
	case 'R':
		return !a && !b && !c && head[8] <= 12 ? POSTGRES_BACK : 0;
	case 'T':
		return a < 8 ? POSTGRES_BACK : 0;
	case 'Z':
		return a == 'I' || a == 'T' || a == 'E' ? POSTGRES_BACK : 0;
	}
	return POSTGRES_FRONT | POSTGRES_BACK;
}

/* A message that postgres_body() has looked at: enough when no second one can be seen. */
static __always_inline int postgres_is_known(__u8 tag)
{
	switch (tag) {
	case 'B':
	case 'C':
	case 'D':
	case 'E':
	case 'N':
	case 'P':
	case 'Q':
	case 'R':
	case 'T':
		return 1;
	}
	return 0;
}

/* ASCII, as nearly all SQL begins, or the end of a name. */
static __always_inline int postgres_is_plain(const __u8 *at)
{
	int i;

	for (i = 0; i < 8; i++)
		if (at[i] > '~' || !postgres_is_text(at[i]))
			return 0;
	return 1;
}

/* Is the first message so long that it goes on in the next send?  Its length is no evidence
 * then, so its body has to be more. */
static __always_inline int postgres_goes_on(const __u8 *head)
{
	__u32 columns = (__u32)head[5] << 8 | head[6];
	__u32 first = postgres_be32(head, 7);

	switch (head[0]) {
	case 'B': /* to the unnamed portal */
		return !head[5] && head[6] <= '~' && postgres_is_text(head[6]);
	case 'D': /* a value, or NULL */
		return columns && columns <= 1664 &&
		       (first == ~0u || first < postgres_be32(head, 1));
	case 'E':
		return head[5] == 'S' && postgres_is_upper(head[6]) && postgres_is_upper(head[7]);
	case 'P':
	case 'Q':
		return postgres_is_plain(head + 5);
	}
	return 0;
}

static __always_inline enum match postgres_startup(const __u8 *head, __u32 len, __u32 size)
{
	__u32 packet = postgres_be32(head, 0);
	__u32 code = postgres_be32(head, 4);

	if (len < 8 || packet != size || packet > POSTGRES_STARTUP)
		return MATCH_NONE;
	if (code == POSTGRES_SSL || code == POSTGRES_GSS)
		return packet == 8 ? MATCH_REQUEST : MATCH_NONE;
	if (code == POSTGRES_CANCEL)
		return packet >= 16 && packet <= 268 ? MATCH_REQUEST : MATCH_NONE;
	/* behind the version: the name of a parameter, or the end of the list */
	if (code >> 16 == POSTGRES_VERSION3 && packet > 8 && postgres_is_text(head[8]))
		return MATCH_REQUEST;
	return MATCH_NONE;
}

/*
 * @head: 64 readable bytes, of which @len are of the message and the rest is zero; @size: bytes
 * of the whole send.  @fresh: they are the first of a connection; a client then begins with a
 * start-up packet, and nothing else of a client's is taken.
 */
static __always_inline enum match classify_postgres(const __u8 *head, __u32 len, __u32 size,
						    __u8 fresh)
{
	__u32 sides, at = 0;
	int whole = 0;

	if (len < POSTGRES_HEADER || len > POSTGRES_HEAD || size < len)
		return MATCH_NONE;
	if (!head[0])
		return postgres_startup(head, len, size);
	sides = postgres_body(head, postgres_be32(head, 1));
	for (; whole < POSTGRES_CHAIN && at + POSTGRES_HEADER <= len; whole++) {
		__u32 total = postgres_be32(head, at + 1);

		sides &= postgres_sides(head[at & 63], total);
		if (!sides)
			return MATCH_NONE;
		at += total + 1;
		if (at > size)
			break;
	}
	if (at != size && whole < 2 &&
	    !(whole ? postgres_is_known(head[0]) : postgres_goes_on(head)))
		return MATCH_NONE;
	if (fresh)
		return sides & POSTGRES_BACK ? MATCH_RESPONSE : MATCH_NONE;
	if (sides == POSTGRES_FRONT)
		return MATCH_REQUEST;
	return sides == POSTGRES_BACK ? MATCH_RESPONSE : MATCH_EITHER;
}

#endif
