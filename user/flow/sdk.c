// SPDX-License-Identifier: Apache-2.0
#include "user/flow/sdk.h"

#include "user/protocols/protocol.h"

static bool sdk__same_id(const uint8_t a[8], const uint8_t b[8])
{
	return memcmp(a, b, 8) == 0;
}

/*
 * Does @call name a span of its own process as its parent?  It is in the trace in which @request
 * came, which caused it, but under a span that is neither whom the request named nor the call
 * itself, as it would be with a header of ours.
 */
static bool sdk__continues(const struct context *call, const struct context *request)
{
	return call->carried && request->carried && request->requests == 1 &&
	       !memcmp(call->trace_id, request->trace_id, sizeof(call->trace_id)) &&
	       !sdk__same_id(call->carried_id, request->carried_id) &&
	       !sdk__same_id(call->carried_id, call->span_id);
}

enum sdk_evidence sdk__evidence(const struct transaction *txn, const struct context *context,
				const struct context_table *table)
{
	const struct context *request;

	if (txn->protocol->exports_traces && txn->protocol->exports_traces(txn))
		return txn->role == ROLE_SERVER ? SDK_RELAYS : SDK_EXPORTS;
	if (!context || !context->parent.conn_id || txn->role != ROLE_CLIENT ||
	    txn->ref == REF_LIKELY)
		return SDK_NONE;
	request = context_table__find(table, context->parent);
	return request && sdk__continues(context, request) ? SDK_CONTINUES : SDK_NONE;
}

bool sdk__learn(struct resource *process, enum sdk_evidence evidence)
{
	bool before = sdk__makes_spans(process);

	if (evidence > process->sdk)
		process->sdk = evidence;
	return sdk__makes_spans(process) != before;
}

bool sdk__makes_spans(const struct resource *process)
{
	return process->sdk == SDK_EXPORTS || process->sdk == SDK_CONTINUES;
}
