// SPDX-License-Identifier: Apache-2.0
#include "user/protocols/http1_body.h"

#include <errno.h>

#include "user/protocols/http1_head.h"

#define LINE_MAX_BYTES	  (16 * 1024) /* of a chunk's size with its extensions, of a trailer */
#define CHUNK_SIZE_DIGITS 15	      /* less than 2^60: sums cannot overflow */
#define CHUNK_END_BYTES	  2	      /* CR LF behind the data */

static int hex_digit(char c)
{
	char lower = c | 0x20;

	if (c >= '0' && c <= '9')
		return c - '0';
	return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The number at the head of a chunk's line; negative when there is none. */
static int64_t chunk_size(struct slice line)
{
	int64_t size = 0;
	size_t digits = 0;

	while (digits < line.len && hex_digit(line.data[digits]) >= 0) {
		if (digits == CHUNK_SIZE_DIGITS)
			return -EBADMSG;
		size = size << 4 | hex_digit(line.data[digits++]);
	}
	if (digits == 0 || (digits < line.len && !memchr("; \t", line.data[digits], 3)))
		return -EBADMSG;
	return size;
}

/* A line without an end: is more of it worth waiting for? */
static bool line_may_grow(enum http1_chunk state, struct slice in)
{
	if (in.len > LINE_MAX_BYTES)
		return false;
	return state == HTTP1_CHUNK_TRAILER || in.len == 0 || hex_digit(in.data[0]) >= 0;
}

ssize_t http1_body__chunks(enum http1_chunk *state, struct slice in, uint64_t *skip)
{
	struct slice rest = in;
	struct slice line;

	*skip = 0;
	while (*state != HTTP1_CHUNK_END && http1_head__line(&rest, &line)) {
		int64_t size;

		if (*state == HTTP1_CHUNK_TRAILER) {
			if (line.len == 0)
				*state = HTTP1_CHUNK_END;
			continue;
		}
		size = chunk_size(line);
		if (size < 0)
			return -EBADMSG;
		if (size == 0) {
			*state = HTTP1_CHUNK_TRAILER;
			continue;
		}
		size += CHUNK_END_BYTES;
		if ((uint64_t)size > rest.len)
			*skip = (uint64_t)size - rest.len;
		rest = slice__skip(rest, (size_t)size);
	}
	if (*state != HTTP1_CHUNK_END && !line_may_grow(*state, rest))
		return -EBADMSG;
	return (ssize_t)(in.len - rest.len);
}

/* Is @in nothing but header lines and the empty line that ends them? */
static bool is_trailer(struct slice in)
{
	struct slice line;

	while (http1_head__line(&in, &line)) {
		if (line.len == 0)
			return in.len == 0;
		if (slice__find(line, ':') == line.len)
			return false;
	}
	return false;
}

size_t http1_body__last_chunk(struct slice in)
{
	static const struct slice last = SLICE("\r\n0\r\n");
	size_t at = 0;

	if (slice__starts(in, SLICE("0\r\n")) && is_trailer(slice__skip(in, 3)))
		return 0;
	while (at < in.len) {
		at += slice__search(slice__skip(in, at), last);
		if (at < in.len && is_trailer(slice__skip(in, at + last.len)))
			return at + 2;
		at++;
	}
	return in.len;
}
