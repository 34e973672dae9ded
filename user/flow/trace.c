// SPDX-License-Identifier: Apache-2.0
#include "user/flow/trace.h"

#include "bpf/ids.h"
#include "bpf/traceparent.h"
#include "user/flow/tracestate.h"
#include "user/protocols/protocol.h"

#define FLAG_RANDOM 0x02

/* Randomness of a trace: the right-most 56 bits of its id (OpenTelemetry, consistent
 * probability sampling). */
static uint64_t trace__randomness(const uint8_t trace_id[16])
{
	uint64_t value = 0;

	for (int i = 9; i < 16; i++)
		value = value << 8 | trace_id[i];
	return value;
}

static bool trace__kept(const struct flow_config *config, const uint8_t trace_id[16])
{
	switch (config->sampler) {
	case SAMPLER_ALWAYS_ON:
		return true;
	case SAMPLER_RATIO:
		return trace__randomness(trace_id) >= config->sampler_threshold;
	case SAMPLER_ALWAYS_OFF:
	default:
		return false;
	}
}

/* The traceparent of the request, when it has exactly one and it is valid. */
static bool trace__incoming(const struct transaction *txn, struct traceparent *parent)
{
	const struct protocol *protocol = txn->protocol;
	struct slice value;

	if (!protocol || !protocol->traceparent_field)
		return false;
	if (protocol->traceparent_count_number &&
	    txn->request.number[protocol->traceparent_count_number - 1] != 1)
		return false;
	value = slice__trim(txn->request.field[protocol->traceparent_field]);
	return traceparent_parse(value.data, (unsigned int)value.len, parent);
}

bool trace__is_unread(const struct transaction *txn)
{
	struct traceparent parent;

	return (txn->flags & TXN_INCOMPLETE ||
		txn->request.field[txn->protocol->traceparent_field].len) &&
	       !trace__incoming(txn, &parent);
}

void trace__root_state(const struct flow_config *config, char out[ROOT_STATE_MAX])
{
	size_t len;

	out[0] = '\0';
	if (config->sampler != SAMPLER_RATIO)
		return;
	len = (size_t)snprintf(out, ROOT_STATE_MAX, "ot=th:%014llx",
			       (unsigned long long)config->sampler_threshold);
	while (len > sizeof("ot=th:") && out[len - 1] == '0')
		out[--len] = '\0';
}

/* As a child of whom the request names, for the case that nobody is found in between. */
static void trace__continue(const struct flow_config *config, const struct traceparent *parent,
			    struct context *out)
{
	memcpy(out->trace_id, parent->trace_id, sizeof(out->trace_id));
	memcpy(out->parent_id, parent->parent_id, sizeof(out->parent_id));
	memcpy(out->carried_id, parent->parent_id, sizeof(out->carried_id));
	out->carried = true;
	out->remote = true;
	out->sampled = config->parent_based ? parent->flags & TRACE_FLAG_SAMPLED
					    : trace__kept(config, parent->trace_id);
	out->flags = (parent->flags & FLAG_RANDOM) | (out->sampled ? TRACE_FLAG_SAMPLED : 0);
}

/* Its header says so. */
static void trace__continue_header(struct transaction *txn, const struct flow_config *config,
				   const struct traceparent *parent, struct context *out)
{
	int8_t field = txn->protocol->tracestate_field;

	trace__continue(config, parent, out);
	out->link = REF_HEADER;
	if (field)
		context__set_state(out,
				   tracestate__normalise(&txn->text, txn->request.field[field]));
}

/*
 * A TCP option says so, that came with the request.  Where that has a header, @out is what
 * follows from it; one of the same trace was only passed on by the sender, who stands between.
 * False: they speak of different traces, and the header counts.
 */
static bool trace__continue_option(const struct flow_config *config,
				   const struct event_context *came, struct context *out)
{
	struct traceparent parent = { .flags = came->flags };

	memcpy(parent.trace_id, came->trace_id, sizeof(parent.trace_id));
	memcpy(parent.parent_id, came->parent_id, sizeof(parent.parent_id));
	if (!out->carried)
		trace__continue(config, &parent, out);
	else if (memcmp(out->trace_id, came->trace_id, sizeof(out->trace_id)) != 0 ||
		 out->sampled != (came->flags & TRACE_FLAG_SAMPLED))
		return false;
	memcpy(out->parent_id, came->parent_id, sizeof(out->parent_id));
	out->link = REF_OPTION;
	return true;
}

/* As a root, for the case that nobody is found to have caused it. */
static void trace__start(struct transaction *txn, const struct flow_config *config,
			 const struct ids_state *ids, struct context *out)
{
	char state[ROOT_STATE_MAX];

	ids__trace(ids, out->trace_id);
	out->link = REF_NONE;
	out->sampled = txn->decided ? txn->sampled : trace__kept(config, out->trace_id);
	out->flags = FLAG_RANDOM | (out->sampled ? TRACE_FLAG_SAMPLED : 0);
	if (!out->sampled)
		return;
	trace__root_state(config, state);
	if (state[0])
		context__set_state(out, slice__str(state));
}

struct slice trace__link(uint8_t ref)
{
	static const struct slice names[] = {
		[REF_NONE] = SLICE("none"),	      [REF_THREAD] = SLICE("thread"),
		[REF_TURN] = SLICE("turn"),	      [REF_LIKELY] = SLICE("likely"),
		[REF_GOROUTINE] = SLICE("goroutine"), [REF_PYCONTEXT] = SLICE("pycontext"),
		[REF_PROCESS] = SLICE("process"),     [REF_CONTEXT] = SLICE("context"),
		[REF_PEER] = SLICE("peer"),	      [REF_OPTION] = SLICE("tcp-option"),
		[REF_HEADER] = SLICE("header"),
	};

	return names[ref < sizeof(names) / sizeof(names[0]) ? ref : REF_NONE];
}

static uint8_t trace__refusal(uint8_t ref, uint64_t ref_pos)
{
	return ref == REF_NONE && ref_pos < REFUSALS ? (uint8_t)ref_pos : REFUSED_NOT;
}

/* What the kernel saw: which message caused this one.  @option: its sender has said so, too. */
static void trace__refer(const struct transaction *txn, bool option, struct context *out)
{
	if (txn->ref == REF_NONE || txn->ref > REF_PEER) {
		out->refusal = trace__refusal(txn->ref, txn->ref_pos);
		out->known = true;
		return;
	}
	out->parent_link = option ? REF_OPTION : txn->ref;
	out->parent_remote = txn->ref == REF_PEER;
	out->parent.conn_id = txn->ref_conn;
	out->parent.pos = txn->ref_pos;
}

void trace__begin(struct transaction *txn, const struct flow_config *config,
		  const struct event_context *came, struct context *out)
{
	enum event_dir dir = txn->role == ROLE_SERVER ? DIR_RECV : DIR_SEND;
	struct ids_key key = ids__key(config->id_key);
	struct ids_state ids = ids__begin(&key, txn->conn_id, dir, txn->request_pos);
	struct traceparent parent;
	bool header = trace__incoming(txn, &parent), option = false;

	ids__span(&ids, out->span_id);
	if (header)
		trace__continue_header(txn, config, &parent, out);
	if (came)
		option = trace__continue_option(config, came, out);
	else if (!header)
		trace__start(txn, config, &ids, out);
	trace__refer(txn, option, out);
}

/* The header that went out is that of a request, and else as the program wrote it: only the span that
 * it names is the call's own. */
static void trace__pass_on(struct transaction *txn, const struct event_context *sent,
			   struct context *out)
{
	int8_t field = txn->protocol->tracestate_field;

	out->carried = true;
	out->remote = true;
	memcpy(out->carried_id, sent->parent_id, sizeof(out->carried_id));
	if (field)
		context__set_state(out,
				   tracestate__normalise(&txn->text, txn->request.field[field]));
}

bool trace__repeat(struct transaction *txn, const struct event_context *sent, struct context *out)
{
	struct traceparent parent;

	if (sent->carrier == CARRIER_OPTION && trace__incoming(txn, &parent))
		return false;
	if (sent->ref == REF_HEADER)
		trace__pass_on(txn, sent, out);
	memcpy(out->trace_id, sent->trace_id, sizeof(out->trace_id));
	memcpy(out->span_id, sent->span_id, sizeof(out->span_id));
	memcpy(out->parent_id, sent->parent_id, sizeof(out->parent_id));
	out->flags = sent->flags;
	out->sampled = sent->flags & TRACE_FLAG_SAMPLED;
	out->link = sent->ref;
	out->refusal = trace__refusal(sent->ref, sent->ref_pos);
	out->parent.conn_id = sent->ref_conn;
	out->parent.pos = sent->ref_pos;
	out->known = true;
	return true;
}
