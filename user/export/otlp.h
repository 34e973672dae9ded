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

/* The request for @count spans (> 0), grouped by resource and scope, in @bytes (malloc'd, the
 * caller frees).  0, -ENOMEM, or -E2BIG when it would be larger than 64 MiB. */
int otlp__encode(struct span *const *spans, size_t count, uint8_t **bytes, size_t *len);

struct otlp_answer {
	int64_t rejected_spans;
	char message[256]; /* of the collector, cut, control characters replaced; "" when none */
};

/* Reads an ExportTraceServiceResponse.  0, or -EBADMSG when it is none. */
int otlp__decode_answer(struct slice body, struct otlp_answer *answer);

#endif
