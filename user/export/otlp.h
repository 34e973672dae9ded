/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spans -> the bytes of an OTLP ExportTraceServiceRequest, and back the answer
 * (opentelemetry-proto 1.11.0, in our words: proto/otlp.proto).
 */
#ifndef SPANLOOM_OTLP_H
#define SPANLOOM_OTLP_H

#include <stddef.h>
#include <stdint.h>

#include "user/base/slice.h"

struct span;

#define OTLP_BATCH_BUCKETS 64

struct resource_spans;

/*
 * A request in the making: spans are encoded one by one, when they are pushed and still in the
 * cache, and wait as bytes, grouped by resource and scope, in order within a group.
 */
struct otlp_batch {
	struct otlp_batch *next; /* for whoever keeps more than one */
	size_t spans;
	size_t bytes;					    /* of the request, at most */
	struct resource_spans *buckets[OTLP_BATCH_BUCKETS]; /* by address of the resource */
};

/* NULL: no memory. */
struct otlp_batch *otlp_batch__new(void);
void otlp_batch__free(struct otlp_batch *b);

/* @span is borrowed.  0, -ENOMEM, or -E2BIG when the request could become larger than 64 MiB;
 * what was added before stays. */
int otlp_batch__add(struct otlp_batch *b, const struct span *span);

/* The request of a batch with spans, somewhere in @memory, which the caller frees.  0 or -ENOMEM. */
int otlp_batch__encode(const struct otlp_batch *b, void **memory, struct slice *request);

struct otlp_answer {
	int64_t rejected_spans;
	char message[256]; /* of the collector, cut, control characters replaced; "" when none */
};

/* Reads an ExportTraceServiceResponse.  0, or -EBADMSG when it is none. */
int otlp__decode_answer(struct slice body, struct otlp_answer *answer);

#endif
