// SPDX-License-Identifier: Apache-2.0
#include "user/flow/emitter.h"

#include "user/flow/describe.h"
#include "user/flow/ledger.h"
#include "user/flow/pipeline.h"
#include "user/flow/resource.h"
#include "user/flow/span.h"
#include "user/flow/trace.h"
#include "user/flow/transaction.h"
#include "user/protocols/protocol.h"

/* Hands the span of a process on, or counts why not. */
static void emitter__emit(const struct emitter *e, struct span *span, struct resource *resource)
{
	if (!span) {
		resource__put(resource);
		ledger__add(e->ledger, LEDGER_SPANS_NO_MEMORY, 1);
		return;
	}
	span->resource = resource;
	ledger__add(e->ledger, LEDGER_SPANS, 1);
	e->callbacks->span(e->callbacks->ctx, span);
}

/* Which count a transaction ends in: LEDGER_SPANS, or why it gives no span. */
static enum ledger_entry emitter__judge(const struct emitter *e, struct transaction *txn,
					struct trace_context *context)
{
	const struct protocol *protocol = txn->protocol;

	if (txn->flags & TXN_QUIET && !(txn->flags & TXN_FAILED) && !txn->failure)
		return LEDGER_QUIET;
	if (protocol->ignored && protocol->ignored(txn, e->config))
		return LEDGER_IGNORED;
	trace__decide(txn, e->config, context);
	return context->sampled ? LEDGER_SPANS : LEDGER_SAMPLED_OUT;
}

static struct resource *emitter__resource(const struct emitter *e, uint32_t tgid, const char *comm)
{
	return e->callbacks->resource(e->callbacks->ctx, tgid, comm);
}

static void emitter__tell(const struct emitter *e, struct transaction *txn, const char *comm)
{
	struct trace_context context;
	enum ledger_entry verdict = emitter__judge(e, txn, &context);
	struct resource *resource;

	if (verdict != LEDGER_SPANS) {
		ledger__add(e->ledger, verdict, 1);
		return;
	}
	resource = emitter__resource(e, txn->tgid, comm);
	if (!resource) {
		ledger__add(e->ledger, LEDGER_EXCLUDED, 1);
		return;
	}
	ledger__add(e->ledger, LEDGER_INCOMPLETE, !!(txn->flags & TXN_INCOMPLETE));
	ledger__add(e->ledger, LEDGER_BROKEN, txn->failure != NULL);
	emitter__emit(e, describe__transaction(txn, &context, e->config, e->unix_offset_ns),
		      resource);
}

void emitter__transaction(const struct emitter *e, struct transaction *txn, const char *comm)
{
	emitter__tell(e, txn, comm);
	transaction__free(txn);
}

void emitter__connect_failed(const struct emitter *e, const struct event_conn *event)
{
	struct transaction txn = {
		.conn_id = event->hdr.conn_id,
		.role = ROLE_CLIENT,
	};
	struct trace_context context;
	struct resource *resource;

	ledger__add(e->ledger, LEDGER_REQUESTS, 1);
	arena__init(&txn.text, ARENA_INLINE_BYTES);
	trace__decide(&txn, e->config, &context);
	if (!context.sampled) {
		ledger__add(e->ledger, LEDGER_SAMPLED_OUT, 1);
		return;
	}
	resource = emitter__resource(e, event->tgid, event->comm);
	if (!resource) {
		ledger__add(e->ledger, LEDGER_EXCLUDED, 1);
		return;
	}
	ledger__add(e->ledger, LEDGER_CONNECT_FAILED, 1);
	emitter__emit(e, describe__connect_failed(event, &context, e->config, e->unix_offset_ns),
		      resource);
}
