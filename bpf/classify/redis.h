/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * First bytes -> Redis (RESP2, RESP3)?  Pure: the kernel and host tests compile it.
 *
 * A command and a reply that is an array of strings look alike: only a name that is well known,
 * or the first bytes of a connection, make it a request.
 */
#ifndef SPANLOOM_CLASSIFY_REDIS_H
#define SPANLOOM_CLASSIFY_REDIS_H

#include "bpf/event.h"

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

#define REDIS_HEAD_MASK	   63 /* the head is 64 bytes: no index leaves it */
#define REDIS_LINE_DIGITS  9
#define REDIS_NAME_MAX	   24 /* bytes of a command's name */
#define REDIS_ERROR_PREFIX 16

/* The first four bytes of a name in lower case, as one number. */
#define REDIS_WORD(a, b, c, d) ((__u32)(a) << 24 | (__u32)(b) << 16 | (__u32)(c) << 8 | (__u32)(d))

static __always_inline int redis_is_digit(__u8 c)
{
	return c >= '0' && c <= '9';
}

static __always_inline int redis_is_letter(__u8 c)
{
	__u8 lower = c | 0x20;

	return lower >= 'a' && lower <= 'z';
}

static __always_inline int redis_is_crlf(const __u8 *head, __u32 at)
{
	return head[at & REDIS_HEAD_MASK] == '\r' && head[(at + 1) & REDIS_HEAD_MASK] == '\n';
}

/* Digits at @at that end with "\r\n": how many, or 0. */
static __always_inline __u32 redis_digits(const __u8 *head, __u32 at)
{
	for (__u32 i = 0; i <= REDIS_LINE_DIGITS; i++) {
		__u8 c = head[(at + i) & REDIS_HEAD_MASK];

		if (c == '\r')
			return redis_is_crlf(head, at + i) ? i : 0;
		if (!redis_is_digit(c))
			return 0;
	}
	return 0;
}

static __always_inline int redis_is_type(__u8 c)
{
	switch (c) {
	case '+':
	case '-':
	case ':':
	case '$':
	case '*':
	case '_':
	case '#':
	case ',':
	case '(':
	case '!':
	case '=':
	case '%':
	case '~':
	case '>':
	case '|':
		return 1;
	}
	return 0;
}

/* A line ends before @end: the send ends there too, or another element begins. */
static __always_inline int redis_goes_on(const __u8 *head, __u32 len, __u32 size, __u32 end)
{
	if (end >= size)
		return end == size;
	return end >= len || redis_is_type(head[end & REDIS_HEAD_MASK]);
}

/* Names, by their first four letters, that are commands rather than data. */
static __always_inline int redis_is_known(__u32 word)
{
	switch (word) {
	case REDIS_WORD('a', 'u', 't', 'h'):
	case REDIS_WORD('b', 'l', 'p', 'o'):
	case REDIS_WORD('b', 'r', 'p', 'o'):
	case REDIS_WORD('b', 'z', 'p', 'o'):
	case REDIS_WORD('c', 'l', 'i', 'e'):
	case REDIS_WORD('d', 'e', 'c', 'r'):
	case REDIS_WORD('d', 'e', 'l', '\r'):
	case REDIS_WORD('e', 'v', 'a', 'l'):
	case REDIS_WORD('e', 'x', 'e', 'c'):
	case REDIS_WORD('e', 'x', 'i', 's'):
	case REDIS_WORD('e', 'x', 'p', 'i'):
	case REDIS_WORD('f', 'c', 'a', 'l'):
	case REDIS_WORD('g', 'e', 't', '\r'):
	case REDIS_WORD('g', 'e', 't', 'e'):
	case REDIS_WORD('h', 'd', 'e', 'l'):
	case REDIS_WORD('h', 'e', 'l', 'l'):
	case REDIS_WORD('h', 'e', 'x', 'i'):
	case REDIS_WORD('h', 'g', 'e', 't'):
	case REDIS_WORD('h', 'i', 'n', 'c'):
	case REDIS_WORD('h', 'm', 'g', 'e'):
	case REDIS_WORD('h', 'm', 's', 'e'):
	case REDIS_WORD('h', 's', 'c', 'a'):
	case REDIS_WORD('h', 's', 'e', 't'):
	case REDIS_WORD('i', 'n', 'c', 'r'):
	case REDIS_WORD('l', 'l', 'e', 'n'):
	case REDIS_WORD('l', 'p', 'o', 'p'):
	case REDIS_WORD('l', 'p', 'u', 's'):
	case REDIS_WORD('l', 'r', 'a', 'n'):
	case REDIS_WORD('m', 'g', 'e', 't'):
	case REDIS_WORD('m', 's', 'e', 't'):
	case REDIS_WORD('m', 'u', 'l', 't'):
	case REDIS_WORD('p', 'i', 'n', 'g'):
	case REDIS_WORD('p', 't', 't', 'l'):
	case REDIS_WORD('p', 'u', 'b', 'l'):
	case REDIS_WORD('r', 'p', 'o', 'p'):
	case REDIS_WORD('r', 'p', 'u', 's'):
	case REDIS_WORD('s', 'a', 'd', 'd'):
	case REDIS_WORD('s', 'c', 'a', 'n'):
	case REDIS_WORD('s', 'e', 'l', 'e'):
	case REDIS_WORD('s', 'e', 't', '\r'):
	case REDIS_WORD('s', 'e', 't', 'e'):
	case REDIS_WORD('s', 'e', 't', 'n'):
	case REDIS_WORD('s', 'i', 's', 'm'):
	case REDIS_WORD('s', 'm', 'e', 'm'):
	case REDIS_WORD('s', 'r', 'e', 'm'):
	case REDIS_WORD('t', 't', 'l', '\r'):
	case REDIS_WORD('x', 'a', 'c', 'k'):
	case REDIS_WORD('x', 'a', 'd', 'd'):
	case REDIS_WORD('x', 'r', 'e', 'a'):
	case REDIS_WORD('z', 'a', 'd', 'd'):
	case REDIS_WORD('z', 'r', 'a', 'n'):
	case REDIS_WORD('z', 'r', 'e', 'm'):
	case REDIS_WORD('z', 's', 'c', 'o'):
		return 1;
	}
	return 0;
}

/* The four bytes at @at, letters in lower case; "\r" stays what it is. */
static __always_inline __u32 redis_word(const __u8 *head, __u32 at)
{
	__u32 word = 0;

	for (__u32 i = 0; i < 4; i++) {
		__u8 c = head[(at + i) & REDIS_HEAD_MASK];

		word = word << 8 | (redis_is_letter(c) ? c | 0x20 : c);
	}
	return word;
}

/* "$<length>\r\n<name>\r\n" at @at, the first string of an array. */
static __always_inline enum match redis_first_string(const __u8 *head, __u32 len, __u32 at,
						     __u8 fresh)
{
	__u32 digits = redis_digits(head, at + 1);
	__u32 length = head[(at + 1) & REDIS_HEAD_MASK] - '0';
	__u32 name = at + digits + 3;
	__u32 word;

	if (!digits)
		return head[(at + 1) & REDIS_HEAD_MASK] == '-' ? MATCH_RESPONSE : MATCH_NONE;
	if (digits == 2)
		length = length * 10 + head[(at + 2) & REDIS_HEAD_MASK] - '0';
	if (name >= len)
		return MATCH_EITHER; /* sent piece by piece */
	if (digits > 2 || length < 2 || length > REDIS_NAME_MAX ||
	    !redis_is_letter(head[name & REDIS_HEAD_MASK]))
		return MATCH_RESPONSE;
	if (name + length + 2 <= len && !redis_is_crlf(head, name + length))
		return MATCH_NONE;
	word = redis_word(head, name);
	if (word == REDIS_WORD('m', 'e', 's', 's') || word == REDIS_WORD('p', 'm', 'e', 's') ||
	    word == REDIS_WORD('s', 'm', 'e', 's'))
		return MATCH_RESPONSE;
	return fresh || redis_is_known(word) ? MATCH_REQUEST : MATCH_EITHER;
}

static __always_inline enum match redis_array(const __u8 *head, __u32 len, __u32 size, __u8 fresh)
{
	__u32 digits = redis_digits(head, 1);
	__u32 at = 1 + digits + 2;

	if (!digits)
		return head[1] == '-' && head[2] == '1' && redis_is_crlf(head, 3) &&
				       redis_goes_on(head, len, size, 5)
			       ? MATCH_RESPONSE
			       : MATCH_NONE;
	if (head[1] == '0')
		return digits == 1 && redis_goes_on(head, len, size, at) ? MATCH_RESPONSE
									 : MATCH_NONE;
	if (at == size)
		return MATCH_EITHER; /* sent piece by piece */
	if (head[at & REDIS_HEAD_MASK] == '$')
		return redis_first_string(head, len, at, fresh);
	return redis_is_type(head[at & REDIS_HEAD_MASK]) ? MATCH_RESPONSE : MATCH_NONE;
}

/* "$<length>\r\n", "$-1\r\n" */
static __always_inline int redis_string(const __u8 *head, __u32 len, __u32 size)
{
	__u32 digits = redis_digits(head, 1);
	__u32 length = head[1] - '0';

	if (!digits)
		return head[1] == '-' && head[2] == '1' && redis_is_crlf(head, 3) &&
		       redis_goes_on(head, len, size, 5);
	if (digits == 2)
		length = length * 10 + head[2] - '0';
	if (digits > 2 || digits + 5 + length > len)
		return 1; /* its end is not in sight */
	return redis_is_crlf(head, digits + 3 + length) &&
	       redis_goes_on(head, len, size, digits + 5 + length);
}

static __always_inline int redis_status(const __u8 *head, __u32 len, __u32 size)
{
	__u32 word = redis_word(head, 1);

	if (word == REDIS_WORD('o', 'k', '\r', '\n'))
		return head[1] == 'O' && redis_goes_on(head, len, size, 5);
	if (word == REDIS_WORD('p', 'o', 'n', 'g'))
		return redis_is_crlf(head, 5) && redis_goes_on(head, len, size, 7);
	if (word == REDIS_WORD('q', 'u', 'e', 'u'))
		return redis_is_crlf(head, 7) && redis_goes_on(head, len, size, 9);
	return 0;
}

/* "-PREFIX text\r\n" */
static __always_inline int redis_error(const __u8 *head, __u32 len, __u32 size)
{
	for (__u32 i = 1; i <= REDIS_ERROR_PREFIX; i++) {
		__u8 c = head[i];

		if (c == ' ')
			return i > 2 && (size > len || redis_is_crlf(head, size - 2));
		if (c < 'A' || c > 'Z')
			return 0;
	}
	return 0;
}

/* A number on a line; @at: where its digits begin, or its sign. */
static __always_inline int redis_integer(const __u8 *head, __u32 len, __u32 size)
{
	__u32 at = head[1] == '-' ? 2 : 1;
	__u32 digits = redis_digits(head, at);

	return digits && redis_goes_on(head, len, size, at + digits + 2);
}

/* The types that only RESP3 has. */
static __always_inline int redis_resp3(const __u8 *head, __u32 len, __u32 size)
{
	__u32 digits;

	switch (head[0]) {
	case '_':
		return redis_is_crlf(head, 1) && redis_goes_on(head, len, size, 3);
	case '#':
		return (head[1] == 't' || head[1] == 'f') && redis_is_crlf(head, 2) &&
		       redis_goes_on(head, len, size, 4);
	case '%':
	case '~':
	case '>':
	case '|':
		digits = redis_digits(head, 1);
		return digits && redis_goes_on(head, len, size, digits + 3);
	case ',':
	case '(':
		return redis_is_digit(head[head[1] == '-' ? 2 : 1]) && size <= len &&
		       redis_is_crlf(head, size - 2);
	case '!': /* "!21\r\nSYNTAX ..." */
		digits = redis_digits(head, 1);
		return digits && head[(digits + 3) & REDIS_HEAD_MASK] >= 'A' &&
		       head[(digits + 3) & REDIS_HEAD_MASK] <= 'Z';
	case '=': /* "=15\r\ntxt:..." */
		digits = redis_digits(head, 1);
		return digits && head[(digits + 6) & REDIS_HEAD_MASK] == ':';
	}
	return 0;
}

/* Health checks type "PING". */
static __always_inline int redis_inline(const __u8 *head, __u32 size)
{
	if (size != 6 || !redis_is_crlf(head, 4))
		return 0;
	switch (redis_word(head, 0)) {
	case REDIS_WORD('p', 'i', 'n', 'g'):
	case REDIS_WORD('i', 'n', 'f', 'o'):
	case REDIS_WORD('q', 'u', 'i', 't'):
		return 1;
	}
	return 0;
}

/*
 * @head: 64 readable bytes, of which @len are of the message and the rest is zero; @size: bytes
 * of the whole send; @fresh: nothing went before it in this direction of the connection.
 */
static __always_inline enum match classify_redis(const __u8 *head, __u32 len, __u32 size,
						 __u8 fresh)
{
	int response;

	switch (head[0]) {
	case '*':
		return redis_array(head, len, size, fresh);
	case '$':
		response = redis_string(head, len, size);
		break;
	case '+':
		response = redis_status(head, len, size);
		break;
	case '-':
		response = redis_error(head, len, size);
		break;
	case ':':
		response = redis_integer(head, len, size);
		break;
	case '_':
	case '#':
	case '%':
	case '~':
	case '>':
	case '|':
	case ',':
	case '(':
	case '!':
	case '=':
		response = redis_resp3(head, len, size);
		break;
	default:
		return fresh && redis_inline(head, size) ? MATCH_REQUEST : MATCH_NONE;
	}
	return response ? MATCH_RESPONSE : MATCH_NONE;
}

#endif
