// SPDX-License-Identifier: Apache-2.0
#include "user/base/utf8.h"

#define REPLACEMENT	  "\xef\xbf\xbd"
#define REPLACEMENT_BYTES 3

size_t utf8__sequence(struct slice in)
{
	unsigned char lead, low = 0x80, high = 0xbf;
	size_t len;

	if (in.len == 0)
		return 0;
	lead = (unsigned char)in.data[0];
	if (lead < 0x80)
		return 1;
	if (lead < 0xc2 || lead > 0xf4)
		return 0;
	len = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	if (in.len < len)
		return 0;
	/* overlong forms, surrogates and what is past U+10FFFF show in the second byte */
	if (lead == 0xe0)
		low = 0xa0;
	else if (lead == 0xed)
		high = 0x9f;
	else if (lead == 0xf0)
		low = 0x90;
	else if (lead == 0xf4)
		high = 0x8f;
	for (size_t i = 1; i < len; i++) {
		unsigned char c = (unsigned char)in.data[i];

		if (c < low || c > high)
			return 0;
		low = 0x80;
		high = 0xbf;
	}
	return len;
}

/* Bytes that the copy needs; *@clean: nothing is to be replaced in those bytes of @in. */
static size_t utf8__measure(struct slice in, size_t max_chars, size_t *taken, bool *clean)
{
	size_t out = 0, at = 0;

	*clean = true;
	for (size_t chars = 0; at < in.len && (!max_chars || chars < max_chars); chars++) {
		size_t len = utf8__sequence(slice__skip(in, at));

		*clean &= len > 0;
		out += len ? len : REPLACEMENT_BYTES;
		at += len ? len : 1;
	}
	*taken = at;
	return out;
}

#define HIGH_BITS 0x8080808080808080ULL

/* Of eight bytes or more. */
static bool utf8__is_ascii_long(struct slice in)
{
	uint64_t word, high = 0;

	for (size_t i = 0; i + sizeof(word) < in.len; i += sizeof(word)) {
		memcpy(&word, in.data + i, sizeof(word));
		high |= word;
	}
	memcpy(&word, in.data + in.len - sizeof(word), sizeof(word));
	return !((high | word) & HIGH_BITS);
}

/* Most strings are: then bytes are characters, and all are good.  Of the few bytes that they
 * have two looks, which overlap, see all. */
static bool utf8__is_ascii(struct slice in)
{
	uint32_t first, last;

	if (in.len >= sizeof(uint64_t))
		return utf8__is_ascii_long(in);
	if (in.len >= sizeof(first)) {
		memcpy(&first, in.data, sizeof(first));
		memcpy(&last, in.data + in.len - sizeof(last), sizeof(last));
		return !((first | last) & (uint32_t)HIGH_BITS);
	}
	return !in.len || !((in.data[0] | in.data[in.len / 2] | in.data[in.len - 1]) & 0x80);
}

struct slice utf8__copy(struct arena *a, struct slice in, size_t max_chars)
{
	struct slice head = max_chars ? slice__head(in, max_chars) : in;
	size_t taken, bytes;
	char *out, *to;
	bool clean;

	if (utf8__is_ascii(head))
		return arena__copy(a, head);
	bytes = utf8__measure(in, max_chars, &taken, &clean);
	if (clean)
		return arena__copy(a, slice__head(in, taken));
	out = arena__alloc(a, bytes);
	if (!out)
		return slice__of("", 0);
	to = out;
	for (size_t at = 0; at < taken;) {
		size_t len = utf8__sequence(slice__skip(in, at));

		memcpy(to, len ? in.data + at : REPLACEMENT, len ? len : REPLACEMENT_BYTES);
		to += len ? len : REPLACEMENT_BYTES;
		at += len ? len : 1;
	}
	return slice__of(out, bytes);
}
