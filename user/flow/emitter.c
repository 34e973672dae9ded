// SPDX-License-Identifier: Apache-2.0
#include "user/flow/emitter.h"

#include "user/flow/bearer.h"
#include "user/flow/conn.h"
#include "user/flow/describe.h"
#include "user/flow/edge.h"
#include "user/flow/ledger.h"
#include "user/flow/pipeline.h"
#include "user/flow/resource.h"
#include "user/flow/root.h"
#include "user/flow/sdk.h"
#include "user/flow/span.h"
#include "user/flow/trace.h"
#include "user/flow/transaction.h"
#include "user/protocols/protocol.h"

#define CONTEXTS_OVER 8192 /* requests that ended and may still be found to have caused others */
#define CONTEXTS_SENT 8192 /* with requests that are not read yet */

/* A span that is all there but for its place in a trace. */
struct waiting_span {
	struct waiting_span *next;
	struct span *span;
	struct context *context; /* in the table, or own */
	struct context own;
	uint64_t end_ns;
};

void emitter__init(struct emitter *e, const struct flow_config *config,
		   const struct pipeline_callbacks *callbacks, struct ledger *ledger)
{
	memset(e, 0, sizeof(*e));
	e->config = config;
	e->callbacks = callbacks;
	e->ledger = ledger;
	e->last_waiting = &e->waiting;
	context_table__init(&e->contexts, CONTEXTS_OVER);
	intake__init(&e->intake, config);
	sent__init(&e->sent, CONTEXTS_SENT, ledger);
}

/* Only requests that others can be caused by are in the table. */
static void emitter__release(struct emitter *e, struct context *context)
{
	if (context->place.conn_id)
		context_table__release(&e->contexts, context);
	else
		context__reset(context);
}

void emitter__reset(struct emitter *e)
{
	while (e->waiting) {
		struct waiting_span *w = e->waiting;

		e->waiting = w->next;
		span__free(w->span);
		context__reset(&w->own);
		free(w);
	}
	context_table__reset(&e->contexts);
	intake__reset(&e->intake);
	sent__reset(&e->sent);
}

/* -- the beginning ------------------------------------------------------------------------ */

static bool emitter__ignored(const struct emitter *e, const struct transaction *txn)
{
	return txn->protocol->ignored && txn->protocol->ignored(txn, e->config);
}

static struct resource *emitter__resource(const struct emitter *e, uint32_t tgid, const char *comm)
{
	return e->callbacks->resource(e->callbacks->ctx, tgid, comm);
}

/* The header that a server's request came with.  A call may pass on one, too, that could not be read,
 * or of several. */
static void emitter__keep_header(struct emitter *e, const struct transaction *txn,
				 struct context *context)
{
	if (context->carried)
		context->bearer = bearers__join(&e->contexts.bearers, txn, context);
	if (!context->bearer && (context->carried || trace__is_unread(txn)))
		intake__miss(&e->intake, txn->tgid, txn->start_ns);
}

/* The header that a call goes out with: whose is it? */
static void emitter__match_header(struct emitter *e, const struct transaction *txn,
				  struct context *context)
{
	const struct place *request;
	bool several;

	if (!context->carried || context->parent.conn_id) /* what the kernel saw tells more */
		return;
	request = bearers__find(&e->contexts.bearers, txn, context, &several);
	if (several)
		ledger__add(e->ledger, LEDGER_LINKS_SEVERAL, 1);
	if (!request)
		return;
	if (!intake__is_whole(&e->intake, txn->tgid, txn->start_ns)) {
		ledger__add(e->ledger, LEDGER_LINKS_UNSEEN, 1);
		return;
	}
	context->parent = *request;
	context->parent_link = REF_HEADER;
	context->known = false;
}

/* What was sent is settled; what went with it, the parent's context tells, or the header that was
 * passed on. */
static void emitter__complete(struct emitter *e, struct context *sent)
{
	const struct context *parent = NULL;
	char state[ROOT_STATE_MAX];

	if (sent->carried)
		return;
	if (sent->parent.conn_id)
		parent = context_table__find(&e->contexts, sent->parent);
	/* a parent that gives no span, or gave none here, or one in another trace, is none */
	if (!parent || parent->hidden ||
	    (parent->known && memcmp(parent->trace_id, sent->trace_id, 16) != 0)) {
		memset(sent->parent_id, 0, sizeof(sent->parent_id));
		sent->link = REF_NONE;
	}
	if (parent) {
		context__set_state(sent, parent->state);
	} else if (!sent->parent.conn_id && sent->sampled) {
		trace__root_state(e->config, state);
		context__set_state(sent, slice__str(state));
	}
}

/* By what the kernel has told of the request.  False: @out is not touched, for it told nothing, or
 * what does not count. */
static bool emitter__trace_told(struct emitter *e, struct transaction *txn, struct context *out)
{
	struct place place = { .conn_id = txn->conn_id, .pos = txn->request_pos };
	enum event_dir dir = txn->role == ROLE_SERVER ? DIR_RECV : DIR_SEND;
	struct event_context wire;

	if (!sent__take(&e->sent, place, dir, &wire))
		return false;
	if (dir == DIR_RECV) {
		trace__begin(txn, e->config, &wire, out);
		return true;
	}
	if (!trace__repeat(txn, &wire, out))
		return false;
	emitter__complete(e, out);
	return true;
}

static void emitter__trace(struct emitter *e, struct transaction *txn, struct context *out)
{
	if (!e->sent.count || !emitter__trace_told(e, txn, out))
		trace__begin(txn, e->config, NULL, out);
	if (!(txn->flags & TXN_UNSAMPLED))
		return;
	out->sampled = false;
	out->flags &= (uint8_t)~TRACE_FLAG_SAMPLED;
	out->known = true;
}

static void emitter__add_context(struct emitter *e, struct transaction *txn)
{
	struct place place = { .conn_id = txn->conn_id, .pos = txn->turn_pos };
	struct context *context;

	if (!txn->protocol->traceparent_field)
		return;
	context = context_table__add(&e->contexts, place);
	/* The second of a pipeline has no place of its own, and none is found to be caused by it. */
	if (!context || context->requests > 1) {
		if (txn->role == ROLE_SERVER)
			intake__miss(&e->intake, txn->tgid, txn->start_ns);
		return;
	}
	emitter__trace(e, txn, context);
	if (txn->role == ROLE_SERVER)
		emitter__keep_header(e, txn, context);
	else
		emitter__match_header(e, txn, context);
	context->hidden = emitter__ignored(e, txn);
	txn->context = context;
}

static bool emitter__is_left(const struct emitter *e, const struct resource *process)
{
	return e->config->sdk_adopt && sdk__makes_spans(process);
}

/* Keeps what @txn says of its process.  Is it left to the SDK of that?  What began before that was
 * known is not: its callees may have been told of as its children. */
static bool emitter__leave(struct emitter *e, const struct transaction *txn, const char *comm)
{
	enum sdk_evidence evidence = sdk__evidence(txn, txn->context, &e->contexts);
	struct resource *process;
	bool left;

	if (evidence == SDK_NONE && !e->sdk_seen)
		return false;
	process = emitter__resource(e, txn->tgid, comm);
	if (!process)
		return false;
	if (sdk__learn(process, evidence) && e->callbacks->sdk)
		e->callbacks->sdk(e->callbacks->ctx, process, evidence,
				  evidence == SDK_EXPORTS ? txn->server : NULL);
	left = emitter__is_left(e, process);
	e->sdk_seen |= left;
	resource__put(process);
	return left;
}

/* What the process calls from now on may be for this request, the first of @conn.  Spans of the next
 * ones say it again: they have the process at hand, which may be known anew by then. */
static void emitter__serves(const struct emitter *e, const struct transaction *txn,
			    struct conn *conn)
{
	struct resource *process = emitter__resource(e, txn->tgid, conn->comm);

	if (process)
		process->serves = true;
	resource__put(process);
	conn->serves = true;
}

void emitter__begun(struct emitter *e, struct transaction *txn, struct conn *conn)
{
	emitter__add_context(e, txn);
	/* a role that was guessed may be taken back */
	if (txn->role == ROLE_SERVER && conn->role_certain && !conn->serves)
		emitter__serves(e, txn, conn);
	if (!conn->excluded && emitter__leave(e, txn, conn->comm))
		txn->flags |= TXN_LEFT;
	if (txn->context && (conn->excluded || txn->flags & TXN_LEFT))
		txn->context->hidden = true;
}

/* -- the end ------------------------------------------------------------------------------ */

/* Tells of the first root of a process that could have had a parent, for each cause. */
static void emitter__tell_root(const struct emitter *e, struct resource *process,
			       enum ledger_entry cause)
{
	uint8_t bit = (uint8_t)(1 << (cause - LEDGER_ROOT_APART));

	_Static_assert(LEDGER_ROOT_CHILD - LEDGER_ROOT_APART < 8, "each has its bit");
	if (process->roots_told & bit || !e->callbacks->root)
		return;
	process->roots_told |= bit;
	e->callbacks->root(e->callbacks->ctx, process, cause);
}

static void emitter__count_root(const struct emitter *e, struct span *span,
				const struct context *context)
{
	enum ledger_entry cause;
	struct slice name;

	if (context->link != REF_NONE)
		return;
	cause = root__cause(span, context);
	ledger__add(e->ledger, LEDGER_ROOTS, 1);
	ledger__add(e->ledger, cause, 1);
	name = root__name(cause);
	if (!name.len)
		return;
	span__add_literal(span, "spanloom.root", name);
	emitter__tell_root(e, span->resource, cause);
}

static void emitter__out(const struct emitter *e, struct span *span, struct context *context)
{
	if (!context->sampled) {
		ledger__add(e->ledger, LEDGER_SAMPLED_OUT, 1);
		span__free(span);
		return;
	}
	describe__context(span, context);
	emitter__count_root(e, span, context);
	edge__fit(&e->contexts, context, span);
	ledger__add(e->ledger, LEDGER_SPANS, 1);
	e->callbacks->span(e->callbacks->ctx, span);
}

/* Takes @span and the reference to @context. */
static void emitter__place(struct emitter *e, struct span *span, struct context *context,
			   uint64_t end_ns)
{
	struct waiting_span *w;

	if (context_table__settle(&e->contexts, context, false)) {
		emitter__out(e, span, context);
		emitter__release(e, context);
		return;
	}
	w = malloc(sizeof(*w));
	if (!w) {
		span__free(span);
		emitter__release(e, context);
		ledger__add(e->ledger, LEDGER_SPANS_NO_MEMORY, 1);
		return;
	}
	w->next = NULL;
	w->span = span;
	w->end_ns = end_ns;
	memset(&w->own, 0, sizeof(w->own));
	w->context = context;
	if (!context->place.conn_id) {
		w->own = *context;
		w->context = &w->own;
	}
	*e->last_waiting = w;
	e->last_waiting = &w->next;
	e->waiting_count++;
}

void emitter__settle(struct emitter *e, uint64_t deadline_ns)
{
	struct waiting_span **at = &e->waiting;

	while (*at) {
		struct waiting_span *w = *at;

		if (!context_table__settle(&e->contexts, w->context, w->end_ns < deadline_ns)) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		e->waiting_count--;
		emitter__out(e, w->span, w->context);
		emitter__release(e, w->context);
		free(w);
	}
	e->last_waiting = at;
}

/* Which count a transaction ends in whatever its context: LEDGER_SPANS, or why it gives no span. */
static enum ledger_entry emitter__judge(const struct emitter *e, const struct transaction *txn,
					const struct context *context)
{
	if (txn->flags & TXN_QUIET && !(txn->flags & TXN_FAILED) && !txn->failure)
		return LEDGER_QUIET;
	if (emitter__ignored(e, txn))
		return LEDGER_IGNORED;
	if (txn->flags & TXN_LEFT)
		return LEDGER_SDK;
	if ((context->known || context->carried) && !context->sampled)
		return LEDGER_SAMPLED_OUT;
	return LEDGER_SPANS;
}

/* The span of @txn; NULL, counted, when it gives none. */
static struct span *emitter__describe(const struct emitter *e, const struct transaction *txn,
				      struct context *context, const char *comm)
{
	enum ledger_entry verdict = emitter__judge(e, txn, context);
	struct resource *resource = NULL;
	struct span *span = NULL;

	if (verdict == LEDGER_SPANS) {
		resource = emitter__resource(e, txn->tgid, comm);
		verdict = resource ? LEDGER_SPANS : LEDGER_EXCLUDED;
	}
	if (verdict == LEDGER_SPANS) {
		span = describe__transaction(txn, e->config, e->unix_offset_ns);
		verdict = span ? LEDGER_SPANS : LEDGER_SPANS_NO_MEMORY;
	}
	if (verdict != LEDGER_SPANS) {
		resource__put(resource);
		/* what is called in a trace that is not sampled is in that trace all the same */
		context->hidden |= verdict != LEDGER_SAMPLED_OUT;
		ledger__add(e->ledger, verdict, 1);
		return NULL;
	}
	span->resource = resource;
	resource->serves |= txn->role == ROLE_SERVER;
	ledger__add(e->ledger, LEDGER_INCOMPLETE, !!(txn->flags & TXN_INCOMPLETE));
	ledger__add(e->ledger, LEDGER_BROKEN, txn->failure != NULL);
	return span;
}

void emitter__transaction(struct emitter *e, struct transaction *txn, const char *comm)
{
	struct context own, *context = txn->context;
	struct span *span;

	if (!context) {
		context = memset(&own, 0, sizeof(own));
		emitter__trace(e, txn, context);
	}
	context->answered = txn->flags & TXN_RESPONSE_ENDED && !txn->failure;
	context->rough_start = txn->earliest_ns < txn->start_ns;
	span = emitter__describe(e, txn, context, comm);
	if (span)
		emitter__place(e, span, context, txn->end_ns);
	else
		emitter__release(e, context);
	transaction__free(txn);
}

void emitter__drop(struct emitter *e, struct transaction *txn)
{
	if (txn->context) {
		txn->context->hidden = true;
		emitter__release(e, txn->context);
	}
	transaction__free(txn);
}

void emitter__connect_failed(struct emitter *e, const struct event_conn *event)
{
	struct transaction txn = {
		.conn_id = event->hdr.conn_id,
		.role = ROLE_CLIENT,
		.ref = event->ref,
		.ref_conn = event->ref_conn,
		.ref_pos = event->ref_pos,
	};
	enum ledger_entry verdict = LEDGER_SPANS_NO_MEMORY;
	struct context context = { 0 };
	struct resource *resource;
	struct span *span = NULL;

	ledger__add(e->ledger, LEDGER_REQUESTS, 1);
	arena__init(&txn.text, ARENA_INLINE_BYTES);
	trace__begin(&txn, e->config, NULL, &context);
	resource = emitter__resource(e, event->tgid, event->comm);
	if (!resource)
		verdict = LEDGER_EXCLUDED;
	else if (emitter__is_left(e, resource))
		verdict = LEDGER_SDK;
	else
		span = describe__connect_failed(event, e->config, e->unix_offset_ns);
	if (!span) {
		resource__put(resource);
		context__reset(&context);
		ledger__add(e->ledger, verdict, 1);
		return;
	}
	span->resource = resource;
	ledger__add(e->ledger, LEDGER_CONNECT_FAILED, 1);
	emitter__place(e, span, &context, event->hdr.ts_ns);
}
