// SPDX-License-Identifier: Apache-2.0
#include "user/flow/describe.h"

#include <errno.h>
#include <netinet/in.h>

#include "user/flow/conn.h"
#include "user/flow/context.h"
#include "user/flow/endpoint.h"
#include "user/flow/span.h"
#include "user/flow/trace.h"
#include "user/protocols/protocol.h"

const char *describe__errno(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return "connection_refused";
	case ECONNRESET:
	case EPIPE:
		return "connection_reset";
	case ECONNABORTED:
		return "connection_aborted";
	case ETIMEDOUT:
		return "timeout";
	case EHOSTUNREACH:
		return "host_unreachable";
	case ENETUNREACH:
		return "network_unreachable";
	default:
		return "_OTHER";
	}
}

static struct span *describe__start(const struct flow_config *config)
{
	struct span *span = span__new();

	if (!span)
		return NULL;
	if (config->attribute_count_limit < span->attribute_limit)
		span->attribute_limit = config->attribute_count_limit;
	span->value_limit_chars = config->attribute_value_limit;
	return span;
}

static void describe__times(struct span *span, uint64_t start_ns, uint64_t end_ns,
			    int64_t unix_offset_ns)
{
	span->start_unix_ns = start_ns + (uint64_t)unix_offset_ns;
	span->end_unix_ns = end_ns + (uint64_t)unix_offset_ns;
	span->unix_offset_ns = unix_offset_ns;
}

void describe__context(struct span *span, const struct context *context)
{
	memcpy(span->trace_id, context->trace_id, sizeof(span->trace_id));
	memcpy(span->span_id, context->span_id, sizeof(span->span_id));
	memcpy(span->parent_id, context->parent_id, sizeof(span->parent_id));
	span->trace_flags = context->flags;
	span->parent_remote = context->remote;
	span->trace_state = arena__copy(&span->text, context->state);
	span->dropped_attributes += span->trace_state.len != context->state.len;
	span__add_literal(span, "spanloom.link", trace__link(context->link));
}

struct span *describe__transaction(const struct transaction *txn, const struct flow_config *config,
				   int64_t unix_offset_ns)
{
	struct span *span = describe__start(config);

	if (!span)
		return NULL;
	span->kind = txn->role == ROLE_SERVER ? SPAN_SERVER : SPAN_CLIENT;
	span->scope = txn->protocol->scope;
	describe__times(span, txn->start_ns, txn->end_ns, unix_offset_ns);
	txn->protocol->describe(txn, config, span);
	/* each has a name, for which there may have been no room */
	span->dropped_attributes += !span->name.len;
	if (txn->failure)
		span__fail(span, slice__str(txn->failure));
	if (txn->flags & TXN_INCOMPLETE)
		span__add_bool(span, "spanloom.incomplete", true);
	return span;
}

struct span *describe__connect_failed(const struct event_conn *event,
				      const struct flow_config *config, int64_t unix_offset_ns)
{
	uint64_t end_ns = event->hdr.ts_ns > event->start_ns ? event->hdr.ts_ns : event->start_ns;
	struct span *span = describe__start(config);
	struct endpoint local, peer;
	struct slice address;
	char text[EVENT_PATH_LEN];

	if (!span)
		return NULL;
	endpoint__from_event(event, &local, &peer);
	span->kind = SPAN_CLIENT;
	span->scope = "spanloom/connect";
	describe__times(span, event->start_ns, end_ns, unix_offset_ns);
	span__set_name(span, SLICE("connect"));
	address = endpoint__address(&peer, text, sizeof(text));
	span__add(span, "server.address", address);
	if (peer.port)
		span__add_int(span, "server.port", peer.port);
	span__add(span, "network.peer.address", address);
	if (peer.port)
		span__add_int(span, "network.peer.port", peer.port);
	span__add(span, "network.type", slice__str(endpoint__network_type(&peer)));
	span__fail(span, slice__str(describe__errno(event->error)));
	return span;
}
