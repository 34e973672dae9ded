// SPDX-License-Identifier: Apache-2.0
#include "user/protocols/postgres_queue.h"

#include <stddef.h>

/* One more than this is the ANSWER_LOST at the end, and one is kept for pop_to_sync(). */
#define ENTRIES_MAX (POSTGRES_QUEUE_MAX - 2)

static struct answer *postgres_queue__at(struct postgres_queue *q, unsigned int i)
{
	return &q->ring[(q->first + i) % POSTGRES_QUEUE_MAX];
}

bool answer__is_request(enum answer_kind kind)
{
	return kind >= ANSWER_STARTUP && kind <= ANSWER_PREPARE_LAST;
}

bool answer__is_ready(enum answer_kind kind)
{
	switch (kind) {
	case ANSWER_STARTUP:
	case ANSWER_QUERY:
	case ANSWER_EXECUTE_LAST:
	case ANSWER_PREPARE_LAST:
	case ANSWER_SYNC:
	case ANSWER_LOST:
		return true;
	default:
		return false;
	}
}

struct answer *postgres_queue__last(struct postgres_queue *q)
{
	return q->entries ? postgres_queue__at(q, q->entries - 1u) : NULL;
}

/* The last two entries become one, if they are alike. */
static void postgres_queue__join(struct postgres_queue *q)
{
	struct answer *last = postgres_queue__last(q);
	struct answer *before;

	if (q->entries < 2)
		return;
	before = postgres_queue__at(q, q->entries - 2u);
	if (before->kind != last->kind || before->acks != last->acks ||
	    before->count > UINT16_MAX - last->count)
		return;
	before->count += last->count;
	q->entries--;
}

bool postgres_queue__push(struct postgres_queue *q, enum answer_kind kind)
{
	struct answer *last;

	if (q->full) {
		last = postgres_queue__last(q);
		if (last && answer__is_ready(kind) && last->count < UINT16_MAX)
			last->count++;
		return false;
	}
	q->full = q->entries >= ENTRIES_MAX;
	last = postgres_queue__at(q, q->entries++);
	*last = (struct answer){ .kind = (uint8_t)kind, .count = 1 };
	if (q->full) {
		last->count = answer__is_ready(kind);
		last->kind = ANSWER_LOST;
		return false;
	}
	if (kind != ANSWER_OPEN)
		postgres_queue__join(q);
	return true;
}

enum answer_kind postgres_queue__next(const struct postgres_queue *q)
{
	return q->entries ? (enum answer_kind)q->ring[q->first].kind : ANSWER_NONE;
}

void postgres_queue__pop(struct postgres_queue *q)
{
	struct answer *next = postgres_queue__at(q, 0);

	if (!q->entries)
		return;
	if (next->count > 1) {
		next->count--;
		return;
	}
	if (q->entries == 1)
		q->full = false;
	q->first = (q->first + 1) % POSTGRES_QUEUE_MAX;
	q->entries--;
}

void postgres_queue__pop_to_sync(struct postgres_queue *q)
{
	struct answer *next = postgres_queue__at(q, 0);

	/* when others share its entry, what is left of it needs one of its own */
	if (next->count > 1) {
		next->count--;
		q->first = (q->first + POSTGRES_QUEUE_MAX - 1) % POSTGRES_QUEUE_MAX;
		q->entries++;
		next = postgres_queue__at(q, 0);
	}
	*next = (struct answer){ .kind = ANSWER_SYNC, .count = 1 };
}

unsigned int postgres_queue__requests(const struct postgres_queue *q)
{
	unsigned int requests = 0;

	for (unsigned int i = 0; i < q->entries; i++) {
		const struct answer *answer = &q->ring[(q->first + i) % POSTGRES_QUEUE_MAX];

		if (answer__is_request((enum answer_kind)answer->kind))
			requests += answer->count;
	}
	return requests;
}

void postgres_queue__close(struct postgres_queue *q, enum answer_kind kind)
{
	struct answer *last = postgres_queue__last(q);

	if (!last || last->kind != ANSWER_OPEN)
		return;
	last->kind = (uint8_t)kind;
	if (kind != ANSWER_PREPARE)
		last->acks = 0;
	postgres_queue__join(q);
}

/* The last of the equals of @last, the last entry, becomes an entry of its own. */
static bool postgres_queue__part(struct postgres_queue *q, struct answer *last)
{
	struct answer one = { .kind = last->kind, .acks = last->acks, .count = 1 };

	if (last->count == 1)
		return true;
	if (q->entries >= ENTRIES_MAX)
		return false;
	last->count--;
	*postgres_queue__at(q, q->entries++) = one;
	return true;
}

void postgres_queue__sync(struct postgres_queue *q)
{
	struct answer *last = postgres_queue__last(q);
	enum answer_kind kind = last && !q->full ? (enum answer_kind)last->kind : ANSWER_NONE;

	if ((kind != ANSWER_EXECUTE && kind != ANSWER_PREPARE) || !postgres_queue__part(q, last)) {
		postgres_queue__push(q, ANSWER_SYNC);
		return;
	}
	last = postgres_queue__at(q, q->entries - 1u);
	last->kind = kind == ANSWER_EXECUTE ? ANSWER_EXECUTE_LAST : ANSWER_PREPARE_LAST;
	last->acks = 0;
	postgres_queue__join(q);
}
