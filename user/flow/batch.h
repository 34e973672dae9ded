/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bounded queue between the pipeline and an exporter (OTEL_BSP_*).
 * in:  finished spans
 * out: batches of at most a given number of spans; what does not fit is dropped and counted
 */
#ifndef SPANLOOM_BATCH_H
#define SPANLOOM_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span;

struct batch {
	struct span *head; /* oldest */
	struct span **tail;
	size_t size;
	size_t capacity;
	uint64_t dropped; /* spans refused because the queue was full */
};

void batch__init(struct batch *b, size_t capacity);
/* Frees the spans in it. */
void batch__reset(struct batch *b);
/* Takes @span; when the queue is full it is freed and counted, and false is returned. */
bool batch__push(struct batch *b, struct span *span);
/* Moves the oldest spans, at most @max, to @out (room for @max); the caller then owns them. */
size_t batch__take(struct batch *b, struct span **out, size_t max);

#endif
