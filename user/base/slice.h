/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Borrowed bytes, and a reader that cannot overrun them.  A slice owns nothing: it lives as
 * long as what it points into.  A slice with len 0 may have any data pointer, NULL included.
 */
#ifndef SPANLOOM_SLICE_H
#define SPANLOOM_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct slice {
	const char *data;
	size_t len;
};

/* A string literal as a slice. */
#define SLICE(literal) ((struct slice){ (literal), sizeof(literal) - 1 })

static inline struct slice slice__of(const char *data, size_t len)
{
	return (struct slice){ data, len };
}

static inline struct slice slice__str(const char *str)
{
	return (struct slice){ str, str ? strlen(str) : 0 };
}

static inline bool slice__eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Equal but for the case of ASCII letters; most are equal in that, too. */
static inline bool slice__ieq(struct slice a, struct slice b)
{
	return slice__eq(a, b) || (a.len == b.len && strncasecmp(a.data, b.data, a.len) == 0);
}

static inline bool slice__starts(struct slice in, struct slice prefix)
{
	return in.len >= prefix.len && memcmp(in.data, prefix.data, prefix.len) == 0;
}

static inline bool slice__istarts(struct slice in, struct slice prefix)
{
	return in.len >= prefix.len && strncasecmp(in.data, prefix.data, prefix.len) == 0;
}

/* Offset of the first @byte, in.len when there is none. */
static inline size_t slice__find(struct slice in, char byte)
{
	const char *at = in.len ? memchr(in.data, byte, in.len) : NULL;

	return at ? (size_t)(at - in.data) : in.len;
}

/* Offset of the first @needle (not empty), in.len when there is none. */
static inline size_t slice__search(struct slice in, struct slice needle)
{
	const char *at = in.len ? memmem(in.data, in.len, needle.data, needle.len) : NULL;

	return at ? (size_t)(at - in.data) : in.len;
}

/* The first @len bytes; all of @in when it is shorter. */
static inline struct slice slice__head(struct slice in, size_t len)
{
	return slice__of(in.data, len < in.len ? len : in.len);
}

/* What is left after the first @len bytes; empty when @in is shorter. */
static inline struct slice slice__skip(struct slice in, size_t len)
{
	if (len >= in.len)
		return slice__of(in.data, 0);
	return slice__of(in.data + len, in.len - len);
}

/* Without spaces and tabs at both ends (OWS of RFC 9110). */
static inline struct slice slice__trim(struct slice in)
{
	while (in.len && (in.data[0] == ' ' || in.data[0] == '\t')) {
		in.data++;
		in.len--;
	}
	while (in.len && (in.data[in.len - 1] == ' ' || in.data[in.len - 1] == '\t'))
		in.len--;
	return in;
}

/* A decimal number of 1 to 18 digits and nothing else; -1 when @in is not one. */
static inline int64_t slice__number(struct slice in)
{
	int64_t value = 0;

	if (in.len == 0 || in.len > 18)
		return -1;
	for (size_t i = 0; i < in.len; i++) {
		unsigned int digit = (unsigned int)in.data[i] - '0';

		if (digit > 9)
			return -1;
		value = value * 10 + digit;
	}
	return value;
}

/*
 * Reads big-endian numbers and strings off the front of a slice.  Reading past the end gives
 * zeros and sets @bad, so a caller checks once, at the end.
 */
struct reader {
	struct slice rest;
	bool bad;
};

static inline struct reader reader__of(struct slice in)
{
	return (struct reader){ in, false };
}

static inline struct slice reader__bytes(struct reader *r, size_t len)
{
	struct slice out = slice__of(r->rest.data, 0);

	if (r->bad || r->rest.len < len) {
		r->bad = true;
		return out;
	}
	out.len = len;
	r->rest = slice__skip(r->rest, len);
	return out;
}

static inline uint64_t reader__be(struct reader *r, size_t width)
{
	struct slice raw = reader__bytes(r, width);
	uint64_t value = 0;

	for (size_t i = 0; i < raw.len; i++)
		value = value << 8 | (unsigned char)raw.data[i];
	return value;
}

/* A string that ends with a NUL, which is read but not returned; no NUL is a bad read. */
static inline struct slice reader__cstr(struct reader *r)
{
	size_t len = slice__find(r->rest, '\0');
	struct slice out = reader__bytes(r, len);

	reader__bytes(r, 1);
	return out;
}

#endif
