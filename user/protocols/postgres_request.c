// SPDX-License-Identifier: Apache-2.0
/* Bytes of a PostgreSQL client. */
#include "user/protocols/postgres.h"

/* -- the first packet ----------------------------------------------------------------------- */

static void startup__database(struct postgres_state *st, struct slice name)
{
	name = slice__head(name, POSTGRES_DATABASE);
	memcpy(st->database, name.data, name.len);
	st->database_len = (uint8_t)name.len;
}

/* Pairs of strings; the list ends with an empty one. */
static void startup__parameters(struct postgres_state *st, struct slice in)
{
	struct reader r = reader__of(in);
	struct slice user = { NULL, 0 };

	st->database_len = 0;
	for (;;) {
		struct slice key = reader__cstr(&r);
		struct slice value = reader__cstr(&r);

		if (r.bad || key.len == 0)
			break;
		if (slice__eq(key, SLICE("database")) && value.len)
			startup__database(st, value);
		else if (slice__eq(key, SLICE("user")))
			user = value;
	}
	/* the server's default */
	if (st->database_len == 0 && user.len)
		startup__database(st, user);
}

static void startup__login(struct postgres_state *st, struct slice parameters, struct message *out)
{
	startup__parameters(st, parameters);
	out->type = MESSAGE_REQUEST;
	out->flags = MESSAGE_BEGIN | MESSAGE_END | MESSAGE_QUIET;
	message__set(out, POSTGRES_NAMESPACE, slice__of(st->database, st->database_len));
	if (!postgres_queue__push(&st->queue, ANSWER_STARTUP))
		out->flags |= MESSAGE_ONEWAY;
	st->ready = false;
}

static ssize_t request__startup(struct postgres_state *st, const struct parse_input *in,
				struct message *out)
{
	struct reader r = reader__of(in->bytes);
	uint32_t len = (uint32_t)reader__be(&r, 4);
	uint32_t code = (uint32_t)reader__be(&r, 4);

	if (st->tagged[TO_SERVER])
		return -EBADMSG;
	if (r.bad)
		return 0;
	if (len < 8 || len > POSTGRES_STARTUP)
		return -EBADMSG;
	if (code != POSTGRES_SSL && code != POSTGRES_GSS && code != POSTGRES_CANCEL &&
	    code >> 16 != POSTGRES_VERSION3)
		return -EBADMSG;
	if (in->bytes.len < len && !in->cut)
		return 0;
	if (code == POSTGRES_SSL || code == POSTGRES_GSS) {
		st->asked_tls = true;
	} else if (code == POSTGRES_CANCEL) {
		out->type = MESSAGE_REQUEST;
		out->flags = MESSAGE_BEGIN | MESSAGE_END | MESSAGE_ONEWAY;
	} else {
		startup__login(st, slice__head(r.rest, len - 8), out);
	}
	if (len <= in->bytes.len)
		return len;
	out->skip = len - in->bytes.len;
	return (ssize_t)in->bytes.len;
}

/* -- requests ------------------------------------------------------------------------------- */

static void request__begin(struct postgres_state *st, enum answer_kind kind, struct message *out)
{
	out->type = MESSAGE_REQUEST;
	out->flags |= MESSAGE_BEGIN;
	st->ready = st->lost = false;
	/* a response may have been left unfinished by a gap */
	if (postgres_queue__next(&st->queue) == ANSWER_NONE)
		st->begun = st->gap = st->told = false;
	if (st->skipping) {
		out->flags |= MESSAGE_ONEWAY;
		return;
	}
	message__set(out, POSTGRES_NAMESPACE, slice__of(st->database, st->database_len));
	if (!postgres_queue__push(&st->queue, kind))
		out->flags |= MESSAGE_ONEWAY;
}

/* A string at the head of the body, with its NUL if that is there. */
static struct slice body__text(struct slice in)
{
	size_t len = slice__find(in, '\0') + 1;

	return slice__head(slice__head(in, len), POSTGRES_TEXT_MAX);
}

static bool text__is_whole(struct slice text)
{
	return text.len && text.data[text.len - 1] == '\0';
}

/* Could @sql be several commands?  A semicolon in a literal counts too: that is the safe side. */
static bool text__is_several(struct slice sql)
{
	struct slice rest = slice__skip(sql, slice__find(sql, ';') + 1);

	while (rest.len && strchr(" \t\r\n;", rest.data[0])) /* with the NUL at its end */
		rest = slice__skip(rest, 1);
	return rest.len > 0;
}

/* A query is one string and nothing else: no byte but the last is a NUL. */
static bool query__is_sound(const struct postgres_message *m)
{
	struct slice text = slice__head(m->body, m->total - POSTGRES_HEADER - 1);

	return slice__find(text, '\0') == text.len;
}

static void request__query(struct postgres_state *st, struct slice body, struct message *out)
{
	/* who does not wait for Sync has given up what it had begun */
	if (st->unit_open && !st->unit_loose)
		postgres_queue__close(&st->queue, ANSWER_PREPARE);
	st->unit_open = false;
	request__begin(st, ANSWER_QUERY, out);
	out->flags |= MESSAGE_END;
	message__set(out, POSTGRES_QUERY, slice__head(body, POSTGRES_TEXT_MAX));
	st->several |= text__is_several(out->field[POSTGRES_QUERY]);
	if (!text__is_whole(out->field[POSTGRES_QUERY])) {
		out->flags |= MESSAGE_TRUNCATED;
		st->several = true; /* for all we know */
	}
}

static void request__function(struct postgres_state *st, struct message *out)
{
	request__begin(st, ANSWER_QUERY, out);
	out->flags |= MESSAGE_END;
}

/* -- the extended protocol ------------------------------------------------------------------ */

/* A part of a request whose answer is @acks messages.  Returns whether it is done at all. */
static bool unit__part(struct postgres_state *st, unsigned int acks, struct message *out)
{
	struct answer *last;

	out->type = MESSAGE_REQUEST;
	if (st->skipping && !st->unit_open) {
		out->flags |= MESSAGE_BEGIN | MESSAGE_ONEWAY;
		return false;
	}
	if (!st->unit_open) {
		request__begin(st, ANSWER_OPEN, out);
		st->unit_open = true;
		st->unit_loose = out->flags & MESSAGE_ONEWAY;
	}
	last = postgres_queue__last(&st->queue);
	if (!st->unit_loose && last->acks <= UINT8_MAX - acks)
		last->acks += (uint8_t)acks;
	return !st->skipping;
}

static void unit__end(struct postgres_state *st, enum answer_kind kind, struct message *out)
{
	if (!st->unit_open)
		return;
	out->type = MESSAGE_REQUEST;
	out->flags |= MESSAGE_END;
	if (kind != ANSWER_EXECUTE)
		out->flags |= MESSAGE_QUIET;
	if (!st->unit_loose)
		postgres_queue__close(&st->queue, kind);
	st->unit_open = false;
}

static void unit__recall(struct message *out, char space, struct slice key)
{
	out->recall_space = space;
	out->recall_field = POSTGRES_QUERY;
	out->recall_key = key;
}

static void request__parse(struct postgres_state *st, struct slice body, struct message *out)
{
	struct reader r = reader__of(body);
	struct slice name = reader__cstr(&r);
	struct slice text = r.bad ? slice__of(body.data, 0) : body__text(r.rest);
	bool done = unit__part(st, 1, out);

	message__set(out, POSTGRES_QUERY, text);
	if (!text__is_whole(text))
		out->flags |= MESSAGE_TRUNCATED;
	if (!done || r.bad)
		return;
	out->memo = (struct memo_edit){
		.op = MEMO_DEFINE,
		.space = POSTGRES_STATEMENT,
		.key = name,
		.value = text,
	};
}

static void request__bind(struct postgres_state *st, struct slice body, struct message *out)
{
	struct reader r = reader__of(body);
	struct slice portal = reader__cstr(&r);
	struct slice statement = reader__cstr(&r);
	bool done = unit__part(st, 1, out);

	if (!done || r.bad)
		return;
	out->memo = (struct memo_edit){
		.op = MEMO_ALIAS,
		.space = POSTGRES_PORTAL,
		.key = portal,
		.value_space = POSTGRES_STATEMENT,
		.value = statement,
	};
}

/* 's' or 'p', and a name */
static bool body__object(struct slice body, char *space, struct slice *name)
{
	struct reader r = reader__of(body);

	*space = (char)(reader__be(&r, 1) | 0x20);
	*name = reader__cstr(&r);
	return !r.bad && (*space == POSTGRES_STATEMENT || *space == POSTGRES_PORTAL);
}

static void request__describe(struct postgres_state *st, struct slice body, struct message *out)
{
	struct slice name;
	char space;

	unit__part(st, 1, out);
	if (out->flags & MESSAGE_BEGIN && body__object(body, &space, &name))
		unit__recall(out, space, name);
}

/* Not worth a request: it cannot fail. */
static void request__close(struct postgres_state *st, struct slice body, struct message *out)
{
	struct slice name;
	char space;

	if (st->skipping || !body__object(body, &space, &name))
		return;
	out->memo = (struct memo_edit){ .op = MEMO_FORGET, .space = space, .key = name };
}

static void request__execute(struct postgres_state *st, struct slice body, struct message *out)
{
	struct reader r = reader__of(body);
	struct slice portal = reader__cstr(&r);

	unit__part(st, 0, out);
	unit__end(st, ANSWER_EXECUTE, out);
	if (!r.bad)
		unit__recall(out, POSTGRES_PORTAL, portal);
}

static void request__sync(struct postgres_state *st, struct message *out)
{
	unit__end(st, ANSWER_PREPARE, out);
	if (st->skipping || st->lost)
		postgres_queue__push(&st->queue, ANSWER_SYNC);
	else
		postgres_queue__sync(&st->queue);
	st->ready = st->lost = st->skipping = false;
}

/* -- one message ---------------------------------------------------------------------------- */

/* How many strings of the body have to be there. */
static int strings_needed(char tag)
{
	switch (tag) {
	case 'C':
	case 'D':
	case 'E':
	case 'Q':
		return 1;
	case 'B':
	case 'P':
		return 2;
	default:
		return 0;
	}
}

/* Is enough of @m there? */
static bool is_complete(const struct postgres_message *m)
{
	struct slice rest = m->body;

	if (rest.len == m->total - POSTGRES_HEADER || rest.len >= POSTGRES_TEXT_MAX)
		return true;
	for (int i = strings_needed(m->tag); i > 0; i--) {
		size_t len = slice__find(rest, '\0');

		if (len == rest.len)
			return false;
		rest = slice__skip(rest, len + 1);
	}
	return true;
}

/* All the data of COPY that is there. */
static size_t request__copy_data(struct slice in, struct message *out)
{
	struct postgres_message m;
	size_t used = 0;

	while (!out->skip && !postgres__message(slice__skip(in, used), TO_SERVER, &m) &&
	       m.tag == 'd')
		used += postgres__take(&m, slice__skip(in, used), out);
	return used;
}

static void request__message(struct postgres_state *st, const struct postgres_message *m,
			     struct message *out)
{
	switch (m->tag) {
	case 'Q':
		request__query(st, m->body, out);
		break;
	case 'F':
		request__function(st, out);
		break;
	case 'P':
		request__parse(st, m->body, out);
		break;
	case 'B':
		request__bind(st, m->body, out);
		break;
	case 'D':
		request__describe(st, m->body, out);
		break;
	case 'C':
		request__close(st, m->body, out);
		break;
	case 'E':
		request__execute(st, m->body, out);
		break;
	case 'H':
		unit__end(st, ANSWER_PREPARE, out);
		break;
	case 'S':
		request__sync(st, out);
		break;
	case 'X':
		out->type = MESSAGE_REQUEST;
		out->flags = MESSAGE_BEGIN | MESSAGE_END | MESSAGE_ONEWAY;
		break;
	default:
		/* the end of COPY data, and passwords, which nobody looks at */
		break;
	}
}

ssize_t postgres__request(struct postgres_state *st, const struct parse_input *in,
			  struct message *out)
{
	struct postgres_message m;
	int err;

	if (in->bytes.data[0] == '\0')
		return request__startup(st, in, out);
	err = postgres__message(in->bytes, TO_SERVER, &m);
	if (err == -EAGAIN)
		return 0;
	if (err)
		return err;
	if (!is_complete(&m) && !in->cut)
		return 0;
	if (m.tag == 'Q' && !query__is_sound(&m))
		return -EBADMSG;
	if (m.tag == 'd')
		return (ssize_t)request__copy_data(in->bytes, out);
	request__message(st, &m, out);
	return (ssize_t)postgres__take(&m, in->bytes, out);
}

/* -- after a gap ---------------------------------------------------------------------------- */

/* Offset of the first message of a chain that no extended request goes on with, a Sync included;
 * in.len when it has none. */
static size_t find_restart(struct slice in)
{
	struct postgres_message m;
	size_t at = 0;

	while (!postgres__message(slice__skip(in, at), TO_SERVER, &m) && m.total <= in.len - at) {
		if (strchr("QScdf", m.tag))
			return at;
		at += m.total;
	}
	return in.len;
}

/*
 * How many requests were lost is not known.  When the server has nothing left to answer, they
 * have been answered too, and reading goes on with the next message.  Else it goes on with
 * what is no extended request, or with a Sync: its ReadyForQuery ends the answers to all that
 * was lost before it.
 */
size_t postgres__resync_requests(struct postgres_state *st, struct slice in)
{
	size_t at = postgres__find_chain(in, TO_SERVER);

	/* its Execute was in the gap */
	if (st->unit_open && !st->unit_loose)
		postgres_queue__close(&st->queue, ANSWER_EXECUTE);
	st->unit_open = false;
	st->lost = !st->ready;
	if (at == in.len || st->ready)
		return at;
	return at + find_restart(slice__skip(in, at));
}
