/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attributes that many spans of a connection have in common, because what they are made of is the
 * same each time.  What came twice is kept as it was encoded, and copied from then on.
 * in:  a key: all that they are made of beside the connection, its role, and the options
 * out: the attributes, and the name of the span when it was set among them
 */
#ifndef SPANLOOM_FLOW_REPEAT_H
#define SPANLOOM_FLOW_REPEAT_H

#include "user/base/slice.h"

#define REPEAT_STATEMENTS 8 /* places for those of one connection */
#define REPEAT_KEY_PARTS  3
#define REPEAT_BYTES_MAX  4096 /* of what is kept in one place, with its key */

struct kept_attributes;
struct span;

/* A place for one key. */
struct repeat {
	uint64_t hash;		      /* of the key that came last, or the number; 0: none */
	struct kept_attributes *kept; /* of that key, or NULL */
};

/* All zero at first. */
struct repeats {
	struct repeat whole;			     /* all that follows from one number */
	struct repeat peers;			     /* who speaks with whom */
	struct repeat statements[REPEAT_STATEMENTS]; /* of a database, or request lines */
	size_t bytes;				     /* of what is kept */
	bool full; /* nothing is added: what is kept is of use until it gives way to another key */
};

struct repeat_key {
	struct slice part[REPEAT_KEY_PARTS];
};

/* Attributes that are being added: between repeat__begin() and repeat__end(). */
struct repeat_turn {
	struct repeats *repeats;
	struct repeat *place; /* where they will be kept; NULL: they will not be */
	const struct repeat_key *key;
	size_t start;
	size_t count;
	uint32_t dropped;
	bool named;
};

void repeats__reset(struct repeats *r);

/* True: what follows from @key was added to @span.  False: the caller adds it, and then calls
 * repeat__end(); until then @key is borrowed.  @r may be NULL: nothing is kept. */
bool repeat__begin_peers(struct repeat_turn *turn, struct repeats *r, const struct repeat_key *key,
			 struct span *span);
/* The same for what follows from a statement; the first part of @key tells most apart. */
bool repeat__begin_statement(struct repeat_turn *turn, struct repeats *r,
			     const struct repeat_key *key, struct span *span);
/* The first half of that: false when nothing was kept of @key, and nothing changes. */
bool repeat__recall_statement(const struct repeats *r, const struct repeat_key *key,
			      struct span *span);

/* The same for all that follows from @number, > 0 and never that of something else: it may be made of
 * parts that have turns of their own. */
bool repeat__begin_whole(struct repeat_turn *turn, struct repeats *r, uint64_t number,
			 struct span *span);

/* Of a turn that is to be kept. */
void repeat__keep(const struct repeat_turn *turn, const struct span *span);

static inline void repeat__end(const struct repeat_turn *turn, const struct span *span)
{
	if (turn->place)
		repeat__keep(turn, span);
}

#endif
