/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * First bytes -> HTTP/1.x?  Pure: the kernel, the parser and host tests compile it.
 *
 * A request is a method that is registered (or in wide use: PURGE) and the start of a target;
 * other methods would make "SELECT 1" and "USER x" HTTP.  The HTTP/2 preface is none of them.
 */
#ifndef SPANLOOM_CLASSIFY_HTTP1_H
#define SPANLOOM_CLASSIFY_HTTP1_H

#ifndef __bpf__
#include <sys/cdefs.h>
#endif

#include "bpf/event.h"

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

/* Up to eight bytes as a number, the first one lowest: the same on every byte order. */
#define HTTP1_BYTE(c, i) ((__u64)(c) << (8 * (i)))
#define HTTP1_4(a, b, c, d)                                                                        \
	(HTTP1_BYTE(a, 0) | HTTP1_BYTE(b, 1) | HTTP1_BYTE(c, 2) | HTTP1_BYTE(d, 3))
#define HTTP1_8(a, b, c, d, e, f, g, h) (HTTP1_4(a, b, c, d) | HTTP1_4(e, f, g, h) << 32)

#define HTTP1_FIRST(word, bytes)	((word) & ((1ULL << (8 * (bytes))) - 1))

static __always_inline __u64 http1_word(const __u8 *p)
{
	__u64 word;

	__builtin_memcpy(&word, p, sizeof(word)); /* one load where @p is known to be aligned */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	word = __builtin_bswap64(word);
#endif
	return word;
}

/* Bytes of the method at the head and the space behind it; 0 when there is none. */
static __always_inline __u32 http1_method(const __u8 *head)
{
	__u64 word = http1_word(head);

	switch (HTTP1_FIRST(word, 4)) {
	case HTTP1_4('G', 'E', 'T', ' '):
	case HTTP1_4('P', 'U', 'T', ' '):
		return 4;
	}
	switch (HTTP1_FIRST(word, 5)) {
	case HTTP1_8('P', 'O', 'S', 'T', ' ', 0, 0, 0):
	case HTTP1_8('H', 'E', 'A', 'D', ' ', 0, 0, 0):
	case HTTP1_8('C', 'O', 'P', 'Y', ' ', 0, 0, 0):
	case HTTP1_8('M', 'O', 'V', 'E', ' ', 0, 0, 0):
	case HTTP1_8('L', 'O', 'C', 'K', ' ', 0, 0, 0):
		return 5;
	}
	switch (HTTP1_FIRST(word, 6)) {
	case HTTP1_8('P', 'A', 'T', 'C', 'H', ' ', 0, 0):
	case HTTP1_8('T', 'R', 'A', 'C', 'E', ' ', 0, 0):
	case HTTP1_8('Q', 'U', 'E', 'R', 'Y', ' ', 0, 0):
	case HTTP1_8('M', 'K', 'C', 'O', 'L', ' ', 0, 0):
	case HTTP1_8('P', 'U', 'R', 'G', 'E', ' ', 0, 0):
		return 6;
	}
	switch (HTTP1_FIRST(word, 7)) {
	case HTTP1_8('D', 'E', 'L', 'E', 'T', 'E', ' ', 0):
	case HTTP1_8('U', 'N', 'L', 'O', 'C', 'K', ' ', 0):
	case HTTP1_8('R', 'E', 'P', 'O', 'R', 'T', ' ', 0):
	case HTTP1_8('S', 'E', 'A', 'R', 'C', 'H', ' ', 0):
		return 7;
	}
	switch (word) {
	case HTTP1_8('O', 'P', 'T', 'I', 'O', 'N', 'S', ' '):
	case HTTP1_8('C', 'O', 'N', 'N', 'E', 'C', 'T', ' '):
		return 8;
	case HTTP1_8('P', 'R', 'O', 'P', 'F', 'I', 'N', 'D'):
		return head[8] == ' ' ? 9 : 0;
	case HTTP1_8('P', 'R', 'O', 'P', 'P', 'A', 'T', 'C'):
		return head[8] == 'H' && head[9] == ' ' ? 10 : 0;
	}
	return 0;
}

static __always_inline int http1_is_digit(__u8 c)
{
	return c >= '0' && c <= '9';
}

/* host:port, as CONNECT has it */
static __always_inline int http1_is_host_start(__u8 c)
{
	__u8 lower = c | 0x20;

	return http1_is_digit(c) || (lower >= 'a' && lower <= 'z') || c == '[';
}

static __always_inline int http1_is_response(const __u8 *head)
{
	return HTTP1_FIRST(http1_word(head), 7) == HTTP1_8('H', 'T', 'T', 'P', '/', '1', '.', 0) &&
	       http1_is_digit(head[7]) && head[8] == ' ' && http1_is_digit(head[9]) &&
	       http1_is_digit(head[10]) && http1_is_digit(head[11]);
}

static __always_inline int http1_is_request(const __u8 *head)
{
	__u32 target = http1_method(head);
	__u32 scheme;

	if (!target)
		return 0;
	if (head[target] == '/')
		return 1;
	if (head[target] == '*')
		return head[target + 1] == ' ';
	if (head[0] == 'C' && target == 8)
		return http1_is_host_start(head[target]);
	scheme = HTTP1_4(head[target], head[target + 1], head[target + 2], head[target + 3]);
	return scheme == HTTP1_4('h', 't', 't', 'p');
}

/*
 * @head: 64 readable bytes, of which @len are of the message and the rest is zero.  What is too
 * short to tell is MATCH_NONE.  @size (bytes of the whole send) and @fresh do not matter here.
 */
static __always_inline enum match classify_http1(const __u8 *head, __u32 len, __u32 size,
						 __u8 fresh)
{
	if (http1_is_request(head))
		return MATCH_REQUEST;
	return http1_is_response(head) ? MATCH_RESPONSE : MATCH_NONE;
}

#endif
