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

#include "bpf/event.h"
#include "user/flow/config.h"
#include "user/flow/context.h"
#include "user/flow/transaction.h"

#define TRACE_FLAG_SAMPLED 0x01 /* W3C */

/* The tracestate of traces that begin here, "" when none: ot=th:<threshold>, so that a backend
 * can count what the sampler dropped. */
void trace__root_state(const struct flow_config *config, char out[ROOT_STATE_MAX]);

/* spanloom.link of a parent that is known by @ref (enum ref_kind, or anything): a literal. */
struct slice trace__link(uint8_t ref);

/* May the request have come with a context that was not read: cut off, or one of several? */
bool trace__is_unread(const struct transaction *txn);

/*
 * Fills in @out, zeroed but for its place, by W3C Trace Context Level 2 and the configured
 * sampler: known at once when nobody is said to have caused it.  The trace of a request that
 * brings its context along is settled; its parent is the request or the call through which that
 * context came, when that is found, else whom the context names.  Ids of new traces follow from
 * the transaction's place (bpf/ids.h); the kernel's sampling decision is kept where it made one.
 * @came: what came with the request in a TCP option, or NULL.
 */
void trace__begin(struct transaction *txn, const struct flow_config *config,
		  const struct event_context *came, struct context *out);

/* The same, as the next process was told: @sent.  False: @out is not touched, for it was told by
 * an option, and the request has a header that counts more. */
bool trace__repeat(struct transaction *txn, const struct event_context *sent, struct context *out);

#endif
