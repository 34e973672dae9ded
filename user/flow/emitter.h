/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of the pipeline: each finished transaction becomes a span, or is counted as to why not.
 * in:  begun and finished transactions, failed connects
 * out: spans with their context and resource, to the exporters
 *
 * A span whose parent has not been seen yet waits a little: the records of two processes come
 * in either order.
 */
#ifndef SPANLOOM_FLOW_EMITTER_H
#define SPANLOOM_FLOW_EMITTER_H

#include "user/flow/config.h"
#include "user/flow/context.h"
#include "user/flow/intake.h"
#include "user/flow/sent.h"

struct conn;
struct event_conn;
struct ledger;
struct pipeline_callbacks;
struct transaction;
struct waiting_span;

struct emitter {
	const struct flow_config *config; /* borrowed, as what follows */
	const struct pipeline_callbacks *callbacks;
	struct ledger *ledger;
	int64_t unix_offset_ns; /* see pipeline__set_clock() */
	struct context_table contexts;
	struct intake intake;
	struct sent sent;
	struct waiting_span *waiting, **last_waiting; /* oldest first */
	size_t waiting_count;
	bool sdk_seen; /* some process leaves its spans to its SDK */
};

void emitter__init(struct emitter *e, const struct flow_config *config,
		   const struct pipeline_callbacks *callbacks, struct ledger *ledger);
/* Frees what waits, uncounted. */
void emitter__reset(struct emitter *e);

/* The head of a request on @conn was read: from now on others may be caused by it, if its process is
 * traced. */
void emitter__begun(struct emitter *e, struct transaction *txn, struct conn *conn);
/* Takes @txn, finished.  @comm is the name of its process, as the kernel knew it. */
void emitter__transaction(struct emitter *e, struct transaction *txn, const char *comm);
/* Takes @txn, which is not to be told of. */
void emitter__drop(struct emitter *e, struct transaction *txn);
/* A connect() that failed is a request that got no further. */
void emitter__connect_failed(struct emitter *e, const struct event_conn *event);

/* Tells of the spans whose parents have come, or that ended before @deadline_ns
 * (CLOCK_MONOTONIC; UINT64_MAX: all). */
void emitter__settle(struct emitter *e, uint64_t deadline_ns);

#endif
