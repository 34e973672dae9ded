// SPDX-License-Identifier: Apache-2.0
#include "user/flow/sent.h"

#include "user/flow/ledger.h"

struct sent_context {
	UT_hash_handle hh; /* in the order of their coming */
	struct place place;
	struct event_context event;
};

void sent__init(struct sent *sent, size_t max, struct ledger *ledger)
{
	memset(sent, 0, sizeof(*sent));
	sent->max = max;
	sent->ledger = ledger;
}

static void sent__drop(struct sent *sent, struct sent_context *context)
{
	HASH_DEL(sent->by_place, context);
	free(context);
	sent->count--;
}

void sent__reset(struct sent *sent)
{
	while (sent->by_place)
		sent__drop(sent, sent->by_place);
}

static struct sent_context *sent__find(const struct sent *sent, struct place place)
{
	struct sent_context *context;

	HASH_FIND(hh, sent->by_place, &place, sizeof(place), context);
	return context;
}

/* In the table; NULL: no memory. */
static struct sent_context *sent__new(struct sent *sent, struct place place)
{
	struct sent_context *context = calloc(1, sizeof(*context));

	if (!context)
		return NULL;
	context->place = place;
	HASH_ADD(hh, sent->by_place, place, sizeof(context->place), context);
	if (!hash__has(&context->hh)) {
		free(context);
		return NULL;
	}
	sent->count++;
	return context;
}

void sent__add(struct sent *sent, const struct event_context *event)
{
	struct place place = { .conn_id = event->hdr.conn_id, .pos = event->pos };
	struct sent_context *context = sent__find(sent, place);

	if (!context) {
		if (sent->count == sent->max) { /* the head of the list is the oldest */
			sent__drop(sent, sent->by_place);
			ledger__add(sent->ledger, LEDGER_CONTEXTS_LOST, 1);
		}
		context = sent__new(sent, place);
		if (!context) {
			ledger__add(sent->ledger, LEDGER_CONTEXTS_LOST, 1);
			return;
		}
	} else if (event->carrier == CARRIER_OPTION && context->event.carrier == CARRIER_HEADER) {
		return;
	}
	context->event = *event;
}

bool sent__take(struct sent *sent, struct place place, enum event_dir dir,
		struct event_context *out)
{
	struct sent_context *context = sent__find(sent, place);

	if (!context || context->event.dir != dir)
		return false;
	*out = context->event;
	sent__drop(sent, context);
	return true;
}
