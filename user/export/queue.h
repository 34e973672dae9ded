/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bounded queue between the pipeline and the collector (OTEL_BSP_*).
 * in:  finished spans, which are encoded at once
 * out: batches of at most a given number of spans, the oldest first
 */
#ifndef SPANLOOM_QUEUE_H
#define SPANLOOM_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

struct batch;
struct span;

struct queue {
	struct batch *head; /* oldest */
	struct batch *last; /* takes the next span, while it has room */
	size_t spans;
	size_t capacity;
	size_t batch_max;
};

/* Both are in spans, and > 0. */
void queue__init(struct queue *q, size_t capacity, size_t batch_max);
void queue__reset(struct queue *q);

/*
 * Adds @span, which is borrowed.
 *
 *  0
 *  -ENOBUFS the queue is full
 *  -E2BIG   it does not fit into a request
 *  -ENOMEM
 */
int queue__push(struct queue *q, const struct span *span);

/* Whether the oldest batch is as large as it will get. */
bool queue__ready(const struct queue *q);

/* The oldest batch, which the caller frees and which has spans; NULL when there is none. */
struct batch *queue__take(struct queue *q);

#endif
