/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trace contexts that the kernel has sent on the wire, or that have come in a TCP option, until
 * the request that each went with is read.  What the next process was told is the truth,
 * whatever is found out of the request here.
 */
#ifndef SPANLOOM_SENT_H
#define SPANLOOM_SENT_H

#include "bpf/event.h"
#include "user/flow/context.h"

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

/* Remembers a record; a header counts more than an option.  Without memory it is counted. */
void sent__add(struct sent *sent, const struct event_context *event);

/* Copies and forgets what the request at @place went with.  False: it went with nothing. */
bool sent__take(struct sent *sent, struct place place, enum event_dir dir,
		struct event_context *out);

#endif
