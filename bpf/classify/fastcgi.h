/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * First bytes -> FastCGI 1.0?  Pure: the kernel, the parser and host tests compile it.
 *
 * A record is a header of eight bytes (version, type, request id, length, padding, reserved) and
 * its content.  A request begins with BEGIN_REQUEST, which PHP-FPM reads header first: eight bytes
 * are all there is to see then.
 */
#ifndef SPANLOOM_CLASSIFY_FASTCGI_H
#define SPANLOOM_CLASSIFY_FASTCGI_H

#include "bpf/event.h"

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

#define FASTCGI_VERSION	 1
#define FASTCGI_HEADER	 8  /* bytes */
#define FASTCGI_BOUNDARY 16 /* of a whole BEGIN_REQUEST or END_REQUEST */

enum fastcgi_type {
	FASTCGI_BEGIN_REQUEST = 1,
	FASTCGI_ABORT_REQUEST,
	FASTCGI_END_REQUEST,
	FASTCGI_PARAMS,
	FASTCGI_STDIN,
	FASTCGI_STDOUT,
	FASTCGI_STDERR,
	FASTCGI_DATA,
	FASTCGI_GET_VALUES,
	FASTCGI_GET_VALUES_RESULT,
	FASTCGI_UNKNOWN_TYPE,
};

/* A header of @type, of some request, with nothing in the reserved byte. */
static __always_inline int fastcgi_is_record(const __u8 *head, enum fastcgi_type type)
{
	return head[0] == FASTCGI_VERSION && head[1] == type && (head[2] || head[3]) && !head[7];
}

/* Likewise one of @len bytes, less than 256, that nobody would pad. */
static __always_inline int fastcgi_is_short(const __u8 *head, enum fastcgi_type type, __u8 len)
{
	return fastcgi_is_record(head, type) && !head[4] && head[5] == len && !head[6];
}

static __always_inline int fastcgi_is_begin(const __u8 *head)
{
	return fastcgi_is_short(head, FASTCGI_BEGIN_REQUEST, 8);
}

static __always_inline int fastcgi_is_end(const __u8 *head)
{
	return fastcgi_is_short(head, FASTCGI_END_REQUEST, 8);
}

/* The body of BEGIN_REQUEST: responder, authorizer or filter; keep the connection or not. */
static __always_inline int fastcgi_is_role(const __u8 *body)
{
	return !body[0] && body[1] >= 1 && body[1] <= 3 && body[2] <= 1 &&
	       !(body[3] | body[4] | body[5] | body[6] | body[7]);
}

static __always_inline int fastcgi_is_letter(__u8 c)
{
	__u8 lower = c | 0x20;

	return lower >= 'a' && lower <= 'z';
}

/* Output begins with a header line, errors with some text. */
static __always_inline int fastcgi_is_output(const __u8 *head)
{
	if (!head[4] && !head[5])
		return 0;
	if (fastcgi_is_record(head, FASTCGI_STDOUT))
		return fastcgi_is_letter(head[FASTCGI_HEADER]);
	return fastcgi_is_record(head, FASTCGI_STDERR) && head[FASTCGI_HEADER] >= ' ';
}

/*
 * @head: 64 readable bytes, of which @len are of the message and the rest is zero; @size: bytes
 * of the whole send.  @fresh does not matter here.
 */
static __always_inline enum match classify_fastcgi(const __u8 *head, __u32 len, __u32 size,
						   __u8 fresh)
{
	if (len < FASTCGI_HEADER || head[0] != FASTCGI_VERSION)
		return MATCH_NONE;
	if (fastcgi_is_begin(head) && (len < FASTCGI_BOUNDARY || fastcgi_is_role(head + 8)))
		return MATCH_REQUEST;
	/* what PHP-FPM leaves unread of a request on a connection that is kept: no more input */
	if (size == FASTCGI_HEADER && fastcgi_is_short(head, FASTCGI_STDIN, 0))
		return MATCH_REQUEST;
	if (fastcgi_is_output(head) || (len >= FASTCGI_BOUNDARY && fastcgi_is_end(head)))
		return MATCH_RESPONSE;
	return MATCH_NONE;
}

#endif
