/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stage 7: a transaction is told as a span.
 * in:  a transaction, and its context when that is known
 * out: a span without its resource
 *
 * What is the same for all protocols stands here; names and attributes are the protocol's.
 */
#ifndef SPANLOOM_DESCRIBE_H
#define SPANLOOM_DESCRIBE_H

#include "bpf/event.h"
#include "user/flow/config.h"

struct context;
struct span;
struct transaction;

/* All but the span's place in its trace.  NULL: no memory.  @unix_offset_ns is added to
 * CLOCK_MONOTONIC times. */
struct span *describe__transaction(const struct transaction *txn, const struct flow_config *config,
				   int64_t unix_offset_ns);

/* A connect() that failed, as a CLIENT span named "connect": which protocol would have been
 * spoken is not known.  NULL: no memory. */
struct span *describe__connect_failed(const struct event_conn *event,
				      const struct flow_config *config, int64_t unix_offset_ns);

/* The place in the trace, and how it was found.  A tracestate for which there is no room counts as
 * an attribute that was dropped. */
void describe__context(struct span *span, const struct context *context);

/* error.type for the errno of a socket: a literal. */
const char *describe__errno(int error);

#endif
