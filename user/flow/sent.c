// SPDX-License-Identifier: Apache-2.0
#include "user/flow/sent.h"

#include "bpf/event.h"
#include "user/flow/ledger.h"
#include "user/flow/trace.h"

struct sent_context {
	UT_hash_handle hh; /* in the order of their coming */
	struct place place;
	uint8_t trace_id[16];
	uint8_t span_id[8];
	uint8_t parent_id[8];
	uint8_t flags;
	uint8_t ref;
	struct place parent;
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

void sent__add(struct sent *sent, const struct event_context *event)
{
	struct place place = { .conn_id = event->hdr.conn_id, .pos = event->pos };
	struct sent_context *context = sent__find(sent, place);

	if (!context) {
		if (sent->count == sent->max) { /* the head of the list is the oldest */
			sent__drop(sent, sent->by_place);
			ledger__add(sent->ledger, LEDGER_CONTEXTS_LOST, 1);
		}
		context = calloc(1, sizeof(*context));
		if (!context) {
			ledger__add(sent->ledger, LEDGER_CONTEXTS_LOST, 1);
			return;
		}
		context->place = place;
		HASH_ADD(hh, sent->by_place, place, sizeof(context->place), context);
		sent->count++;
	}
	memcpy(context->trace_id, event->trace_id, sizeof(context->trace_id));
	memcpy(context->span_id, event->span_id, sizeof(context->span_id));
	memcpy(context->parent_id, event->parent_id, sizeof(context->parent_id));
	context->flags = event->flags;
	context->ref = event->ref;
	context->parent.conn_id = event->ref_conn;
	context->parent.pos = event->ref_pos;
}

bool sent__take(struct sent *sent, struct place place, struct context *out)
{
	struct sent_context *context = sent__find(sent, place);

	if (!context)
		return false;
	memcpy(out->trace_id, context->trace_id, sizeof(out->trace_id));
	memcpy(out->span_id, context->span_id, sizeof(out->span_id));
	memcpy(out->parent_id, context->parent_id, sizeof(out->parent_id));
	out->flags = context->flags;
	out->sampled = context->flags & TRACE_FLAG_SAMPLED;
	out->link = trace__link(context->ref);
	out->parent = context->parent;
	out->known = true;
	sent__drop(sent, context);
	return true;
}
