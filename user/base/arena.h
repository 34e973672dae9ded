/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes that live and die together.  The first chunk is embedded, so that a small arena costs
 * no allocation; an arena never grows past its limit.  Whoever changes that decides on further
 * chunks: each is no larger than the limit allows when it is taken, and then stays.
 */
#ifndef SPANLOOM_ARENA_H
#define SPANLOOM_ARENA_H

#include "user/base/copy.h"
#include "user/base/slice.h"

#define ARENA_INLINE_BYTES 1024

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks; /* newest first; NULL while the inline bytes are enough */
	char *next;
	size_t left;	    /* bytes free at @next: granted, whatever becomes of the limit */
	size_t given_bytes; /* those, and all that was handed out */
	size_t heap_bytes;  /* of all chunks */
	size_t limit_bytes; /* of what is handed out; asked when there is need of a chunk */
	bool failed;	    /* something that was asked for was not there */
	char inline_bytes[ARENA_INLINE_BYTES] __attribute__((aligned(16)));
};

/* Must be called before any other use.  The arena must not be moved afterwards. */
void arena__init(struct arena *a, size_t limit_bytes);

/* Frees all that was allocated; the arena is then as after arena__init(). */
void arena__reset(struct arena *a);

/* Makes room for @len bytes at @next.  False: the limit or the memory is reached. */
bool arena__grow(struct arena *a, size_t len);

/* Handed out so far. */
static inline size_t arena__used(const struct arena *a)
{
	return a->given_bytes - a->left;
}

/* Will arena__alloc() succeed at once, with the bytes at @next? */
static inline bool arena__has(const struct arena *a, size_t len)
{
	return len <= a->left;
}

/* @len bytes, not zeroed, aligned to 1 byte; NULL when the limit or the memory is reached. */
static inline char *arena__alloc(struct arena *a, size_t len)
{
	char *out;

	if (!arena__has(a, len) && !arena__grow(a, len))
		return NULL;
	out = a->next;
	a->next += len;
	a->left -= len;
	return out;
}

/* @old, allocated last from @a, with room for @more further bytes behind it: grows in place, or
 * moves.  NULL when there is no room; @old stays then. */
char *arena__extend(struct arena *a, struct slice old, size_t more);

/* A copy of @in; an empty slice when there is no room. */
static inline struct slice arena__copy(struct arena *a, struct slice in)
{
	char *out = in.len ? arena__alloc(a, in.len) : NULL;

	if (!out)
		return slice__of("", 0);
	copy__bytes(out, in.data, in.len);
	return slice__of(out, in.len);
}

/*
 * printf into the arena; an empty slice when there is no room.  Never for bytes that came from
 * the network with "%s": use "%.*s" with a slice.
 */
struct slice arena__printf(struct arena *a, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
