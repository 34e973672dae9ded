// SPDX-License-Identifier: Apache-2.0
#include "user/flow/batch.h"

#include "user/flow/span.h"

void batch__init(struct batch *b, size_t capacity)
{
	b->head = NULL;
	b->tail = &b->head;
	b->size = 0;
	b->capacity = capacity;
	b->dropped = 0;
}

void batch__reset(struct batch *b)
{
	struct span *span;

	while (batch__take(b, &span, 1))
		span__free(span);
}

bool batch__push(struct batch *b, struct span *span)
{
	if (b->size == b->capacity) {
		b->dropped++;
		span__free(span);
		return false;
	}
	span->next = NULL;
	*b->tail = span;
	b->tail = &span->next;
	b->size++;
	return true;
}

size_t batch__take(struct batch *b, struct span **out, size_t max)
{
	size_t taken = 0;

	while (taken < max && b->head) {
		struct span *span = b->head;

		b->head = span->next;
		span->next = NULL;
		out[taken++] = span;
	}
	b->size -= taken;
	if (!b->head)
		b->tail = &b->head;
	return taken;
}
