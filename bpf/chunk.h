/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where a chunked body ends (RFC 9112, 7.1).  Pure: compiles for the kernel and for the host.
 *
 *	1f;name=value CRLF		a line with the size, in hex
 *	31 bytes CRLF
 *	0 CRLF				the last chunk
 *	Trailer: field CRLF		any number of these
 *	CRLF
 *
 * Stricter than a server may be: what is not plainly so is bad, and the end is not known.
 */
#ifndef SPANLOOM_CHUNK_H
#define SPANLOOM_CHUNK_H

#ifndef __bpf__
#include <linux/types.h>
#endif

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

#define CHUNK_DIGITS_MAX 8 /* of a size */

enum chunk_state {
	CHUNK_SIZE,
	CHUNK_EXTENSION, /* the rest of that line */
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	CHUNK_LINE, /* begin of a line behind the last chunk */
	CHUNK_TRAILER,
	CHUNK_TRAILER_LF,
	CHUNK_END_LF,
	CHUNK_DONE,
	CHUNK_BAD,
};

/* Zeroed: before the first byte of the body. */
struct chunk {
	__u32 left; /* bytes of the chunk that are to come; CHUNK_DATA */
	__u8 digits;
	__u8 state; /* enum chunk_state */
	__u8 pad[2];
};

/* 0 to 15; negative when @c is no hex digit. */
static __always_inline int chunk__digit(__u8 c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static __always_inline void chunk__size(struct chunk *chunk, __u8 c)
{
	int digit = chunk__digit(c);

	if (digit >= 0) {
		chunk->left = chunk->left << 4 | (__u32)digit;
		if (++chunk->digits > CHUNK_DIGITS_MAX)
			chunk->state = CHUNK_BAD;
	} else if (!chunk->digits) {
		chunk->state = CHUNK_BAD;
	} else if (c == '\r') {
		chunk->state = CHUNK_SIZE_LF;
	} else if (c == ';' || c == ' ' || c == '\t') {
		chunk->state = CHUNK_EXTENSION;
	} else {
		chunk->state = CHUNK_BAD;
	}
}

/* One byte that is no chunk's data; not to be called in CHUNK_DATA. */
static __always_inline void chunk__byte(struct chunk *chunk, __u8 c)
{
	switch (chunk->state) {
	case CHUNK_SIZE:
		chunk__size(chunk, c);
		break;
	case CHUNK_EXTENSION:
		if (c == '\r')
			chunk->state = CHUNK_SIZE_LF;
		else if (c == '\n')
			chunk->state = CHUNK_BAD;
		break;
	case CHUNK_SIZE_LF:
		chunk->digits = 0;
		chunk->state = c != '\n' ? CHUNK_BAD : chunk->left ? CHUNK_DATA : CHUNK_LINE;
		break;
	case CHUNK_DATA_CR:
		chunk->state = c == '\r' ? CHUNK_DATA_LF : CHUNK_BAD;
		break;
	case CHUNK_DATA_LF:
		chunk->state = c == '\n' ? CHUNK_SIZE : CHUNK_BAD;
		break;
	case CHUNK_LINE:
		chunk->state = c == '\r' ? CHUNK_END_LF : c == '\n' ? CHUNK_BAD : CHUNK_TRAILER;
		break;
	case CHUNK_TRAILER:
		if (c == '\r')
			chunk->state = CHUNK_TRAILER_LF;
		else if (c == '\n')
			chunk->state = CHUNK_BAD;
		break;
	case CHUNK_TRAILER_LF:
		chunk->state = c == '\n' ? CHUNK_LINE : CHUNK_BAD;
		break;
	case CHUNK_END_LF:
		chunk->state = c == '\n' ? CHUNK_DONE : CHUNK_BAD;
		break;
	default:
		chunk->state = CHUNK_BAD;
		break;
	}
}

/* Passes over up to @len bytes of data.  How many. */
static __always_inline __u32 chunk__skip(struct chunk *chunk, __u32 len)
{
	if (len < chunk->left) {
		chunk->left -= len;
		return len;
	}
	len = chunk->left;
	chunk->left = 0;
	chunk->state = CHUNK_DATA_CR;
	return len;
}

#endif
