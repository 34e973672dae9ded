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

/* one in each byte that is not ASCII */
#define HIGH_BITS 0x8080808080808080ULL

static bool is_ascii(struct slice in)
{
	uint64_t word, high = 0;
	size_t i = 0;

	for (; i + sizeof(word) <= in.len; i += sizeof(word)) {
		memcpy(&word, in.data + i, sizeof(word));
		high |= word;
	}
	if (i && i < in.len) { /* some bytes once more, with the rest */
		memcpy(&word, in.data + in.len - sizeof(word), sizeof(word));
		return !((high | word) & HIGH_BITS);
	}
	for (; i < in.len; i++)
		high |= (unsigned char)in.data[i];
	return !(high & HIGH_BITS);
}

/* Apart: what it keeps in registers would be saved for each short string, too. */
static __attribute__((noinline)) struct slice copy_any(struct arena *a, struct slice in,
						       size_t max_chars)
{
	struct slice head = max_chars ? slice__head(in, max_chars) : in;
	size_t taken, bytes;
	char *out, *to;
	bool clean;

	if (is_ascii(head))
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

/* Words, of which the last two overlap. */
bool utf8__copy_ascii(char *to, struct slice in)
{
	uint64_t first = 0, last = 0, high = 0;

	if (in.len >= 8) {
		for (size_t i = 0; i < in.len - 8; i += 8) {
			memcpy(&first, in.data + i, 8);
			memcpy(to + i, &first, 8);
			high |= first;
		}
		memcpy(&last, in.data + in.len - 8, 8);
		memcpy(to + in.len - 8, &last, 8);
	} else if (in.len >= 4) {
		memcpy(&first, in.data, 4);
		memcpy(&last, in.data + in.len - 4, 4);
		memcpy(to, &first, 4);
		memcpy(to + in.len - 4, &last, 4);
	} else if (in.len >= 2) {
		memcpy(&first, in.data, 2);
		memcpy(&last, in.data + in.len - 2, 2);
		memcpy(to, &first, 2);
		memcpy(to + in.len - 2, &last, 2);
	} else if (in.len) {
		first = (unsigned char)*in.data;
		*to = *in.data;
	}
	return !((high | first | last) & HIGH_BITS);
}

/* What most strings are stands here, with nothing to be kept over a call. */
struct slice utf8__copy(struct arena *a, struct slice in, size_t max_chars)
{
	if (in.len && (!max_chars || in.len <= max_chars) && arena__has(a, in.len) &&
	    utf8__copy_ascii(a->next, in))
		return slice__of(arena__alloc(a, in.len), in.len);
	return copy_any(a, in, max_chars);
}
