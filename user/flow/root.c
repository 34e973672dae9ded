// SPDX-License-Identifier: Apache-2.0
#include "user/flow/root.h"

#include "bpf/event.h"
#include "user/flow/context.h"
#include "user/flow/resource.h"
#include "user/flow/span.h"

#define PREFIX "spans.root."

static enum ledger_entry root__of_call(const struct span *span, const struct context *context)
{
	static const enum ledger_entry causes[REFUSALS] = {
		[REFUSED_SEVERAL] = LEDGER_ROOT_SEVERAL,   [REFUSED_BEHIND] = LEDGER_ROOT_BEHIND,
		[REFUSED_APART] = LEDGER_ROOT_APART,	   [REFUSED_UNSEEN] = LEDGER_ROOT_UNSEEN,
		[REFUSED_RESTLESS] = LEDGER_ROOT_RESTLESS, [REFUSED_CHILD] = LEDGER_ROOT_CHILD,
	};

	_Static_assert(REFUSALS == 7, "each has its cause");
	if (context->refusal != REFUSED_NOT)
		return causes[context->refusal];
	return span->resource->serves ? LEDGER_ROOT_APART : LEDGER_ROOT_IDLE;
}

enum ledger_entry root__cause(const struct span *span, const struct context *context)
{
	if (context->parent.conn_id)
		return LEDGER_PARENT_GONE;
	if (span->kind == SPAN_SERVER)
		return LEDGER_ROOT_REQUEST;
	return root__of_call(span, context);
}

struct slice root__name(enum ledger_entry cause)
{
	if (cause < LEDGER_ROOT_APART || cause > LEDGER_ROOT_CHILD)
		return slice__of("", 0);
	return slice__skip(slice__str(ledger__name(cause)), sizeof(PREFIX) - 1);
}

const char *root__text(enum ledger_entry cause)
{
	switch (cause) {
	case LEDGER_ROOT_APART:
		return "made by a thread, goroutine or context that no request of its process is "
		       "known to use";
	case LEDGER_ROOT_SEVERAL:
		return "several requests were served at once";
	case LEDGER_ROOT_BEHIND:
		return "no request was open: by a timer, or behind the response";
	case LEDGER_ROOT_UNSEEN:
		return "there may be requests in what the process receives and nobody here reads "
		       "(TLS, say)";
	case LEDGER_ROOT_RESTLESS:
		return "the event loop was not silent for long enough before, or calls for nobody, "
		       "too";
	case LEDGER_ROOT_CHILD:
		return "made by a process that a request has started, and that may have other jobs";
	default:
		return "";
	}
}
