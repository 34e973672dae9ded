/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stage 6: which trace a transaction belongs to, under which parent, how that is known, and
 * whether it is sampled.
 * in:  transactions
 * out: contexts (context.h), which may still hang on others
 *
 * A parent is set only on certain evidence; without it the span is the root of a new trace.
 */
#ifndef SPANLOOM_TRACE_H
#define SPANLOOM_TRACE_H

#include "user/flow/config.h"
#include "user/flow/context.h"
#include "user/flow/transaction.h"

/*
 * Fills in @out, zeroed but for its place, by W3C Trace Context Level 2 and the configured
 * sampler: known at once when nobody is said to have caused it.  The trace of a request that
 * brings its context along is settled; its parent is the request or the call through which that
 * context came, when that is found, else whom the context names.  Ids of new traces follow from
 * the transaction's place (bpf/ids.h); the kernel's sampling decision is kept where it made one.
 */
void trace__begin(struct transaction *txn, const struct flow_config *config, struct context *out);

#endif
