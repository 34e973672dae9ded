/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spans -> collector by OTLP/HTTP, in batches: libcurl multi on the event loop, retries with back-off.
 * Never blocks; what is lost is counted by reason.
 */
#ifndef SPANLOOM_HTTP_EXPORTER_H
#define SPANLOOM_HTTP_EXPORTER_H

#include <stdbool.h>
#include <stdint.h>

struct http_exporter;
struct loop;
struct otlp_options;
struct span;

/* Every span pushed is counted in exactly one of these, or is still in flight. */
struct export_counts {
	uint64_t exported;
	uint64_t queue_full; /* dropped: the queue had no room */
	uint64_t rejected;   /* partial success: the collector refused them */
	uint64_t refused;    /* a final HTTP status: 4xx, 500, ... */
	uint64_t failed;     /* retries were used up (connect, 429, 502, 503, 504, timeout) */
	uint64_t too_large;  /* could not be made to fit a request */
	uint64_t no_memory;
	uint64_t shutdown; /* given up at the end */
};

/* @options is borrowed.  NULL with errno set. */
struct http_exporter *http_exporter__new(struct loop *loop, const struct otlp_options *options);
void http_exporter__free(struct http_exporter *e);

/* Takes @span. */
void http_exporter__push(struct http_exporter *e, struct span *span);

/* Send what is queued now, without waiting for a full batch; @done is called when nothing is
 * queued or in flight any more or @deadline_ms have passed (the rest is counted as shutdown). */
void http_exporter__flush(struct http_exporter *e, uint32_t deadline_ms, void (*done)(void *ctx),
			  void *ctx);

const struct export_counts *http_exporter__counts(const struct http_exporter *e);
/* Spans queued or in flight. */
uint64_t http_exporter__pending(const struct http_exporter *e);

#endif
