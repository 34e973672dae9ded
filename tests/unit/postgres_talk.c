// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/postgres_talk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

void pg_talk__open(struct pg_talk *t)
{
	memset(t, 0, sizeof(*t));
	t->state = calloc(1, protocol_postgres.state_size);
	assert_non_null(t->state);
}

void pg_talk__close(struct pg_talk *t)
{
	memo__reset(&t->memo);
	for (int dir = TO_SERVER; dir <= TO_CLIENT; dir++)
		free(t->held[dir]);
	free(t->state);
}

__attribute__((format(printf, 2, 3))) static void pg_talk__log(struct pg_talk *t,
							       const char *format, ...)
{
	size_t room = sizeof(t->log) - t->log_len;
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(t->log + t->log_len, room, format, args);
	va_end(args);
	t->log_len += (size_t)len < room ? (size_t)len : room - 1;
}

static void pg_talk__finish(struct pg_talk *t)
{
	const struct pg_talk_txn *txn = &t->open[0];

	pg_talk__log(t, "%s", txn->text);
	if (txn->rows >= 0)
		pg_talk__log(t, " rows=%d", (int)txn->rows);
	if (txn->commands > 1)
		pg_talk__log(t, " commands=%d", (int)txn->commands);
	if (txn->status[0])
		pg_talk__log(t, " status=%s", txn->status);
	pg_talk__log(t, "%s%s%s\n", txn->flags & MESSAGE_FAILED ? " failed" : "",
		     txn->flags & MESSAGE_QUIET ? " quiet" : "",
		     txn->flags & MESSAGE_TRUNCATED ? " truncated" : "");
	memmove(t->open, t->open + 1, --t->count * sizeof(t->open[0]));
	t->reading &= t->count > 0;
}

static void pg_talk__text(struct pg_talk_txn *txn, struct slice text)
{
	size_t len = slice__find(text, '\0');

	snprintf(txn->text, sizeof(txn->text), "%.*s", (int)len, text.data);
}

static void pg_talk__request(struct pg_talk *t, const struct message *m)
{
	struct pg_talk_txn *txn;

	if (m->flags & MESSAGE_BEGIN) {
		t->reading = !(m->flags & MESSAGE_ONEWAY);
		if (!t->reading)
			return;
		assert_true(t->count < PG_TALK_OPEN_MAX);
		t->open[t->count++] = (struct pg_talk_txn){ .rows = -1, .text = "-" };
	}
	if (!t->reading)
		return;
	txn = &t->open[t->count - 1];
	txn->flags |= m->flags;
	if (m->field[POSTGRES_QUERY].len)
		pg_talk__text(txn, m->field[POSTGRES_QUERY]);
	if (m->recall_space)
		pg_talk__text(txn, memo__recall(&t->memo, m->recall_space, m->recall_key));
	if (m->flags & MESSAGE_END)
		t->reading = false;
}

static void pg_talk__response(struct pg_talk *t, const struct message *m)
{
	struct pg_talk_txn *txn = &t->open[0];

	if (m->flags & MESSAGE_BEGIN) {
		t->orphan = t->count == 0;
		/* two beginnings without an end are a parser that lost its way */
		assert_true(t->orphan || !txn->answered);
	}
	if (t->orphan || !t->count) {
		if (m->flags & MESSAGE_END)
			pg_talk__log(t, "!\n");
		return;
	}
	txn->answered = true;
	txn->flags |= m->flags;
	if (m->number_mask & 1u << POSTGRES_ROWS)
		txn->rows = (txn->rows < 0 ? 0 : txn->rows) + m->number[POSTGRES_ROWS];
	txn->commands += m->number[POSTGRES_COMMANDS];
	if (m->field[POSTGRES_STATUS].len)
		snprintf(txn->status, sizeof(txn->status), "%.*s",
			 (int)m->field[POSTGRES_STATUS].len, m->field[POSTGRES_STATUS].data);
	if (!(m->flags & MESSAGE_END))
		return;
	pg_talk__finish(t);
	for (uint32_t i = 0; i < m->cancels && t->count; i++) {
		pg_talk__log(t, "cancelled: ");
		pg_talk__finish(t);
	}
}

static void pg_talk__drop(struct pg_talk *t, enum direction dir, size_t len)
{
	size_t left = t->held_len[dir] - len;
	char *rest = malloc(left ? left : 1);

	assert_non_null(rest);
	memcpy(rest, t->held[dir] + len, left);
	free(t->held[dir]);
	t->held[dir] = rest;
	t->held_len[dir] = left;
}

static bool pg_talk__step(struct pg_talk *t, enum direction dir)
{
	struct parse_input in = { .dir = dir };
	struct message m = { .type = MESSAGE_NONE };
	ssize_t len;

	in.bytes = slice__of(t->held[dir], t->held_len[dir]);
	if (t->skip[dir]) {
		size_t pass = t->skip[dir] < in.bytes.len ? t->skip[dir] : in.bytes.len;

		t->skip[dir] -= pass;
		pg_talk__drop(t, dir, pass);
		return true;
	}
	len = protocol_postgres.parse(t->state, &in, &m);
	if (len <= 0) {
		assert_int_equal(len, 0);
		return false;
	}
	assert_true((size_t)len <= in.bytes.len);
	memo__edit(&t->memo, &m.memo);
	if (m.type == MESSAGE_REQUEST)
		pg_talk__request(t, &m);
	else if (m.type == MESSAGE_RESPONSE)
		pg_talk__response(t, &m);
	if (m.flags & MESSAGE_UNBIND)
		pg_talk__log(t, "tls\n");
	t->skip[dir] = m.skip;
	pg_talk__drop(t, dir, (size_t)len);
	return true;
}

static void pg_talk__hand(struct pg_talk *t, enum direction dir, struct slice bytes)
{
	char *all = malloc(t->held_len[dir] + bytes.len);

	assert_non_null(all);
	if (t->held_len[dir])
		memcpy(all, t->held[dir], t->held_len[dir]);
	memcpy(all + t->held_len[dir], bytes.data, bytes.len);
	free(t->held[dir]);
	t->held[dir] = all;
	t->held_len[dir] += bytes.len;
	while (t->held_len[dir] && pg_talk__step(t, dir))
		;
}

void pg_talk__say(struct pg_talk *t, enum direction dir, struct slice bytes)
{
	while (t->step && bytes.len > t->step) {
		pg_talk__hand(t, dir, slice__head(bytes, t->step));
		bytes = slice__skip(bytes, t->step);
	}
	pg_talk__hand(t, dir, bytes);
}

struct slice pg_message(char tag, struct slice body)
{
	static char ring[64][512];
	static unsigned int next;
	char *out = ring[next++ % 64];
	size_t len = body.len + 4;

	assert_true(body.len + POSTGRES_HEADER <= sizeof(ring[0]));
	out[0] = tag;
	out[1] = out[2] = '\0';
	out[3] = (char)(len >> 8);
	out[4] = (char)len;
	memcpy(out + POSTGRES_HEADER, body.data, body.len);
	return slice__of(out, body.len + POSTGRES_HEADER);
}

void pg_talk__expect(const struct pg_talk *t, const char *expected)
{
	assert_string_equal(t->log, expected);
}
