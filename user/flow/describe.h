/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stage 7: a transaction is told as a span.
 * in:  a transaction and its trace context
 * out: a span without its resource
 *
 * What is the same for all protocols stands here; names and attributes are the protocol's.
 */
#ifndef SPANLOOM_DESCRIBE_H
#define SPANLOOM_DESCRIBE_H

#include "bpf/event.h"
#include "user/flow/config.h"

struct span;
struct trace_context;
struct transaction;

/* NULL: no memory.  @unix_offset_ns is added to CLOCK_MONOTONIC times. */
struct span *describe__transaction(const struct transaction *txn,
				   const struct trace_context *context,
				   const struct flow_config *config, int64_t unix_offset_ns);

/* A connect() that failed, as a CLIENT span named "connect": which protocol would have been
 * spoken is not known.  NULL: no memory. */
struct span *describe__connect_failed(const struct event_conn *event,
				      const struct trace_context *context,
				      const struct flow_config *config, int64_t unix_offset_ns);

/* error.type for the errno of a socket: a literal. */
const char *describe__errno(int error);

#endif
