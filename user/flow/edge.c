// SPDX-License-Identifier: Apache-2.0
#include "user/flow/edge.h"

#include "user/flow/context.h"
#include "user/flow/span.h"

/* In the clock of @span: between two spans of a call it may be set anew. */
static uint64_t edge__unix(const struct span *span, uint64_t ns)
{
	return ns + (uint64_t)span->unix_offset_ns;
}

/* The client had received all of the response when its span ended, and begun to send when it
 * began: so the server's ended not later, and did not begin before. */
static void edge__fit_server(struct span *span, const struct context *client)
{
	uint64_t from = edge__unix(span, client->from_ns), to = edge__unix(span, client->to_ns);

	if (span->start_unix_ns < from)
		span->start_unix_ns = from;
	if (client->answered && span->end_unix_ns > to)
		span->end_unix_ns = to;
	if (span->end_unix_ns < span->start_unix_ns)
		span->end_unix_ns = span->start_unix_ns;
}

/* The server had the request when its span began; a client whose span has a rough start had
 * sent it by then.  The end of the server's was seen before the client's read was over. */
static void edge__fit_client(struct span *span, const struct context *context)
{
	uint64_t from = edge__unix(span, context->from_ns), to = edge__unix(span, context->to_ns);

	if (!context->from_ns)
		return;
	if (context->rough_start && span->start_unix_ns > from)
		span->start_unix_ns = from;
	if (context->answered && span->end_unix_ns < to)
		span->end_unix_ns = to;
}

/* The context of the client's end of a server's span; NULL: none on this host. */
static struct context *edge__client(const struct context_table *table,
				    const struct context *context)
{
	struct context *client = NULL;

	if (context->parent_remote && context->parent.conn_id)
		client = context_table__find(table, context->parent);
	if (!client || memcmp(client->span_id, context->parent_id, sizeof(client->span_id)) != 0)
		return NULL;
	return client;
}

void edge__fit(const struct context_table *table, struct context *context, struct span *span)
{
	struct context *client = edge__client(table, context);

	if (client && client->left)
		edge__fit_server(span, client);
	edge__fit_client(span, context);
	context->left = true;
	context->from_ns = span->start_unix_ns - (uint64_t)span->unix_offset_ns;
	context->to_ns = span->end_unix_ns - (uint64_t)span->unix_offset_ns;
	if (!client || client->left)
		return;
	client->from_ns = context->from_ns;
	client->to_ns = context->to_ns;
}
