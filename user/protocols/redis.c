// SPDX-License-Identifier: Apache-2.0
#include "user/protocols/redis.h"

#include "user/flow/endpoint.h"
#include "user/flow/repeat.h"
#include "user/flow/span.h"

#define REDIS_PORT 6379
#define LOOKS_MAX  8 /* of a resync at each byte, on average */

static ssize_t redis__parse(void *state, const struct parse_input *in, struct message *out)
{
	if (in->dir == TO_SERVER)
		return redis_request__parse(state, in, out);
	return redis_response__parse(state, in, out);
}

/* -- after a gap -------------------------------------------------------------------------- */

/* A line begins at @at. */
static bool is_line_start(struct slice in, size_t at)
{
	return at == 0 || (at >= 2 && in.data[at - 2] == '\r' && in.data[at - 1] == '\n');
}

/*
 * The transaction in progress cannot be followed further, and which database was selected in
 * the gap is not known.  What waits for a reply still gets it.
 */
static size_t request__resync(struct redis_state *s, struct slice in)
{
	memset(&s->command, 0, sizeof(s->command));
	s->multi = false;
	redis_pending__forget_databases(s);
	for (size_t at = 0; at < in.len; at++) {
		if (in.data[at] == '*' && is_line_start(in, at) &&
		    redis_request__is_head(slice__skip(in, at)) > 0)
			return at;
	}
	return in.len;
}

/* How many replies stand in @in, from its first byte to its last; -1 when it is something
 * else.  The last one may end behind @in.  Stops when they are more than @max, and when bytes
 * beyond @budget would be read; what was read is taken from it. */
static int64_t count_replies(struct slice in, int64_t max, size_t *budget)
{
	struct redis_reply reply;
	uint64_t skip = 0;
	int64_t count = 0;

	while (in.len && !skip && count <= max) {
		ssize_t len;

		if (!redis_reply__is_type(in.data[0]))
			return -1;
		redis_reply__start(&reply, in.data[0]);
		len = redis_reply__read(&reply, in, &skip);
		if (len < 0 || (size_t)len > *budget)
			return -1;
		if (len == 0)
			break;
		*budget -= (size_t)len;
		if (reply.type != '>' && reply.type != '|')
			count++;
		if (reply.depth)
			break;
		in = slice__skip(in, (size_t)len);
	}
	return count;
}

/*
 * Elements of an array look like replies.  Taken are only replies that fill @in, and not more
 * of them than commands wait: a rest of an array is rarely that short.
 */
static size_t response__resync(struct redis_state *s, struct slice in)
{
	/* bytes that are read like replies from every line must not cost a square */
	size_t budget = in.len * LOOKS_MAX;
	int64_t waiting = 0;

	s->reply.depth = 0;
	for (unsigned int i = 0; i < s->pending_count; i++)
		waiting += s->pending[(s->pending_first + i) % REDIS_PENDING].count;
	for (size_t at = 0; waiting && at < in.len; at++) {
		int64_t count;

		if (!redis_reply__is_type(in.data[at]) || !is_line_start(in, at))
			continue;
		count = count_replies(slice__skip(in, at), waiting, &budget);
		if (count == 0) /* pushes to the end, and no reply behind them */
			break;
		if (count < 0 || count > waiting)
			continue;
		if (redis_pending__database(s).len == 0)
			redis_state__set_database(s, 0);
		redis_pending__clear(s);
		s->multi = false;
		s->multi_refused = false;
		return at;
	}
	return in.len;
}

static size_t redis__resync(void *state, enum direction dir, struct slice in)
{
	return dir == TO_SERVER ? request__resync(state, in) : response__resync(state, in);
}

/* -- the span ----------------------------------------------------------------------------- */

static void describe_peers(const struct transaction *txn, struct span *span)
{
	const struct endpoint *peer = txn->role == ROLE_SERVER ? txn->client : txn->server;
	char text[ENDPOINT_TEXT_BYTES];
	const struct repeat_key key = { 0 }; /* they follow from the connection alone */
	struct repeat_turn turn;
	struct slice address;

	if (repeat__begin_peers(&turn, txn->repeats, &key, span))
		return;
	address = endpoint__address(txn->server, text, sizeof(text));
	span__add(span, "server.address", address);
	if (address.len && txn->server->port && txn->server->port != REDIS_PORT)
		span__add_int(span, "server.port", txn->server->port);
	if (peer != txn->server)
		address = endpoint__address(peer, text, sizeof(text));
	span__add(span, "network.peer.address", address);
	if (address.len && peer->port)
		span__add_int(span, "network.peer.port", peer->port);
	repeat__end(&turn, span);
}

static void describe_batch(const struct message *request, struct span *span)
{
	int64_t size = request->number[REDIS_BATCH_SIZE];

	/* by convention one operation is no batch */
	if (request->number_mask >> REDIS_BATCH_SIZE & 1 && size != 1)
		span__add_int(span, "db.operation.batch.size", size);
}

static void redis__describe(const struct transaction *txn, const struct flow_config *config,
			    struct span *span)
{
	const struct message *request = &txn->request, *response = &txn->response;
	struct slice operation = request->field[REDIS_OPERATION];
	struct slice status = response->field[REDIS_STATUS];
	struct slice database = response->field[REDIS_NAMESPACE];

	span__set_name(span, operation.len ? operation : SLICE("redis"));
	span__add_literal(span, "db.system.name", SLICE("redis"));
	span__add(span, "db.operation.name", operation);
	span__add(span, "db.namespace", database.len ? database : request->field[REDIS_NAMESPACE]);
	span__add(span, "db.query.text", request->field[REDIS_TEXT]);
	span__add(span, "db.stored_procedure.name", request->field[REDIS_PROCEDURE]);
	describe_batch(request, span);
	describe_peers(txn, span);
	if (response->number_mask >> REDIS_ABORTED & 1)
		span__add_bool(span, "spanloom.redis.aborted", true);
	if (!(response->flags & MESSAGE_FAILED))
		return;
	span__add(span, "db.response.status_code", status);
	span__fail(span, status.len ? status : SLICE("_OTHER"));
}

const struct protocol protocol_redis = {
	.id = PROTO_REDIS,
	.name = "redis",
	.scope = "spanloom/redis",
	.database = true,
	.state_size = sizeof(struct redis_state),
	.parse = redis__parse,
	.resync = redis__resync,
	.resync_scans = true,
	.describe = redis__describe,
};
