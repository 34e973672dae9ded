/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spans and resources -> the bytes of OTLP, and back the answer to a request
 * (opentelemetry-proto 1.11.0, in our words: proto/otlp.proto).
 */
#ifndef SPANLOOM_OTLP_H
#define SPANLOOM_OTLP_H

#include <stddef.h>
#include <stdint.h>

#include "user/base/slice.h"

struct resource;
struct span;
struct wire;

/* The most that otlp__put_span() writes of it. */
size_t otlp__span_bytes(const struct span *span);
/* Writes the span, which is borrowed, at @at as a field of ScopeSpans; where that ends. */
uint8_t *otlp__put_span(uint8_t *at, const struct span *span);

/* Writes the resource (NULL: one without attributes), which is borrowed, as a field of
 * ResourceSpans. */
void otlp__write_resource(struct wire *w, const struct resource *resource);

struct otlp_answer {
	int64_t rejected_spans;
	char message[256]; /* of the collector, cut, control characters replaced; "" when none */
};

/* Reads an ExportTraceServiceResponse.  0, or -EBADMSG when it is none. */
int otlp__decode_answer(struct slice body, struct otlp_answer *answer);

#endif
