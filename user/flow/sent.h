/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trace contexts that the kernel has sent on the wire, until the request that each went with is
 * read.  What the next process was told is the truth, whatever is found out of the request here.
 */
#ifndef SPANLOOM_SENT_H
#define SPANLOOM_SENT_H

#include "user/flow/context.h"

struct event_context;
struct ledger;

struct sent {
	struct sent_context *by_place;
	size_t count;
	size_t max;
	struct ledger *ledger;
};

/* Holds up to @max of them; the oldest make room for new ones, counted in @ledger (borrowed). */
void sent__init(struct sent *sent, size_t max, struct ledger *ledger);
void sent__reset(struct sent *sent);

/* Remembers a record.  Without memory it is counted. */
void sent__add(struct sent *sent, const struct event_context *event);

/* Fills in @out, zeroed but for its place, as the context that the request at @place was sent
 * with, and forgets it.  False: it was sent with none. */
bool sent__take(struct sent *sent, struct place place, struct context *out);

#endif
