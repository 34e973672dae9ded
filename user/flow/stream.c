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
	s->unread = "";
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

static __attribute__((noinline)) int stream__grow_segments(struct stream *s)
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

int stream__reserve(struct stream *s, const struct segment *range)
{
	size_t segments = range->pos > s->end ? 2 : 1;

	return s->count + segments <= s->room ? 0 : stream__grow_segments(s);
}

/* One more segment, for which there is room. */
static struct segment *stream__push(struct stream *s)
{
	return stream__at(s, s->count++);
}

/* The last segment is all there is now. */
static void stream__pushed(struct stream *s, const struct segment *g)
{
	s->end = g->pos + g->size;
	if (s->run_end == g->pos && segment__from(g) == g->pos)
		s->run_end = segment__to(g);
}

/* The unread bytes into those of the stream, with room for @more behind them. */
static int stream__own(struct stream *s, size_t more)
{
	size_t cap = s->cap ? s->cap : BYTES_MIN;
	char *bytes = s->bytes;

	if (!s->borrowed && s->unread + s->len + more <= s->bytes + s->cap)
		return 0;
	while (cap < s->len + more)
		cap *= 2;
	if (cap > s->cap) {
		bytes = malloc(cap);
		if (!bytes)
			return -ENOMEM;
	}
	memmove(bytes, s->unread, s->len);
	if (bytes != s->bytes) {
		free(s->bytes);
		s->bytes = bytes;
		s->cap = cap;
	}
	s->unread = bytes;
	s->borrowed = false;
	return 0;
}

/* 0, or -ENOMEM and nothing is added. */
static int stream__append(struct stream *s, struct slice captured)
{
	if (!s->len) {
		s->unread = captured.data;
		s->borrowed = true;
	} else {
		if (stream__own(s, captured.len))
			return -ENOMEM;
		memcpy(s->bytes + (s->unread - s->bytes) + s->len, captured.data, captured.len);
	}
	s->len += captured.len;
	return 0;
}

void stream__keep(struct stream *s)
{
	if (!s->borrowed || !stream__own(s, 0))
		return;
	for (size_t i = 0; i < s->count; i++)
		stream__at(s, i)->captured = 0;
	s->run_end = s->cursor;
	s->len = 0;
	s->borrowed = false;
}

/* A segment for what is missing between the end and @next. */
static uint64_t stream__add_hole(struct stream *s, const struct segment *next)
{
	struct segment *hole = stream__push(s);

	*hole = *next;
	hole->pos = s->end;
	hole->size = next->pos - s->end;
	hole->captured = 0;
	hole->flags = 0;
	hole->tail = false;
	stream__pushed(s, hole);
	return hole->size;
}

/* Takes off the front of a range @old bytes that were there already.  What remains of @captured. */
static struct slice segment__skip(struct segment *g, uint64_t old, struct slice captured)
{
	g->pos += old;
	g->size -= old;
	if (!g->tail)
		return slice__skip(captured, old);
	if (captured.len > g->size)
		return slice__skip(captured, captured.len - g->size);
	return captured;
}

uint64_t stream__add(struct stream *s, const struct segment *range, struct slice captured,
		     size_t max_bytes)
{
	uint64_t missing = 0;
	struct segment *g;

	if (range->pos + range->size <= s->end)
		return 0;
	if (range->pos > s->end)
		missing = stream__add_hole(s, range);
	g = stream__push(s);
	*g = *range;
	if (range->pos < s->end)
		captured = segment__skip(g, s->end - range->pos, captured);
	if (captured.len && (s->len + captured.len > max_bytes || stream__append(s, captured)))
		captured.len = 0;
	g->captured = (uint32_t)captured.len;
	g->tail = range->tail && captured.len; /* of nothing there is no end */
	stream__pushed(s, g);
	return missing + g->size - g->captured;
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

	return len ? slice__of(s->unread, len) : slice__of("", 0);
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

	if (s->run_end > s->cursor)
		return 0;
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
	return &s->segments[s->first];
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
	s->borrowed = false;
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

/* How many of the bytes between the cursor and @target are held. */
static uint64_t stream__captured(const struct stream *s, uint64_t target)
{
	uint64_t held = 0;

	if (target <= s->run_end)
		return target - s->cursor;
	for (size_t i = 0; i < s->count; i++) {
		const struct segment *g = stream__at(s, i);

		if (g->pos >= target) /* many may wait behind it */
			break;
		held += segment__captured(g, s->cursor, target);
	}
	return held;
}

/* To the end: that is where most messages end. */
static uint64_t stream__finish(struct stream *s)
{
	uint64_t held = s->len;

	if (s->count)
		s->last_ns = stream__at(s, s->count - 1)->end_ns;
	s->count = 0;
	s->cursor = s->run_end = s->end;
	s->unread += held;
	s->len = 0;
	stream__rest(s);
	return held;
}

uint64_t stream__advance(struct stream *s, uint64_t len)
{
	uint64_t target = s->cursor + len, held;

	if (target == s->end)
		return stream__finish(s);
	held = stream__captured(s, target);
	while (s->count && s->cursor < target) {
		const struct segment *g = stream__here(s);
		uint64_t end = g->pos + g->size;

		s->last_ns = g->end_ns;
		s->cursor = end < target ? end : target;
		if (s->cursor == end) {
			s->first = (s->first + 1) & (s->room - 1);
			s->count--;
		}
	}
	if (s->cursor >= s->run_end)
		s->run_end = stream__find_run_end(s);
	s->unread += held;
	s->len -= held;
	if (s->len == 0)
		stream__rest(s);
	return held;
}
