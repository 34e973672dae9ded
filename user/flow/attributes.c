// SPDX-License-Identifier: Apache-2.0
#include "user/flow/attributes.h"

#include <stdlib.h>

#define LONG_HEADS_BYTES (4 + 30) /* all tags, and three lengths of any size */

void attributes__init(struct attributes *a, uint8_t field, size_t limit_bytes)
{
	a->bytes = a->inline_bytes;
	a->at = a->bytes;
	a->end = a->bytes + sizeof(a->inline_bytes);
	a->count = 0;
	a->limit_bytes = limit_bytes;
	a->tag = (uint8_t)(field << 3 | 2);
}

void attributes__free(struct attributes *a)
{
	if (a->bytes != a->inline_bytes)
		free(a->bytes);
}

/* ---- writing what is not short ------------------------------------------------------------ */

static bool attributes__grow(struct attributes *a, size_t more)
{
	size_t len = attributes__encoded(a).len, room = (size_t)(a->end - a->bytes);
	bool is_inline = a->bytes == a->inline_bytes;
	uint8_t *bytes;

	if (more > a->limit_bytes - len)
		return false;
	while (room - len < more)
		room *= 2;
	bytes = realloc(is_inline ? NULL : a->bytes, room);
	if (!bytes)
		return false;
	if (is_inline)
		memcpy(bytes, a->inline_bytes, len);
	a->bytes = bytes;
	a->at = bytes + len;
	a->end = bytes + room;
	return true;
}

/* All but the @value_len bytes of the value, for which there is room at @at; false: there is
 * none. */
static bool attributes__add_head(struct attributes *a, struct slice key, size_t value_len)
{
	size_t pair_len = 1 + attributes__varint_len(key.len) + key.len + 1 +
			  attributes__varint_len(value_len) + value_len;

	if (pair_len + LONG_HEADS_BYTES > (size_t)(a->end - a->at) &&
	    !attributes__grow(a, pair_len + LONG_HEADS_BYTES))
		return false;
	*a->at++ = a->tag;
	a->at = attributes__put_varint(a->at, pair_len);
	*a->at++ = ATTRIBUTE_KEY;
	a->at = attributes__put_varint(a->at, key.len);
	copy__bytes(a->at, key.data, key.len);
	a->at += key.len;
	*a->at++ = ATTRIBUTE_VALUE;
	a->at = attributes__put_varint(a->at, value_len);
	a->count++;
	return true;
}

bool attributes__add_long_string(struct attributes *a, struct slice key, struct slice value)
{
	if (!attributes__add_head(a, key, 1 + attributes__varint_len(value.len) + value.len))
		return false;
	*a->at++ = ANY_STRING;
	a->at = attributes__put_varint(a->at, value.len);
	copy__bytes(a->at, value.data, value.len);
	a->at += value.len;
	return true;
}

bool attributes__add_long_int(struct attributes *a, struct slice key, uint8_t tag, uint64_t value)
{
	if (!attributes__add_head(a, key, 1 + attributes__varint_len(value)))
		return false;
	*a->at++ = tag;
	a->at = attributes__put_varint(a->at, value);
	return true;
}

bool attributes__add_encoded(struct attributes *a, struct slice encoded, size_t count)
{
	if (encoded.len > (size_t)(a->end - a->at) && !attributes__grow(a, encoded.len))
		return false;
	copy__bytes(a->at, encoded.data, encoded.len);
	a->at += encoded.len;
	a->count += count;
	return true;
}

/* ---- reading what was written here -------------------------------------------------------- */

static uint64_t read_varint(struct slice *in)
{
	unsigned int shift = 0;
	uint64_t value = 0;
	uint8_t byte;

	do {
		byte = (uint8_t)in->data[0];
		value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
		*in = slice__skip(*in, 1);
	} while (byte & 0x80);
	return value;
}

/* What stands behind a tag that is known, or has been looked at. */
static struct slice read_bytes(struct slice *in)
{
	struct slice out;

	*in = slice__skip(*in, 1);
	out.len = read_varint(in);
	out.data = in->data;
	*in = slice__skip(*in, out.len);
	return out;
}

static void read_value(struct slice in, struct attribute *out)
{
	uint8_t tag = (uint8_t)in.data[0];

	if (tag == ANY_STRING) {
		out->type = ATTRIBUTE_STRING;
		out->string = read_bytes(&in);
		return;
	}
	in = slice__skip(in, 1);
	if (tag == ANY_INT) {
		out->type = ATTRIBUTE_INT;
		out->integer = (int64_t)read_varint(&in);
	} else {
		out->type = ATTRIBUTE_BOOL;
		out->boolean = read_varint(&in);
	}
}

bool attributes__next(const struct attributes *a, size_t *at, struct attribute *out)
{
	struct slice all = attributes__encoded(a);
	struct slice rest = slice__skip(all, *at);
	struct slice pair;

	if (rest.len == 0)
		return false;
	pair = read_bytes(&rest);
	*at = all.len - rest.len;
	out->key = read_bytes(&pair);
	read_value(read_bytes(&pair), out);
	return true;
}

struct attribute attributes__find(const struct attributes *a, struct slice key)
{
	struct attribute attribute;

	for (size_t at = 0; attributes__next(a, &at, &attribute);)
		if (slice__eq(attribute.key, key))
			return attribute;
	return (struct attribute){ .type = ATTRIBUTE_NONE };
}
