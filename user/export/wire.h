/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes protobuf back to front: when the tag and the length of a message are written, the
 * message stands already behind them, so nothing is measured beforehand or moved afterwards.
 *
 *	size_t mark = wire__mark(w);
 *	... the fields of the message, the last one first ...
 *	wire__message(w, field, mark);
 *
 * As proto3 has it, a zero or empty value is left out, except by the functions that say so.
 * A failure (no memory, too large) sticks; what is written after it goes nowhere.
 */
#ifndef SPANLOOM_WIRE_H
#define SPANLOOM_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "user/base/copy.h"
#include "user/base/slice.h"

#define WIRE_VARINT_BYTES 10			  /* the longest */
#define WIRE_HEAD_BYTES	  (5 + WIRE_VARINT_BYTES) /* tag and length, or number */

enum wire_type {
	WIRE_VARINT = 0,
	WIRE_FIXED64 = 1,
	WIRE_BYTES = 2,
	WIRE_FIXED32 = 5,
};

struct wire {
	uint8_t *start;
	uint8_t *at; /* what is written: from here to the end */
	uint8_t *end;
	size_t passed; /* bytes of the message that lie elsewhere */
	size_t limit;
	int err;
};

/* What is longer than @limit, by more than a head, fails with -E2BIG.  @guess (> 0, within the
 * limit): how long it will be.  0 or -ENOMEM. */
int wire__init(struct wire *w, size_t guess, size_t limit);
void wire__reset(struct wire *w);

/* Back to nothing, in the memory that there is. */
static inline void wire__rewind(struct wire *w)
{
	w->at = w->end;
	w->passed = 0;
	w->err = 0;
}

/* All that was written, unless it failed; it lies in the memory from @start on. */
static inline struct slice wire__written(const struct wire *w)
{
	return slice__of((const char *)w->at, (size_t)(w->end - w->at));
}

/* False when there cannot be @len more bytes. */
bool wire__grow(struct wire *w, size_t len);

static inline bool wire__room(struct wire *w, size_t len)
{
	return len <= (size_t)(w->at - w->start) || wire__grow(w, len);
}

/* Of three bytes or more. */
uint8_t *wire__put_long(uint8_t *at, uint64_t value);

/* The put functions write before @at, where room has been made, and return what @at is then. */
static inline uint8_t *wire__put_varint(uint8_t *at, uint64_t value)
{
	if (value >= 0x4000)
		return wire__put_long(at, value);
	if (value >= 0x80) {
		*--at = (uint8_t)(value >> 7);
		value |= 0x80;
	}
	*--at = (uint8_t)value;
	return at;
}

static inline uint8_t *wire__put_tag(uint8_t *at, uint32_t field, enum wire_type type)
{
	return wire__put_varint(at, field << 3 | type);
}

static inline uint8_t *wire__put_copy(uint8_t *at, const void *from, size_t len)
{
	copy__bytes(at - len, from, len);
	return at - len;
}

/* Before the @len bytes of a message or a string. */
static inline uint8_t *wire__put_head(uint8_t *at, uint32_t field, size_t len)
{
	return wire__put_tag(wire__put_varint(at, len), field, WIRE_BYTES);
}

static inline uint8_t *wire__put_bytes(uint8_t *at, uint32_t field, struct slice in)
{
	if (!in.len)
		return at;
	return wire__put_head(wire__put_copy(at, in.data, in.len), field, in.len);
}

static inline void wire__bytes(struct wire *w, uint32_t field, struct slice in)
{
	if (wire__room(w, in.len + WIRE_HEAD_BYTES))
		w->at = wire__put_bytes(w->at, field, in);
}

/* Whole fields that have been encoded before. */
static inline void wire__copy(struct wire *w, const void *from, size_t len)
{
	if (wire__room(w, len))
		w->at = wire__put_copy(w->at, from, len);
}

/* Where a message ends, as wire__message() wants it. */
static inline size_t wire__mark(const struct wire *w)
{
	return (size_t)(w->end - w->at) + w->passed;
}

/* @len bytes of whole fields stand here that lie elsewhere. */
static inline void wire__pass(struct wire *w, size_t len)
{
	w->passed += len;
}

/* Puts the tag and the length before all that was written since @mark; empty ones too. */
static inline void wire__message(struct wire *w, uint32_t field, size_t mark)
{
	size_t len = wire__mark(w) - mark;

	if (wire__room(w, WIRE_HEAD_BYTES))
		w->at = wire__put_head(w->at, field, len);
}

#endif
