// SPDX-License-Identifier: Apache-2.0
#include "user/flow/stream.h"

#include <errno.h>

#define SEGMENTS_MIN 4
#define SEGMENTS_MAX 4096
#define BYTES_MIN    512
/* Of an idle stream; most connections are, and there may be very many. */
#define BYTES_KEPT    1024
#define SEGMENTS_KEPT 16

struct segment segment__of(const struct event_data *data)
{
	struct segment segment = {
		.pos = data->pos,
		.size = data->size,
		.captured = data->captured,
		.flags = data->flags,
		.tail = data->flags & DATA_TAIL,
		.start_ns = data->start_ns,
		.end_ns = data->hdr.ts_ns,
		.tgid = data->tgid,
		.tid = data->tid,
		.ref = data->ref,
		.ref_conn = data->ref_conn,
		.ref_pos = data->ref_pos,
	};

	return segment;
}

void stream__init(struct stream *s, uint64_t pos)
{
	memset(s, 0, sizeof(*s));
	s->cursor = s->end = s->run_end = pos;
}

void stream__reset(struct stream *s)
{
	free(s->segments);
	free(s->bytes);
	stream__init(s, s->end);
}

void stream__skip_to(struct stream *s, uint64_t pos)
{
	if (s->cursor == s->end && pos > s->end)
		s->cursor = s->end = s->run_end = pos;
}

/* First and one past the last captured position of a segment. */
static uint64_t segment__from(const struct segment *g)
{
	return g->tail ? g->pos + g->size - g->captured : g->pos;
}

static uint64_t segment__to(const struct segment *g)
{
	return g->tail ? g->pos + g->size : g->pos + g->captured;
}

static struct segment *stream__at(const struct stream *s, size_t i)
{
	return &s->segments[(s->first + i) & (s->room - 1)];
}

static int stream__grow_segments(struct stream *s)
{
	size_t room = s->room ? 2 * s->room : SEGMENTS_MIN;
	struct segment *segments;

	if (room > SEGMENTS_MAX)
		return -ENOMEM;
	segments = malloc(room * sizeof(*segments));
	if (!segments)
		return -ENOMEM;
	for (size_t i = 0; i < s->count; i++)
		segments[i] = *stream__at(s, i);
	free(s->segments);
	s->segments = segments;
	s->room = room;
	s->first = 0;
	return 0;
}

static int stream__push(struct stream *s, const struct segment *segment)
{
	if (s->count == s->room) {
		int err = stream__grow_segments(s);

		if (err)
			return err;
	}
	*stream__at(s, s->count) = *segment;
	s->count++;
	s->end = segment->pos + segment->size;
	if (s->run_end == segment->pos && segment__from(segment) == segment->pos)
		s->run_end = segment__to(segment);
	return 0;
}

/* Room for @len more bytes behind the unread ones. */
static int stream__reserve(struct stream *s, size_t len)
{
	size_t cap = s->cap ? s->cap : BYTES_MIN;
	char *bytes;

	if (s->begin + s->len + len <= s->cap)
		return 0;
	if (s->len + len <= s->cap) {
		memmove(s->bytes, s->bytes + s->begin, s->len);
		s->begin = 0;
		return 0;
	}
	while (cap < s->len + len)
		cap *= 2;
	bytes = malloc(cap);
	if (!bytes)
		return -ENOMEM;
	if (s->len)
		memcpy(bytes, s->bytes + s->begin, s->len);
	free(s->bytes);
	s->bytes = bytes;
	s->cap = cap;
	s->begin = 0;
	return 0;
}

/* A segment for what is missing between the end and @next. */
static int64_t stream__add_hole(struct stream *s, const struct segment *next)
{
	struct segment hole = *next;
	int err;

	hole.pos = s->end;
	hole.size = next->pos - s->end;
	hole.captured = 0;
	hole.flags = 0;
	hole.tail = false;
	err = stream__push(s, &hole);
	return err ? err : (int64_t)hole.size;
}

/* Takes off the front of a range what was there already. */
static struct segment stream__fresh_part(const struct stream *s, const struct segment *range,
					 struct slice *captured)
{
	struct segment fresh = *range;
	uint64_t old = s->end > range->pos ? s->end - range->pos : 0;

	fresh.pos += old;
	fresh.size -= old;
	if (!range->tail)
		*captured = slice__skip(*captured, old);
	else if (captured->len > fresh.size)
		*captured = slice__skip(*captured, captured->len - fresh.size);
	fresh.captured = (uint32_t)captured->len;
	return fresh;
}

int64_t stream__add(struct stream *s, const struct segment *range, struct slice captured,
		    size_t max_bytes)
{
	int64_t missing = 0;
	struct segment fresh;
	int err;

	if (range->pos + range->size <= s->end)
		return 0;
	if (range->pos > s->end) {
		missing = stream__add_hole(s, range);
		if (missing < 0)
			return missing;
	}
	fresh = stream__fresh_part(s, range, &captured);
	if (s->len + captured.len > max_bytes || stream__reserve(s, captured.len))
		captured.len = 0;
	fresh.captured = (uint32_t)captured.len;
	fresh.tail = range->tail && captured.len; /* of nothing there is no end */
	err = stream__push(s, &fresh);
	if (err)
		return err;
	if (captured.len)
		memcpy(s->bytes + s->begin + s->len, captured.data, captured.len);
	s->len += captured.len;
	return missing + (int64_t)(fresh.size - fresh.captured);
}

/* One past the run at the cursor; the cursor when there is none. */
static uint64_t stream__find_run_end(const struct stream *s)
{
	uint64_t at = s->cursor;

	for (size_t i = 0; i < s->count; i++) {
		const struct segment *g = stream__at(s, i);

		if (segment__from(g) > at || segment__to(g) <= at)
			break;
		at = segment__to(g);
		if (at < g->pos + g->size)
			break;
	}
	return at;
}

struct slice stream__run(const struct stream *s)
{
	uint64_t len = s->run_end - s->cursor;

	return len ? slice__of(s->bytes + s->begin, len) : slice__of("", 0);
}

bool stream__cut(const struct stream *s)
{
	return s->closed || s->run_end < s->end;
}

uint64_t stream__range(const struct stream *s, size_t index)
{
	if (index == 0)
		return 0;
	return (index < s->count ? stream__at(s, index)->pos : s->end) - s->cursor;
}

uint64_t stream__gap(const struct stream *s)
{
	uint64_t gap = 0;

	for (size_t i = 0; i < s->count; i++) {
		const struct segment *g = stream__at(s, i);
		uint64_t at = s->cursor + gap;

		if (segment__from(g) > at)
			return segment__from(g) - s->cursor;
		if (segment__to(g) > at)
			return gap;
		gap = g->pos + g->size - s->cursor;
	}
	return gap;
}

const struct segment *stream__here(const struct stream *s)
{
	return s->count ? stream__at(s, 0) : &s->last;
}

/* Captured bytes of @g in [from, to). */
static uint64_t segment__captured(const struct segment *g, uint64_t from, uint64_t to)
{
	if (from < segment__from(g))
		from = segment__from(g);
	if (to > segment__to(g))
		to = segment__to(g);
	return to > from ? to - from : 0;
}

/* All is read: a quiet connection must not sit on the room that one large message took. */
static void stream__rest(struct stream *s)
{
	s->begin = 0;
	if (s->cap > BYTES_KEPT) {
		free(s->bytes);
		s->bytes = NULL;
		s->cap = 0;
	}
	if (s->count == 0 && s->room > SEGMENTS_KEPT) {
		free(s->segments);
		s->segments = NULL;
		s->room = 0;
		s->first = 0;
	}
}

uint64_t stream__advance(struct stream *s, uint64_t len)
{
	uint64_t target = s->cursor + len, held = 0;

	while (s->count && s->cursor < target) {
		const struct segment *g = stream__at(s, 0);
		uint64_t end = g->pos + g->size, to = end < target ? end : target;

		held += segment__captured(g, s->cursor, to);
		s->cursor = to;
		s->last = *g;
		if (to == end) {
			s->first = (s->first + 1) & (s->room - 1);
			s->count--;
		}
	}
	if (s->cursor >= s->run_end)
		s->run_end = stream__find_run_end(s);
	s->begin += held;
	s->len -= held;
	if (s->len == 0)
		stream__rest(s);
	return held;
}
