/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A finished span: what the exporters see.
 * in:  a transaction, its trace context and its resource
 * out: a span by the OpenTelemetry semantic conventions 1.44.0
 */
#ifndef SPANLOOM_SPAN_H
#define SPANLOOM_SPAN_H

#include "user/base/arena.h"
#include "user/base/utf8.h"
#include "user/flow/attributes.h"

#define SPAN_ATTRIBUTES 48	     /* at most; the user's limit may be lower */
#define SPAN_TEXT_BYTES (256 * 1024) /* of all attributes of one span, and of its other strings */

struct resource;

enum span_kind { /* numbers of opentelemetry.proto.trace.v1.Span.SpanKind */
		 SPAN_INTERNAL = 1,
		 SPAN_SERVER = 2,
		 SPAN_CLIENT = 3,
		 SPAN_PRODUCER = 4,
		 SPAN_CONSUMER = 5,
};

enum span_status { /* numbers of Status.StatusCode */
		   STATUS_UNSET = 0,
		   STATUS_OK = 1,
		   STATUS_ERROR = 2,
};

struct span {
	uint8_t trace_id[16];
	uint8_t span_id[8];
	uint8_t parent_id[8]; /* all zero: a root */
	uint8_t trace_flags;  /* W3C flags: 0x01 sampled, 0x02 random */
	bool parent_remote;   /* the parent came from another process */
	enum span_kind kind;
	enum span_status status;
	uint64_t start_unix_ns;
	uint64_t end_unix_ns;
	int64_t unix_offset_ns; /* what both are ahead of CLOCK_MONOTONIC; clocks are set anew */
	const char *scope;	/* instrumentation scope, e.g. "spanloom/http1"; a literal */
	struct slice name;
	struct slice trace_state;
	struct slice status_message;
	struct resource *resource; /* one reference */
	uint32_t dropped_attributes;
	uint32_t attribute_limit;   /* OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT, at most SPAN_ATTRIBUTES */
	uint32_t value_limit_chars; /* OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT; 0: none */
	struct attributes attributes;
	struct arena text; /* what the slices point into, and of use to those who make it */
};

/* An empty span from the heap (text limit set, limits of attributes at their maximum);
 * NULL: no memory. */
struct span *span__new(void);

/* Frees the span and drops its resource; NULL is legal. */
void span__free(struct span *span);

/* span__add() for any value: one that is not short, or not ASCII, or to be cut. */
void span__put(struct span *span, struct slice key, struct slice value);

static inline bool span__has_place(const struct span *span)
{
	return span->attributes.count < span->attribute_limit;
}

/*
 * Add an attribute.  The value is copied, made valid UTF-8 (each bad byte becomes U+FFFD) and
 * cut to the value limit.  An empty string is left out.  What does not fit is counted in
 * dropped_attributes.
 */
static __always_inline void span__add(struct span *span, const char *name, struct slice value)
{
	struct slice key = slice__str(name);
	uint8_t *at = NULL;

	if (value.len && !span->value_limit_chars && span__has_place(span))
		at = attributes__begin(&span->attributes, key, 2 + value.len);
	if (!at || !utf8__copy_ascii((char *)at + 2, value)) {
		span__put(span, key, value);
		return;
	}
	at[0] = ANY_STRING;
	at[1] = (uint8_t)value.len;
	attributes__end(&span->attributes, key, at + 2 + value.len);
}

/* The same for a @value that was made in @span->text: it is empty where that had no room. */
static __always_inline void span__add_made(struct span *span, const char *name, struct slice value)
{
	span->dropped_attributes += !value.len;
	span__add(span, name, value);
}

/* The same for a @value that is known to be ASCII. */
static __always_inline void span__add_literal(struct span *span, const char *key,
					      struct slice value)
{
	if (!value.len)
		return;
	if (span->value_limit_chars)
		value = slice__head(value, span->value_limit_chars);
	if (!span__has_place(span) ||
	    !attributes__add_string(&span->attributes, slice__str(key), value))
		span->dropped_attributes++;
}

static __always_inline void span__add_int(struct span *span, const char *key, int64_t value)
{
	if (!span__has_place(span) ||
	    !attributes__add_int(&span->attributes, slice__str(key), value))
		span->dropped_attributes++;
}

static __always_inline void span__add_bool(struct span *span, const char *key, bool value)
{
	if (!span__has_place(span) ||
	    !attributes__add_bool(&span->attributes, slice__str(key), value))
		span->dropped_attributes++;
}

/* Copies the name, made valid UTF-8; it is empty when there is no room. */
void span__set_name(struct span *span, struct slice name);

/* Status ERROR and error.type = @type (copied).  Called once; a later call changes nothing. */
void span__fail(struct span *span, struct slice type);

static inline struct attribute span__find(const struct span *span, const char *key)
{
	return attributes__find(&span->attributes, slice__str(key));
}

#endif
