/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Named values of a span or a resource, in the bytes they are sent as: a row of OTLP KeyValue
 * fields.  Each is encoded once, as it is added; who wants to look reads it back.
 */
#ifndef SPANLOOM_ATTRIBUTES_H
#define SPANLOOM_ATTRIBUTES_H

#include "user/base/copy.h"
#include "user/base/slice.h"

#define ATTRIBUTES_INLINE_BYTES 1024

enum attribute_type {
	ATTRIBUTE_NONE,
	ATTRIBUTE_STRING,
	ATTRIBUTE_INT,
	ATTRIBUTE_BOOL,
};

/* One that was read back; the slices point into the row. */
struct attribute {
	struct slice key;
	enum attribute_type type;
	union {
		struct slice string;
		int64_t integer;
		bool boolean;
	};
};

struct attributes {
	uint8_t *bytes; /* the inline ones, while they are enough, or on the heap */
	uint8_t *at;	/* where the next goes */
	uint8_t *end;
	size_t count;
	size_t limit_bytes;
	uint8_t tag; /* before each */
	uint8_t inline_bytes[ATTRIBUTES_INLINE_BYTES];
};

/* An empty row of fields @field (< 16), which never takes more than @limit_bytes (a power of two,
 * at least the inline ones).  It must not be moved afterwards. */
void attributes__init(struct attributes *a, uint8_t field, size_t limit_bytes);

/* Frees what was allocated; only attributes__init() may follow. */
void attributes__free(struct attributes *a);

/* All, as they are sent. */
static inline struct slice attributes__encoded(const struct attributes *a)
{
	return slice__of((const char *)a->bytes, (size_t)(a->at - a->bytes));
}

/* Reads the one at *@at (0 at first), and moves *@at behind it.  False at the end. */
bool attributes__next(const struct attributes *a, size_t *at, struct attribute *out);

/* The first with this key; of type ATTRIBUTE_NONE when there is none. */
struct attribute attributes__find(const struct attributes *a, struct slice key);

/*
 * What is added:
 *
 *	tag, length of the pair,
 *		ATTRIBUTE_KEY, length, key,
 *		ATTRIBUTE_VALUE, length,
 *			ANY_STRING, length, string   or   ANY_INT, varint   or   ANY_BOOL, varint
 */
enum attribute_tag { /* field numbers of proto/otlp.proto, and wire types */
		     ATTRIBUTE_KEY = 1 << 3 | 2,
		     ATTRIBUTE_VALUE = 2 << 3 | 2,
		     ANY_STRING = 1 << 3 | 2,
		     ANY_BOOL = 2 << 3,
		     ANY_INT = 3 << 3,
};

#define ATTRIBUTE_SHORT_BYTES (2 + 0x7f) /* the most, when each length is a single byte */
#define ATTRIBUTE_HEADS_BYTES 6		 /* of one, before the key and the value */
#define ANY_INT_BYTES	      (1 + 10)	 /* at most */

/*
 * Most are short, so that each length is a single byte: between these two the caller writes the
 * value, of at most @value_len bytes.  NULL: it is not short, or there is no room at hand.
 *
 * Always inline, as those below: a key is a literal, so what stands before the value is known to
 * the compiler, which makes a few stores of it.
 */
static __always_inline uint8_t *attributes__begin(struct attributes *a, struct slice key,
						  size_t value_len)
{
	uint8_t *at = a->at;

	if (key.len + value_len > ATTRIBUTE_SHORT_BYTES - ATTRIBUTE_HEADS_BYTES ||
	    a->end - at < ATTRIBUTE_SHORT_BYTES)
		return NULL;
	at[0] = a->tag;
	at[2] = ATTRIBUTE_KEY;
	at[3] = (uint8_t)key.len;
	copy__bytes(at + 4, key.data, key.len);
	at[4 + key.len] = ATTRIBUTE_VALUE;
	return at + ATTRIBUTE_HEADS_BYTES + key.len;
}

/* The value ends at @end. */
static __always_inline void attributes__end(struct attributes *a, struct slice key, uint8_t *end)
{
	uint8_t *at = a->at;

	at[1] = (uint8_t)(end - at - 2);
	at[5 + key.len] = (uint8_t)(end - at - ATTRIBUTE_HEADS_BYTES - (ptrdiff_t)key.len);
	a->at = end;
	a->count++;
}

static inline uint8_t *attributes__put_varint(uint8_t *at, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		*at++ = (uint8_t)(value | 0x80);
	*at++ = (uint8_t)value;
	return at;
}

static inline size_t attributes__varint_len(uint64_t value)
{
	size_t bits = 64 - (size_t)__builtin_clzll(value | 1);

	return (bits * 9 + 64) / 64; /* bits / 7, rounded up, of 1 to 64 */
}

/* Those below where the short way is closed. */
bool attributes__add_long_string(struct attributes *a, struct slice key, struct slice value);
bool attributes__add_long_int(struct attributes *a, struct slice key, uint8_t tag, uint64_t value);

/* What attributes__encoded() gave of another row, or a part of it: @count whole attributes.
 * False: no room. */
bool attributes__add_encoded(struct attributes *a, struct slice encoded, size_t count);

/* Copy what is added: a @key that is not empty, a string (valid UTF-8) even when it is.
 * False: no room. */
static __always_inline bool attributes__add_string(struct attributes *a, struct slice key,
						   struct slice value)
{
	uint8_t *at = attributes__begin(a, key, 2 + value.len);

	if (!at)
		return attributes__add_long_string(a, key, value);
	at[0] = ANY_STRING;
	at[1] = (uint8_t)value.len;
	copy__bytes(at + 2, value.data, value.len);
	attributes__end(a, key, at + 2 + value.len);
	return true;
}

static __always_inline bool attributes__add_int(struct attributes *a, struct slice key,
						int64_t value)
{
	uint8_t *at = attributes__begin(a, key, ANY_INT_BYTES);

	if (!at)
		return attributes__add_long_int(a, key, ANY_INT, (uint64_t)value);
	at[0] = ANY_INT;
	attributes__end(a, key, attributes__put_varint(at + 1, (uint64_t)value));
	return true;
}

static __always_inline bool attributes__add_bool(struct attributes *a, struct slice key, bool value)
{
	uint8_t *at = attributes__begin(a, key, 2);

	if (!at)
		return attributes__add_long_int(a, key, ANY_BOOL, value);
	at[0] = ANY_BOOL;
	at[1] = value;
	attributes__end(a, key, at + 2);
	return true;
}

#endif
