// SPDX-License-Identifier: Apache-2.0
#include "user/flow/pipeline.h"

#include <errno.h>

#include "user/flow/conn.h"
#include "user/flow/describe.h"
#include "user/flow/emitter.h"
#include "user/flow/event.h"
#include "user/flow/joining.h"
#include "user/flow/quota.h"
#include "user/flow/resource.h"
#include "user/flow/transaction.h"
#include "user/protocols/protocol.h"

#define MS_NS		1000000ULL
#define SEGMENTS_FREE	64		/* ranges that a stream may always hold */
#define HOLD_NS		(100 * MS_NS)	/* how long a send that was announced may take */
#define HALF_CLOSED_NS	(30000 * MS_NS) /* quiet time after which an ended peer is given up */
#define PARENT_WAIT_NS	(200 * MS_NS)	/* for the record of what caused a call */
#define QUIET_PERIOD_NS (1000 * MS_NS)	/* how often quiet connections are looked for */

struct pipeline {
	const struct flow_config *config;
	struct pipeline_callbacks callbacks;
	struct ledger *ledger;
	struct emitter emitter;
	struct conn_table conns;
	struct transaction_sink sink;
	size_t in_flight;
	struct quota quota;
	size_t held; /* directions on hold */
	uint64_t next_quiet_ns;
};

static void pipeline__finish(void *ctx, struct conn *conn, struct transaction *txn)
{
	struct pipeline *p = ctx;

	joining__finished(&p->callbacks, conn, txn);
	emitter__transaction(&p->emitter, txn, conn->comm);
}

static void pipeline__begun(void *ctx, struct conn *conn, struct transaction *txn)
{
	emitter__begun(&((struct pipeline *)ctx)->emitter, txn, conn);
}

static void pipeline__drop(void *ctx, struct transaction *txn)
{
	emitter__drop(&((struct pipeline *)ctx)->emitter, txn);
}

/* -- connections -------------------------------------------------------------------------- */

static void pipeline__release(struct pipeline *p, struct conn *conn, enum direction dir)
{
	if (!conn->reading[dir].held)
		return;
	conn->reading[dir].held = false;
	p->held--;
}

/* Closes the books of a connection: what it still holds will not be read. */
static void pipeline__settle(struct pipeline *p, struct conn *conn)
{
	for (int dir = TO_SERVER; dir <= TO_CLIENT; dir++) {
		pipeline__release(p, conn, dir);
		ledger__add(p->ledger, LEDGER_BYTES_DROPPED,
			    stream__left(&conn->reading[dir].stream));
	}
	ledger__add(p->ledger, LEDGER_MEMO_EVICTED, conn->memo.evicted);
	conn__unbind(conn);
	conn__account(conn, &p->quota);
}

/* No more of this connection is read; it stays known until it closes. */
static void pipeline__end_conn(struct pipeline *p, struct conn *conn, enum ledger_entry why)
{
	ledger__add(p->ledger, why, 1);
	/* what its process asks of a database brings it no requests */
	if (conn->role != ROLE_CLIENT || !conn->protocol || !conn->protocol->database)
		intake__miss(&p->emitter.intake, conn->reader, INTAKE_ALL_ALONG);
	pipeline__settle(p, conn);
	conn->ended = true;
	if (p->callbacks.ignore)
		p->callbacks.ignore(p->callbacks.ctx, conn->id);
}

static void pipeline__unbind(void *ctx, struct conn *conn)
{
	struct pipeline *p = ctx;

	transaction__abandon_all(conn, &p->sink);
	pipeline__end_conn(p, conn, LEDGER_CONNECTIONS_UNBOUND);
}

/* Reads what is there, both directions: requests first, because they teach the parser which
 * responses to expect. */
static void pipeline__read(struct pipeline *p, struct conn *conn)
{
	for (int dir = TO_SERVER; dir <= TO_CLIENT; dir++)
		if (reading__ready(&conn->reading[dir]))
			message__read(conn, dir, &p->sink);
}

/* Forgets the connection.  Open requests end as @failure, or are incomplete when it is NULL. */
static void pipeline__forget(struct pipeline *p, struct conn *conn, const char *failure,
			     uint64_t end_ns)
{
	for (int dir = TO_SERVER; dir <= TO_CLIENT; dir++) {
		pipeline__release(p, conn, dir);
		conn->reading[dir].stream.closed = true;
	}
	if (conn->protocol)
		pipeline__read(p, conn);
	transaction__finish_all(conn, failure, end_ns, &p->sink);
	pipeline__settle(p, conn);
	conn_table__remove(&p->conns, conn);
}

/* The connection goes on without us. */
static void pipeline__evict(struct pipeline *p, struct conn *conn)
{
	ledger__add(p->ledger, LEDGER_CONNECTIONS_EVICTED, 1);
	/* it will bring requests that are not seen */
	intake__miss_any(&p->emitter.intake, INTAKE_ALL_ALONG);
	if (p->callbacks.ignore)
		p->callbacks.ignore(p->callbacks.ctx, conn->id);
	pipeline__forget(p, conn, NULL, conn__last_byte_ns(conn));
}

static void pipeline__record_conn(struct pipeline *p, const struct event_conn *event)
{
	struct conn *conn = conn_table__find(&p->conns, event->hdr.conn_id);
	struct resource *resource;

	if (conn)
		return;
	while (p->conns.count >= p->config->max_connections)
		pipeline__evict(p, p->conns.oldest);
	conn = conn_table__add(&p->conns, event);
	if (!conn) {
		ledger__add(p->ledger, LEDGER_CONNECTIONS_NO_MEMORY, 1);
		intake__miss_any(&p->emitter.intake, INTAKE_ALL_ALONG);
		return;
	}
	ledger__add(p->ledger, LEDGER_CONNECTIONS, 1);
	/* Asked for now, because at its first span the process may be gone: whoever answers
	 * remembers. */
	resource = p->callbacks.resource(p->callbacks.ctx, event->tgid, event->comm);
	conn->excluded = !resource;
	resource__put(resource);
}

/* -- data --------------------------------------------------------------------------------- */

static bool pipeline__bind(void *ctx, struct conn *conn, const struct protocol *protocol,
			   enum conn_role role)
{
	struct pipeline *p = ctx;

	if (protocol->database && role == ROLE_SERVER && !p->config->db_server_spans) {
		pipeline__end_conn(p, conn, LEDGER_CONNECTIONS_DB_SERVER);
		return false;
	}
	if (conn__bind(conn, protocol, role)) {
		pipeline__end_conn(p, conn, LEDGER_CONNECTIONS_NO_MEMORY);
		return false;
	}
	return true;
}

/* The first data with a candidate: from now on the parser has the word. */
static bool pipeline__begin(struct pipeline *p, struct conn *conn, const struct event_data *data)
{
	const struct protocol *protocol = protocol__by_id(data->proto);

	if (!protocol || !pipeline__bind(p, conn, protocol, conn__role_of(conn, data)))
		return false;
	conn->strong = conn->fresh && data->match == MATCH_REQUEST;
	return true;
}

/* More pieces than can be held are let go, for what comes now.  0 or -ENOMEM. */
static int pipeline__store(struct pipeline *p, struct conn *conn, enum direction dir,
			   const struct segment *segment, struct slice payload)
{
	struct stream *s = &conn->reading[dir].stream;
	size_t max_bytes = p->config->max_stream_bytes, left = quota__left(&p->quota);
	bool full = s->room > SEGMENTS_FREE && !quota__allows(&p->quota, conn->held_bytes);
	uint64_t before = s->end;

	if (full || stream__reserve(s, segment)) {
		message__forget(conn, dir, &p->sink);
		if (stream__reserve(s, segment))
			return -ENOMEM;
	}
	stream__add(s, segment, payload, left < max_bytes ? left : max_bytes);
	/* with the bytes of records that were lost before this one */
	ledger__add(p->ledger, LEDGER_BYTES, s->end - before);
	return 0;
}

static void pipeline__hold(struct pipeline *p, struct reading *r, uint64_t now_ns)
{
	if (r->held)
		return;
	r->held = true;
	r->held_ns = now_ns;
	p->held++;
}

static void pipeline__add_data(struct pipeline *p, struct conn *conn, const struct event_data *data,
			       struct slice payload)
{
	enum direction dir = conn__direction(conn, data->dir);
	struct segment segment = segment__of(data);

	if (data->dir == DIR_RECV)
		conn->reader = data->tgid;
	if (data->flags & DATA_RESUMED)
		message__resume(conn, &p->sink);
	message__reach(conn, dir, data->pos);
	if (data->flags & DATA_TURN)
		conn->turn_pos[data->dir] = data->pos;
	segment.turn_pos = conn->turn_pos[data->dir];
	if (pipeline__store(p, conn, dir, &segment, payload)) {
		transaction__finish_all(conn, NULL, segment.end_ns, &p->sink);
		pipeline__end_conn(p, conn, LEDGER_CONNECTIONS_NO_MEMORY);
		return;
	}
	if (data->flags & DATA_SEND_PENDING)
		pipeline__hold(p, &conn->reading[dir], segment.end_ns);
	if (data->dir == DIR_SEND)
		pipeline__release(p, conn, !dir);
	pipeline__read(p, conn);
	for (int side = TO_SERVER; side <= TO_CLIENT; side++)
		stream__keep(&conn->reading[side].stream); /* the record goes */
	conn__account(conn, &p->quota);
}

static void pipeline__record_data(struct pipeline *p, const struct event_view *view)
{
	const struct event_data *data = &view->data;
	struct conn *conn = conn_table__find(&p->conns, data->hdr.conn_id);

	if (!conn) {
		ledger__add(p->ledger, LEDGER_RECORDS_NO_CONN, 1);
		return;
	}
	conn_table__touch(&p->conns, conn, data->hdr.ts_ns);
	if (conn->ended || data->size == 0 ||
	    (!conn->protocol && !pipeline__begin(p, conn, data))) {
		ledger__add(p->ledger, LEDGER_BYTES, data->size);
		ledger__add(p->ledger, LEDGER_BYTES_DROPPED, data->size);
		return;
	}
	pipeline__add_data(p, conn, data, view->payload);
}

/* -- ends --------------------------------------------------------------------------------- */

static void pipeline__peer_eof(struct pipeline *p, struct conn *conn, uint64_t now_ns)
{
	enum direction dir;

	conn->peer_eof = true;
	if (!conn->protocol)
		return;
	dir = conn__direction(conn, DIR_RECV);
	conn->reading[dir].stream.closed = true;
	conn->reading[dir].ended = !conn->reset;
	pipeline__release(p, conn, dir);
	pipeline__read(p, conn);
	/* A client that sends no more may still be answered; a server that sends no more
	 * answers nothing. */
	if (conn->role == ROLE_CLIENT)
		transaction__finish_all(conn, conn__failure(conn), now_ns, &p->sink);
	conn__account(conn, &p->quota);
}

static void pipeline__record_close(struct pipeline *p, const struct event_close *event)
{
	struct conn *conn = conn_table__find(&p->conns, event->hdr.conn_id);

	if (!conn) {
		ledger__add(p->ledger, LEDGER_RECORDS_NO_CONN, 1);
		return;
	}
	conn_table__touch(&p->conns, conn, event->hdr.ts_ns);
	if (event->error)
		conn->error = event->error;
	switch (event->kind) {
	case CLOSE_PEER_EOF:
		pipeline__peer_eof(p, conn, event->hdr.ts_ns);
		break;
	case CLOSE_RESET:
		/* what was received before may still be read by the program */
		conn->reset = true;
		break;
	case CLOSE_DONE:
		conn->reading[conn__direction(conn, DIR_SEND)].ended = !conn->reset && !conn->error;
		pipeline__forget(p, conn, conn__failure(conn), event->hdr.ts_ns);
		break;
	}
}

/* -- in ----------------------------------------------------------------------------------- */

int pipeline__record(struct pipeline *p, const void *record, size_t len)
{
	struct event_view view;

	ledger__add(p->ledger, LEDGER_RECORDS, 1);
	if (event__view(record, len, &view)) {
		ledger__add(p->ledger, LEDGER_RECORDS_MALFORMED, 1);
		return -EBADMSG;
	}
	switch (view.hdr.type) {
	case EVENT_CONN:
		ledger__add(p->ledger, LEDGER_RECORDS_CONN, 1);
		pipeline__record_conn(p, &view.conn);
		break;
	case EVENT_CONN_FAILED:
		ledger__add(p->ledger, LEDGER_RECORDS_CONN, 1);
		emitter__connect_failed(&p->emitter, &view.conn);
		break;
	case EVENT_DATA:
		ledger__add(p->ledger, LEDGER_RECORDS_DATA, 1);
		pipeline__record_data(p, &view);
		break;
	case EVENT_CLOSE:
		ledger__add(p->ledger, LEDGER_RECORDS_CLOSE, 1);
		pipeline__record_close(p, &view.close);
		break;
	case EVENT_PROCESS:
		ledger__add(p->ledger, LEDGER_RECORDS_PROCESS, 1);
		if (view.process.kind == PROCESS_EXIT)
			intake__forget(&p->emitter.intake, view.process.tgid);
		break;
	case EVENT_UNREAD:
		ledger__add(p->ledger, LEDGER_RECORDS_PROCESS, 1);
		intake__miss(&p->emitter.intake, view.unread.tgid, INTAKE_ALL_ALONG);
		break;
	case EVENT_CONTEXT:
		ledger__add(p->ledger, LEDGER_RECORDS_CONTEXT, 1);
		sent__add(&p->emitter.sent, &view.context);
		break;
	case EVENT_HEAD:
	case EVENT_LEAVE:
		ledger__add(p->ledger, LEDGER_RECORDS_CONTEXT, 1);
		joining__record(&p->callbacks, conn_table__find(&p->conns, view.hdr.conn_id),
				&view);
		break;
	}
	return 0;
}

/* Directions that waited for a send which did not come: its record was lost. */
static void pipeline__release_overdue(struct pipeline *p, uint64_t now_ns)
{
	struct conn *conn, *older;

	for (conn = p->conns.newest; conn && p->held; conn = older) {
		older = conn->older;
		for (int dir = TO_SERVER; dir <= TO_CLIENT; dir++) {
			struct reading *r = &conn->reading[dir];

			if (!r->held || r->held_ns + HOLD_NS > now_ns)
				continue;
			pipeline__release(p, conn, dir);
			message__read(conn, dir, &p->sink);
			conn__account(conn, &p->quota);
		}
	}
}

/* Requests that were not answered in time, whatever else passes on their connection. */
static void pipeline__give_up(struct pipeline *p, uint64_t now_ns)
{
	for (struct conn *conn = p->conns.oldest; conn && p->in_flight; conn = conn->newer)
		if (transaction__give_up(conn, p->config->response_timeout_ns, now_ns, &p->sink))
			conn__account(conn, &p->quota);
}

/* The connection may speak again after hours, like those of a pool: it stays known, because the
 * kernel announces each but once. */
static void pipeline__rest(struct pipeline *p, struct conn *conn)
{
	if (conn->resting)
		return;
	ledger__add(p->ledger, LEDGER_CONNECTIONS_IDLE, 1);
	transaction__give_up_all(conn, conn__last_byte_ns(conn), &p->sink);
	for (int dir = TO_SERVER; dir <= TO_CLIENT; dir++)
		message__forget(conn, dir, &p->sink);
	conn__rest(conn);
	conn__account(conn, &p->quota);
}

static void pipeline__finish_quiet(struct pipeline *p, uint64_t now_ns)
{
	struct conn *conn, *newer;

	for (conn = p->conns.oldest; conn && conn->last_ns + HALF_CLOSED_NS <= now_ns;
	     conn = newer) {
		bool idle = conn->last_ns + p->config->idle_timeout_ns <= now_ns;
		/* a client that sends no more may still be waiting */
		bool over = conn->reset || (conn->peer_eof && (idle || !conn->open));

		newer = conn->newer;
		if (over || (idle && conn->ended))
			pipeline__forget(p, conn, over ? conn__failure(conn) : NULL,
					 conn__last_byte_ns(conn));
		else if (idle)
			pipeline__rest(p, conn);
	}
}

void pipeline__tick(struct pipeline *p, uint64_t now_ns)
{
	if (p->held)
		pipeline__release_overdue(p, now_ns);
	emitter__settle(&p->emitter, now_ns - PARENT_WAIT_NS);
	if (now_ns < p->next_quiet_ns)
		return;
	p->next_quiet_ns = now_ns + QUIET_PERIOD_NS;
	pipeline__give_up(p, now_ns);
	pipeline__finish_quiet(p, now_ns);
}

void pipeline__drain(struct pipeline *p)
{
	while (p->conns.oldest)
		pipeline__forget(p, p->conns.oldest, NULL, conn__last_byte_ns(p->conns.oldest));
	emitter__settle(&p->emitter, UINT64_MAX);
}

struct pipeline *pipeline__new(const struct flow_config *config,
			       const struct pipeline_callbacks *callbacks, struct ledger *ledger)
{
	struct pipeline *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->config = config;
	p->callbacks = *callbacks;
	p->ledger = ledger;
	p->quota.max = config->max_held_bytes;
	emitter__init(&p->emitter, config, &p->callbacks, ledger);
	p->sink = (struct transaction_sink){
		.ledger = ledger,
		.quota = &p->quota,
		.in_flight = &p->in_flight,
		.max_in_flight = config->max_transactions,
		.intake = &p->emitter.intake,
		.begun = pipeline__begun,
		.finish = pipeline__finish,
		.drop = pipeline__drop,
		.bind = pipeline__bind,
		.unbind = pipeline__unbind,
		.ctx = p,
	};
	return p;
}

void pipeline__free(struct pipeline *p)
{
	if (!p)
		return;
	while (p->conns.oldest) {
		transaction__abandon_all(p->conns.oldest, &p->sink);
		conn_table__remove(&p->conns, p->conns.oldest);
	}
	emitter__reset(&p->emitter);
	free(p);
}

void pipeline__set_clock(struct pipeline *p, int64_t unix_offset_ns)
{
	p->emitter.unix_offset_ns = unix_offset_ns;
}

size_t pipeline__in_flight(const struct pipeline *p)
{
	return p->in_flight + p->emitter.waiting_count;
}

size_t pipeline__connections(const struct pipeline *p)
{
	return p->conns.count;
}

size_t pipeline__held(const struct pipeline *p)
{
	return p->quota.used;
}
