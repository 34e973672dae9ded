/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stage 6: which trace a transaction belongs to, under which parent, how that is known, and
 * whether it is sampled.
 * in:  transactions
 * out: trace contexts
 *
 * A parent is set only on certain evidence; without it the span is the root of a new trace.
 */
#ifndef SPANLOOM_TRACE_H
#define SPANLOOM_TRACE_H

#include "user/flow/config.h"
#include "user/flow/transaction.h"

struct trace_context {
	uint8_t trace_id[16];
	uint8_t span_id[8];
	uint8_t parent_id[8]; /* all zero: a root */
	uint8_t flags;	      /* W3C: 0x01 sampled, 0x02 random */
	bool remote;	      /* the parent is another process's span */
	bool sampled;
	const char *link;	  /* spanloom.link: how the parent was found, "none" for a root */
	struct slice trace_state; /* points into the transaction */
};

/*
 * By W3C Trace Context Level 2 and the configured sampler.  Ids of new traces follow from the
 * transaction's place (bpf/ids.h); the kernel's sampling decision is kept where it made one.
 */
void trace__decide(struct transaction *txn, const struct flow_config *config,
		   struct trace_context *out);

#endif
