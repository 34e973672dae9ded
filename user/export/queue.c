// SPDX-License-Identifier: Apache-2.0
#include "user/export/queue.h"

#include <errno.h>

#include "user/export/batch.h"

void queue__init(struct queue *q, size_t capacity, size_t batch_max)
{
	*q = (struct queue){ .capacity = capacity, .batch_max = batch_max };
}

void queue__reset(struct queue *q)
{
	while (q->head) {
		struct batch *next = q->head->next;

		batch__free(q->head);
		q->head = next;
	}
	queue__init(q, q->capacity, q->batch_max);
}

/* An empty batch at the end. */
static int queue__open(struct queue *q)
{
	struct batch *batch;

	if (q->last && q->last->spans == 0)
		return 0;
	batch = batch__new();
	if (!batch)
		return -ENOMEM;
	if (q->last)
		q->last->next = batch;
	else
		q->head = batch;
	q->last = batch;
	return 0;
}

int queue__push(struct queue *q, const struct span *span)
{
	int err = -E2BIG;

	if (q->spans == q->capacity)
		return -ENOBUFS;
	if (q->last && q->last->spans < q->batch_max)
		err = batch__add(q->last, span);
	if (err == -E2BIG) {
		err = queue__open(q);
		if (!err)
			err = batch__add(q->last, span);
	}
	if (!err)
		q->spans++;
	return err;
}

bool queue__ready(const struct queue *q)
{
	return q->head && (q->head != q->last || q->head->spans == q->batch_max);
}

struct batch *queue__take(struct queue *q)
{
	struct batch *batch = q->head;

	if (q->spans == 0)
		return NULL;
	q->head = batch->next;
	if (!q->head)
		q->last = NULL;
	q->spans -= batch->spans;
	batch->next = NULL;
	return batch;
}
