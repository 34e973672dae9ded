/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of the pipeline: each finished transaction becomes a span, or is counted as to why not.
 * in:  finished transactions, failed connects
 * out: spans with their resource, to the exporters
 */
#ifndef SPANLOOM_FLOW_EMITTER_H
#define SPANLOOM_FLOW_EMITTER_H

#include "user/flow/config.h"

struct event_conn;
struct ledger;
struct pipeline_callbacks;
struct transaction;

/* All borrowed. */
struct emitter {
	const struct flow_config *config;
	const struct pipeline_callbacks *callbacks;
	struct ledger *ledger;
	int64_t unix_offset_ns; /* see pipeline__set_clock() */
};

/* Takes @txn.  @comm is the name of its process, as the kernel knew it. */
void emitter__transaction(const struct emitter *e, struct transaction *txn, const char *comm);

/* A connect() that failed is a request that got no further. */
void emitter__connect_failed(const struct emitter *e, const struct event_conn *event);

#endif
