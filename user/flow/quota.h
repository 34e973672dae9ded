/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Room that all connections share: bytes held of what was captured, remembered or is in flight.
 *
 * One connection may have as much as it leaves to all others.  So the sum is bounded, and a few
 * that are greedy cannot take the last of it.
 */
#ifndef SPANLOOM_FLOW_QUOTA_H
#define SPANLOOM_FLOW_QUOTA_H

#include <stdbool.h>
#include <stddef.h>

struct quota {
	size_t used;
	size_t max;
};

static inline size_t quota__left(const struct quota *q)
{
	return q->used < q->max ? q->max - q->used : 0;
}

/* May who has @mine have more? */
static inline bool quota__allows(const struct quota *q, size_t mine)
{
	return mine < quota__left(q);
}

/*
 * Is so little held that what only saves work may become more?  It never is more than an eighth of
 * the room, and what one connection may keep: all else is left to those who need it.  Above that, it
 * only becomes less.
 */
static inline bool quota__spares(const struct quota *q)
{
	return q->used < q->max / 8;
}

/* What was @before is @after. */
static inline void quota__change(struct quota *q, size_t before, size_t after)
{
	q->used = q->used - before + after;
}

#endif
