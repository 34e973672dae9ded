// SPDX-License-Identifier: Apache-2.0
/*
 * The stream of one direction against a simple one: a byte of memory for each of the traffic.
 *
 *	input:	a byte that says what: bit 0 to add a range, else to advance; to add: how far from
 *		the end, 128 for right there, the size, how much of it is captured; to advance: how far
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "user/flow/stream.h"

#define TRAFFIC	 8192
#define HELD_MAX 512
#define MISSING	 0

enum add_flag {
	ADD = 1 << 0,
	ADD_TAIL = 1 << 1,
};

struct model {
	char byte[TRAFFIC]; /* MISSING, or what it is */
	uint64_t cursor, end;
	size_t held;
};

static char byte_at(uint64_t pos)
{
	return (char)(1 + pos % 255);
}

static void model__add(struct model *m, const struct segment *range)
{
	uint64_t pos = range->pos, end = pos + range->size;
	uint64_t from = range->tail ? end - range->captured : pos;
	uint64_t to = range->tail ? end : pos + range->captured;

	if (end <= m->end)
		return;
	from = from < m->end ? m->end : from;
	for (uint64_t at = m->end; at < end; at++)
		m->byte[at] = MISSING;
	m->end = end;
	if (to <= from || m->held + (to - from) > HELD_MAX)
		return;
	for (uint64_t at = from; at < to; at++)
		m->byte[at] = byte_at(at);
	m->held += to - from;
}

static void model__advance(struct model *m, uint64_t len)
{
	for (; len; len--)
		m->held -= m->byte[m->cursor++] != MISSING;
}

/* Bytes at the cursor that are there, or that are not. */
static uint64_t model__run(const struct model *m, bool missing)
{
	uint64_t at = m->cursor;

	while (at < m->end && (m->byte[at] == MISSING) == missing)
		at++;
	return at - m->cursor;
}

static void check(const struct stream *s, const struct model *m)
{
	struct slice run = stream__run(s);

	assert_int_equal(s->end, m->end);
	assert_int_equal(stream__left(s), m->end - m->cursor);
	assert_int_equal(run.len, model__run(m, false));
	assert_memory_equal(run.data, m->byte + m->cursor, run.len);
	assert_int_equal(stream__gap(s), model__run(m, true));
	assert_int_equal(stream__cut(s), m->cursor + run.len < m->end);
}

static void add(struct stream *s, struct model *m, struct reader *r, bool tail)
{
	int64_t off = (int64_t)reader__be(r, 1) - 128;
	uint64_t size = reader__be(r, 1), pos = m->end + (uint64_t)off;
	struct segment range = { .size = size,
				 .captured = (uint32_t)reader__be(r, 1),
				 .tail = tail };
	char bytes[256];

	range.pos = pos < m->cursor || pos > m->end + 128 ? m->end : pos;
	if (range.captured > size)
		range.captured = (uint32_t)size;
	if (!size || range.pos + size > TRAFFIC)
		return;
	for (uint32_t i = 0; i < range.captured; i++)
		bytes[i] = byte_at(range.pos + (tail ? size - range.captured : 0) + i);
	assert_int_equal(stream__reserve(s, &range), 0);
	stream__add(s, &range, slice__of(bytes, range.captured), HELD_MAX);
	model__add(m, &range);
	check(s, m); /* of @bytes, that go */
	stream__keep(s);
}

void fuzz_stream(struct slice in, unsigned int proto)
{
	struct model *m = calloc(1, sizeof(*m));
	struct reader r = reader__of(in);
	struct stream s;
	uint64_t len;

	assert_non_null(m);
	stream__init(&s, 0);
	while (r.rest.len && !r.bad) {
		unsigned int flags = (unsigned int)reader__be(&r, 1);

		if (flags & ADD) {
			add(&s, m, &r, flags & ADD_TAIL);
		} else {
			len = reader__be(&r, 1);
			len = len < stream__left(&s) ? len : stream__left(&s);
			stream__advance(&s, len);
			model__advance(m, len);
		}
		check(&s, m);
	}
	stream__reset(&s);
	free(m);
}
