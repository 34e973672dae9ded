// SPDX-License-Identifier: Apache-2.0
/* A PostgreSQL transaction as a span. */
#include "user/flow/endpoint.h"
#include "user/flow/repeat.h"
#include "user/flow/span.h"
#include "user/protocols/postgres.h"
#include "user/protocols/sql.h"

#define DEFAULT_PORT  5432
#define SCRATCH_BYTES 2048 /* longer texts are sanitised in the span's own memory */
#define SHAPE_BYTES   1024 /* longer ones are kept as they are */
#define NAME_BYTES    (ENDPOINT_TEXT_BYTES + sizeof(":65535"))

static void add_batch(const struct transaction *txn, size_t statements, struct span *span)
{
	/* of a cut text, the commands that were completed tell more */
	int64_t size = txn->response.number[POSTGRES_COMMANDS];

	if (size < (int64_t)statements)
		size = (int64_t)statements;
	if (size > 1)
		span__add_int(span, "db.operation.batch.size", size);
}

/* Class 00 is success and 01 a warning; all else is an error. */
static void add_outcome(const struct transaction *txn, struct span *span)
{
	struct slice status = txn->response.field[POSTGRES_STATUS];
	bool ok = slice__starts(status, SLICE("00")) || slice__starts(status, SLICE("01"));

	span__add(span, "db.response.status_code", status);
	if (status.len && !ok)
		span__fail(span, status);
	else if (txn->flags & TXN_CANCELLED)
		span__fail(span, SLICE("pipeline_aborted"));
	else if (txn->response.flags & MESSAGE_FAILED)
		span__fail(span, SLICE("_OTHER"));
	if (txn->response.number_mask & 1u << POSTGRES_ROWS)
		span__add_int(span, "db.response.returned_rows",
			      txn->response.number[POSTGRES_ROWS]);
}

/* The name of a span whose text is not known. */
static void set_target_name(const struct transaction *txn, struct slice address, struct span *span)
{
	struct slice database = txn->request.field[POSTGRES_NAMESPACE];
	char name[NAME_BYTES];

	if (database.len) {
		span__set_name(span, database);
	} else if (address.len && txn->server->port) {
		snprintf(name, sizeof(name), "%.*s:%u", (int)address.len, address.data,
			 txn->server->port);
		span__set_name(span, slice__str(name));
	} else {
		span__set_name(span, address.len ? address : SLICE("postgresql"));
	}
}

/* All that follows from the text of the statements. */
static void add_statements(const struct transaction *txn, struct span *span)
{
	struct slice sql = txn->request.field[POSTGRES_QUERY];
	bool cut = sql.len && sql.data[sql.len - 1] != '\0';
	char scratch[SCRATCH_BYTES], buffer[ENDPOINT_TEXT_BYTES];
	struct sql_summary summary;
	struct slice address, text, name;
	char *room = scratch;

	if (sql.len && !cut)
		sql.len--;
	if (sql.len > sizeof(scratch))
		room = arena__alloc(&span->text, sql.len);
	text = sql__read(sql, cut, room, &summary);
	span->dropped_attributes += !room;
	name = slice__of(summary.text, summary.len);
	address = endpoint__address(txn->server, buffer, sizeof(buffer));
	if (name.len)
		span__set_name(span, name);
	else
		set_target_name(txn, address, span);
	span__add_literal(span, "db.system.name", SLICE("postgresql"));
	span__add(span, "db.namespace", txn->request.field[POSTGRES_NAMESPACE]);
	span__add(span, "db.query.summary", name);
	span__add(span, "db.query.text", text);
	add_batch(txn, summary.statements, span);
	span__add(span, "server.address", address);
	if (address.len && txn->server->port && txn->server->port != DEFAULT_PORT)
		span__add_int(span, "server.port", txn->server->port);
}

/* Statements that differ in numbers alone have the same attributes, and are kept as one. */
static void add_new_statements(const struct transaction *txn, struct repeats *repeats,
			       struct repeat_key *key, struct span *span)
{
	char shape[SHAPE_BYTES];
	struct repeat_turn turn;

	key->part[0] = sql__shape(key->part[0], shape, sizeof(shape));
	if (repeat__begin_statement(&turn, repeats, key, span))
		return;
	add_statements(txn, span);
	repeat__end(&turn, span);
}

void postgres__describe(const struct transaction *txn, const struct flow_config *config,
			struct span *span)
{
	const struct message *request = &txn->request;
	struct repeat_key key = { { request->field[POSTGRES_QUERY],
				    request->field[POSTGRES_NAMESPACE] } };
	/* of a batch, the response tells the size */
	bool batch = txn->response.number[POSTGRES_COMMANDS] > 1;

	if (batch || !txn->repeats)
		add_statements(txn, span);
	else if (!repeat__recall_statement(txn->repeats, &key, span))
		add_new_statements(txn, txn->repeats, &key, span);
	add_outcome(txn, span);
}
