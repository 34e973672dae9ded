/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stage 3: one direction of a connection.
 * in:  ranges of the stream, each with its times and the bytes of it that were captured
 * out: ordered bytes with gaps, and for a position the time at which it passed
 *
 * The cursor is the next byte to be read.  What is before it is forgotten; behind it stand
 * segments in rising order without holes: what is missing is a segment without bytes.
 */
#ifndef SPANLOOM_STREAM_H
#define SPANLOOM_STREAM_H

#include "bpf/event.h"
#include "user/base/slice.h"

/* A range of the stream that passed in one system call. */
struct segment {
	uint64_t pos;	   /* of its first byte */
	uint64_t size;	   /* bytes it stands for, > 0 */
	uint32_t captured; /* of these held, at the front, or at the end with @tail */
	uint16_t flags;	   /* enum data_flag */
	bool tail;
	uint8_t ref;	   /* enum ref_kind; to what, see below */
	uint64_t start_ns; /* CLOCK_MONOTONIC */
	uint64_t end_ns;
	uint32_t tgid;
	uint32_t tid;
	uint64_t ref_conn;
	uint64_t ref_pos;
	uint64_t turn_pos; /* where the turn of the traffic that it is part of began */
};

/* All but its turn. */
struct segment segment__of(const struct event_data *data);

struct stream {
	bool closed; /* no more will come */
	uint64_t cursor;
	uint64_t end;		  /* one past the last byte that passed */
	uint64_t run_end;	  /* one past the run at the cursor, see stream__run() */
	struct segment *segments; /* ring: @count from @first */
	size_t first, count, room;
	const char *unread; /* @len captured bytes of all segments, in order ... */
	size_t len;
	bool borrowed; /* ... in the record that brought them, else in @bytes */
	char *bytes;
	size_t cap;
	uint64_t last_ns; /* when the byte before the cursor passed; 0: none yet */
};

/* An empty stream whose first byte will have position @pos. */
void stream__init(struct stream *s, uint64_t pos);
void stream__reset(struct stream *s);
/* What passes before @pos is nobody's; only where all up to now was read. */
void stream__skip_to(struct stream *s, uint64_t pos);

/* Room for a segment of @range, and for the hole before it.  0 or -ENOMEM. */
int stream__reserve(struct stream *s, const struct segment *range);

/*
 * Adds a range, for which stream__reserve() has made room.  A hole before it becomes a segment
 * without bytes; a part that was there already is ignored.  Beyond @max_bytes held the bytes are
 * dropped, not the range.
 * The number of bytes that are missing (holes and drops).
 *
 * @captured is borrowed up to stream__keep(): most of it is read before that.
 */
uint64_t stream__add(struct stream *s, const struct segment *range, struct slice captured,
		     size_t max_bytes);
/* Takes over what it has borrowed and is not read yet; without memory that becomes a gap. */
void stream__keep(struct stream *s);

/* The bytes at the cursor up to the first gap; empty when a gap or the end is there. */
struct slice stream__run(const struct stream *s);
/* Is the run followed by a gap (or by the end of a closed stream)? */
bool stream__cut(const struct stream *s);
/* Where range @index of what is unread begins, as an offset from the cursor; stream__left() when
 * there are not so many. */
uint64_t stream__range(const struct stream *s, size_t index);
/* Bytes missing at the cursor; 0 when there is a run or the end. */
uint64_t stream__gap(const struct stream *s);
/* Bytes between the cursor and the end. */
static inline uint64_t stream__left(const struct stream *s)
{
	return s->end - s->cursor;
}

/* Bytes that the stream takes. */
static inline size_t stream__held(const struct stream *s)
{
	return s->cap + s->room * sizeof(*s->segments);
}

/* The segment at the cursor, which is not at the end. */
const struct segment *stream__here(const struct stream *s);

/* Moves the cursor by @len, at most stream__left(), over bytes and gaps.  Returns how many of
 * these were captured. */
uint64_t stream__advance(struct stream *s, uint64_t len);

#endif
