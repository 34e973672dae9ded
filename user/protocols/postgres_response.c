// SPDX-License-Identifier: Apache-2.0
/* Bytes of a PostgreSQL server. */
#include "user/protocols/postgres.h"

#define COMMAND_BYTES 128  /* of a CommandComplete that are read */
#define ERROR_BYTES   1024 /* of an ErrorResponse that are read: its codes come first */

/* -- bodies --------------------------------------------------------------------------------- */

struct server_error {
	struct slice status; /* SQLSTATE, or empty */
	bool fatal;	     /* the server ends the connection */
};

static bool is_status(struct slice in)
{
	if (in.len != 5)
		return false;
	for (size_t i = 0; i < in.len; i++) {
		bool digit = in.data[i] >= '0' && in.data[i] <= '9';

		if (!digit && !(in.data[i] >= 'A' && in.data[i] <= 'Z'))
			return false;
	}
	return true;
}

/* A letter and a string for each field, up to a NUL. */
static struct server_error read_error(struct slice body)
{
	struct server_error error = { { NULL, 0 }, false };
	struct reader r = reader__of(body);

	for (;;) {
		char field = (char)reader__be(&r, 1);
		struct slice value = reader__cstr(&r);

		if (r.bad || !field)
			return error;
		if (field == 'C' && is_status(value))
			error.status = value;
		/* 'S' may be in the language of the server, 'V' (since 9.6) is not */
		if (field == 'S' || field == 'V')
			error.fatal |= slice__eq(value, SLICE("FATAL")) ||
				       slice__eq(value, SLICE("PANIC"));
	}
}

/* The last word of "INSERT 0 3", -1 when it is no number. */
static int64_t command_rows(struct slice tag)
{
	size_t at = tag.len;

	while (at && tag.data[at - 1] != ' ')
		at--;
	return at ? slice__number(slice__skip(tag, at)) : -1;
}

/* -- the response being read ---------------------------------------------------------------- */

static void response__add(struct message *out, unsigned int number, int64_t value)
{
	message__add(out, number, value);
	out->add_mask |= 1u << number;
}

static void response__part(struct postgres_state *st, struct message *out)
{
	out->type = MESSAGE_RESPONSE;
	if (st->begun)
		return;
	out->flags |= MESSAGE_BEGIN;
	st->begun = true;
	st->told = false;
	st->described = false;
	st->acks = 0;
	st->rows = 0;
}

static void response__end(struct postgres_state *st, struct message *out)
{
	response__part(st, out);
	out->flags |= MESSAGE_END;
	/* rows that were not copied are nothing to tell */
	if (st->gap && (!st->told || st->several))
		out->flags |= MESSAGE_TRUNCATED;
	st->begun = false;
	st->gap = false;
	st->told = false;
}

/* A command is done: how many rows did it return, if it returns any? */
static void response__command(struct postgres_state *st, struct slice tag, struct message *out)
{
	bool select = slice__starts(tag, SLICE("SELECT ")) || slice__starts(tag, SLICE("FETCH "));
	int64_t rows = command_rows(tag);
	bool returns;

	response__part(st, out);
	/* "SELECT 5" is also what CREATE TABLE AS says, but then no row has come */
	returns = st->described || st->rows || (select && (rows == 0 || st->gap));
	if (returns && (rows >= 0 || !st->gap))
		response__add(out, POSTGRES_ROWS, rows >= 0 ? rows : (int64_t)st->rows);
	response__add(out, POSTGRES_COMMANDS, 1);
	st->told = true;
	st->described = false;
	st->rows = 0;
	if (postgres_queue__next(&st->queue) == ANSWER_EXECUTE) {
		response__end(st, out);
		postgres_queue__pop(&st->queue);
	} else if (postgres_queue__next(&st->queue) == ANSWER_OPEN) {
		/* its Execute was not seen */
		response__end(st, out);
		postgres_queue__pop(&st->queue);
		st->unit_loose = true;
	}
}

/* Parse, Bind and Describe have one each; those of a Flush have nothing else. */
static void response__ack(struct postgres_state *st, struct message *out)
{
	const struct answer *next = &st->queue.ring[st->queue.first];

	response__part(st, out);
	if (st->acks < UINT8_MAX)
		st->acks++;
	if (postgres_queue__next(&st->queue) != ANSWER_PREPARE || st->acks < next->acks)
		return;
	response__end(st, out);
	postgres_queue__pop(&st->queue);
}

/* After an error the server does nothing more before the next Sync. */
static void response__cancel(struct postgres_state *st, struct message *out)
{
	struct postgres_queue *q = &st->queue;

	for (;;) {
		enum answer_kind next = postgres_queue__next(q);

		if (next == ANSWER_SYNC || next == ANSWER_LOST)
			return;
		if (next == ANSWER_NONE) {
			st->skipping = true;
			return;
		}
		out->cancels++;
		if (next == ANSWER_EXECUTE_LAST || next == ANSWER_PREPARE_LAST) {
			postgres_queue__pop_to_sync(q);
			return;
		}
		st->unit_loose |= next == ANSWER_OPEN;
		postgres_queue__pop(q);
	}
}

static void response__error(struct postgres_state *st, struct slice body, struct message *out)
{
	enum answer_kind next = postgres_queue__next(&st->queue);
	struct server_error error = read_error(body);

	/* of nobody's request: the server goes down, or found us idle */
	if (next == ANSWER_SYNC || next == ANSWER_LOST || (next == ANSWER_NONE && error.fatal))
		return;
	response__part(st, out);
	out->flags |= MESSAGE_FAILED;
	message__set(out, POSTGRES_STATUS, error.status);
	if (next == ANSWER_NONE || (next == ANSWER_QUERY && !error.fatal))
		return;
	response__end(st, out);
	if (next == ANSWER_EXECUTE_LAST || next == ANSWER_PREPARE_LAST) {
		postgres_queue__pop_to_sync(&st->queue);
		return;
	}
	postgres_queue__pop(&st->queue);
	st->unit_loose |= next == ANSWER_OPEN;
	if (next != ANSWER_STARTUP && next != ANSWER_QUERY)
		response__cancel(st, out);
}

static void response__ready(struct postgres_state *st, struct message *out)
{
	enum answer_kind next = postgres_queue__next(&st->queue);
	unsigned int taken = 0;
	bool lost = st->gap && !answer__is_ready(next);

	/* behind a gap with several requests, what has not begun was given up by the pipeline */
	if (st->begun || (answer__is_request(next) && !lost))
		response__end(st, out);
	/* the ends of what stands before its Sync were lost */
	for (; !answer__is_ready(next) && next != ANSWER_NONE;
	     next = postgres_queue__next(&st->queue)) {
		st->unit_loose |= next == ANSWER_OPEN;
		postgres_queue__pop(&st->queue);
		taken++;
	}
	out->cancels = taken > 1 ? taken - 1 : 0;
	postgres_queue__pop(&st->queue);
	st->begun = false;
	st->gap = false;
	st->skipping = false;
	st->ready = postgres_queue__next(&st->queue) == ANSWER_NONE;
}

/* The copy has no end: what was asked for is that it starts. */
static void response__copy_both(struct postgres_state *st, struct message *out)
{
	response__end(st, out);
	if (answer__is_request(postgres_queue__next(&st->queue)))
		postgres_queue__pop_to_sync(&st->queue);
}

/* -- one message ---------------------------------------------------------------------------- */

/* Is @tag a part of the answer to what comes next? */
static bool is_part(const struct postgres_state *st, char tag)
{
	enum answer_kind next = postgres_queue__next(&st->queue);

	switch (tag) {
	case 'A': /* may come at any time */
	case 'N':
	case 'S':
	case '3': /* of a Close, which is no request */
		return false;
	case 'K':
	case 'R':
	case 'v':
		return next == ANSWER_STARTUP;
	case 'Z':
		return answer__is_request(next) || st->begun;
	default:
		return next != ANSWER_SYNC && next != ANSWER_LOST;
	}
}

/* Is enough of @m there? */
static bool is_complete(const struct postgres_message *m)
{
	size_t need = 0;

	if (m->body.len == m->total - POSTGRES_HEADER)
		return true;
	if (m->tag == 'C')
		need = COMMAND_BYTES;
	else if (m->tag == 'E')
		need = ERROR_BYTES;
	else if (m->tag == 'Z')
		need = 1;
	return m->body.len >= need;
}

static void response__message(struct postgres_state *st, const struct postgres_message *m,
			      struct message *out)
{
	struct reader body = reader__of(m->body);

	switch (m->tag) {
	case 'C':
		response__command(st, reader__cstr(&body), out);
		break;
	case 'I':
	case 's':
		response__command(st, slice__of("", 0), out);
		break;
	case 'D':
		response__part(st, out);
		st->rows++;
		break;
	case 'T':
		response__ack(st, out);
		st->described = true;
		break;
	case '1':
	case '2':
	case 'n':
		response__ack(st, out);
		break;
	case 'W':
		response__copy_both(st, out);
		break;
	default:
		response__part(st, out);
		break;
	}
}

/* The message at the head of @in becomes a part of @out.  As parse of struct protocol; 0 also
 * when it does not belong to what is in @out already. */
static ssize_t response__next(struct postgres_state *st, struct slice in, bool cut, bool first,
			      struct message *out)
{
	struct postgres_message m;
	bool part;
	int err;

	err = postgres__message(in, TO_CLIENT, &m);
	if (err)
		return err == -EAGAIN ? 0 : err;
	if (!is_complete(&m) && !cut)
		return 0;
	part = is_part(st, m.tag);
	if (part && !first && out->type == MESSAGE_NONE)
		return 0;
	if (m.tag == 'E')
		response__error(st, m.body, out);
	else if (m.tag == 'Z')
		response__ready(st, out);
	else if (part)
		response__message(st, &m, out);
	return (ssize_t)postgres__take(&m, in, out);
}

/* The answer to SSLRequest and GSSENCRequest; 0 when it is none. */
static ssize_t response__tls(struct postgres_state *st, char answer, struct message *out)
{
	st->asked_tls = false;
	if (answer == 'S' || answer == 'G')
		out->flags = MESSAGE_UNBIND;
	return answer == 'S' || answer == 'G' || answer == 'N';
}

ssize_t postgres__response(struct postgres_state *st, const struct parse_input *in,
			   struct message *out)
{
	size_t used = 0;

	/* servers that know no TLS say so with an ErrorResponse */
	if (st->asked_tls && response__tls(st, in->bytes.data[0], out))
		return 1;
	while (used < in->bytes.len && !out->skip && !(out->flags & MESSAGE_END)) {
		ssize_t len = response__next(st, slice__skip(in->bytes, used), in->cut, !used, out);

		if (len < 0 && !used)
			return len;
		if (len <= 0)
			break;
		used += (size_t)len;
	}
	return (ssize_t)used;
}

/* -- after a gap ---------------------------------------------------------------------------- */

size_t postgres__resync_responses(struct postgres_state *st, struct slice in)
{
	unsigned int requests = postgres_queue__requests(&st->queue);
	size_t at = postgres__find_chain(in, TO_CLIENT);
	bool goes_on;

	st->was_idle |= requests == 0;
	if (at == in.len)
		return at;
	/* With one request, it is its answer that goes on, if it was there when bytes were lost.
	 * With more, the pipeline has given up the first one at least. */
	goes_on = requests == 1 && !st->was_idle;
	while (requests && !answer__is_request(postgres_queue__next(&st->queue)))
		postgres_queue__pop(&st->queue);
	if (requests > 1 && !st->was_idle)
		postgres_queue__pop(&st->queue);
	st->begun = goes_on;
	st->gap = at > 0 || !st->was_idle;
	st->told = false;
	st->was_idle = false;
	return at;
}
