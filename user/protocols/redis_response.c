// SPDX-License-Identifier: Apache-2.0
/*
 * Replies, in the order of the commands that wait for them.  One command can have several
 * (SUBSCRIBE), several can belong to one transaction (MULTI), and some answer nothing (pushes).
 */
#include "user/protocols/redis.h"

/* -- pushes ------------------------------------------------------------------------------- */

static bool is_message(struct slice name)
{
	return slice__eq(name, SLICE("message")) || slice__eq(name, SLICE("pmessage")) ||
	       slice__eq(name, SLICE("smessage"));
}

/* The string that is the first element of the array or push @in: 1; 0: cannot tell yet; -1:
 * it does not begin with a string. */
static int first_string(struct slice in, struct slice *name)
{
	ssize_t line;
	int64_t len;

	line = redis_line__number(in, &len);
	if (line <= 0)
		return line ? -1 : 0;
	in = slice__skip(in, (size_t)line);
	if (in.len && in.data[0] != '$')
		return -1;
	line = redis_line__number(in, &len);
	if (line <= 0)
		return line ? -1 : 0;
	if (len < 0 || len > REDIS_ARGUMENT_BYTES)
		return -1;
	in = slice__skip(in, (size_t)line);
	*name = slice__head(in, (size_t)len);
	return in.len >= (size_t)len;
}

/* May an array that comes now be a message of pub/sub?  RESP3 has a type for these. */
static bool expects_messages(struct redis_state *s)
{
	const struct redis_pending *oldest = redis_pending__oldest(s);

	if (s->resp3)
		return false;
	return !oldest || oldest->kind == REDIS_SUBSCRIBE || s->subscribed[0] || s->subscribed[1] ||
	       s->subscribed[2];
}

/* Is it a push, and if so, a confirmation that is waited for?  1: known, 0: cannot tell. */
static int response__sort(struct redis_state *s, const struct parse_input *in)
{
	const struct redis_pending *oldest = redis_pending__oldest(s);
	struct redis_reply *r = &s->reply;
	struct slice name = { 0 };
	int known;

	r->none = r->type == '>';
	if (r->type != '>' && !(r->type == '*' && expects_messages(s)))
		return 1;
	known = first_string(in->bytes, &name);
	if (known == 0 && !in->cut)
		return 0;
	if (known <= 0)
		return 1;
	r->word = (int8_t)redis_pending__word(name);
	if (r->word >= 0)
		r->none = !oldest || oldest->kind != REDIS_SUBSCRIBE ||
			  oldest->word != (uint8_t)r->word;
	else if (is_message(name))
		r->none = true;
	return 1;
}

/* Subscriptions, by the count that the server tells: of channels and patterns together, of
 * shard channels apart. */
static void response__count_subscriptions(struct redis_state *s)
{
	unsigned int which = (unsigned int)s->reply.word / 2;
	uint32_t *mine = &s->subscribed[which];
	int64_t before = which == 2 ? *mine : (int64_t)s->subscribed[0] + s->subscribed[1];
	int64_t after = s->reply.integer;

	if (after < 0 || after > INT32_MAX)
		return;
	if (s->reply.word % 2 == 0 && after > before)
		*mine += (uint32_t)(after - before);
	else if (s->reply.word % 2 == 1 && after < before)
		*mine -= (uint32_t)(before - after) < *mine ? (uint32_t)(before - after) : *mine;
}

/* -- meaning ------------------------------------------------------------------------------ */

/* Is this the last reply to a SUBSCRIBE or its relatives? */
static bool subscribe__ended(struct redis_state *s, struct redis_pending *pending)
{
	if (s->reply.word < 0)
		return true;
	if (pending->count)
		return --pending->count == 0;
	return s->subscribed[pending->word / 2] == 0;
}

static void state__reset(struct redis_state *s)
{
	memset(s->subscribed, 0, sizeof(s->subscribed));
	s->resp3 = false;
	s->monitor = false;
}

/* The command has succeeded. */
static void response__apply(struct redis_state *s, const struct redis_pending *pending)
{
	switch (pending->kind) {
	case REDIS_HELLO:
		s->resp3 = s->reply.type == '%';
		break;
	case REDIS_RESET:
		state__reset(s);
		break;
	case REDIS_EXEC:
		if (pending->word)
			state__reset(s);
		break;
	case REDIS_MONITOR:
		s->monitor = true;
		break;
	default:
		break;
	}
	if (s->reply.queued && pending->database != REDIS_DATABASE_SAME)
		redis_state__set_database(s, 0); /* inside a MULTI that was not seen */
	else
		redis_state__set_database(s, pending->database);
}

/* What the reply to @done changes.  Was one command of a MULTI refused, or was not all of the
 * reply seen, it is not known whether a SELECT succeeded. */
static void response__settle(struct redis_state *s, struct redis_pending done, bool truncated)
{
	const struct redis_reply *r = &s->reply;

	if (r->type == '-' || r->type == '!' || r->nil)
		return;
	if ((truncated || r->failed) && done.database != REDIS_DATABASE_SAME)
		done.database = 0;
	response__apply(s, &done);
}

/* A MULTI that was refused while nothing of it was sent yet is over; what follows is not
 * queued.  Else its commands are on their way: theirs are the next replies, up to EXEC's. */
static bool multi__ended(struct redis_state *s)
{
	if (!s->reply.failed)
		return false;
	if (s->multi && s->pending_count == 1) {
		s->multi = false;
		return true;
	}
	s->multi_refused = true;
	return false;
}

/* Is the response over with this reply?  @queued: false when a command inside MULTI was
 * answered as if it were not, so that we are out of step. */
static bool response__ended(struct redis_state *s, struct redis_pending *pending, bool queued)
{
	switch (pending->kind) {
	case REDIS_MULTI:
		return multi__ended(s);
	case REDIS_QUEUED:
		if (!queued)
			s->multi = false;
		return !queued;
	case REDIS_EXEC:
		s->multi_refused = false;
		return true;
	case REDIS_SUBSCRIBE:
		return subscribe__ended(s, pending);
	default:
		return true;
	}
}

/* -- fragments ---------------------------------------------------------------------------- */

/* 1: s->reply is open; 0: more bytes are needed; or -EBADMSG, -EPROTO. */
static int response__open(struct redis_state *s, const struct parse_input *in)
{
	const struct redis_pending *oldest = redis_pending__oldest(s);
	struct redis_reply *r = &s->reply;
	char type = in->bytes.data[0];

	if (!s->known_seen && type == '*') {
		int head = redis_request__is_head(in->bytes);

		if (head > 0)
			return -EPROTO;
		if (head == 0 && !in->cut)
			return 0;
	}
	if (!redis_reply__is_type(type))
		return -EBADMSG;
	redis_reply__start(r, type);
	if (!response__sort(s, in)) {
		r->depth = 0;
		return 0;
	}
	if (type == '|')
		r->none = true;
	if (type == '+' && s->monitor && in->bytes.len == 1 && !in->cut) {
		r->depth = 0;
		return 0;
	}
	if (type == '+' && s->monitor && in->bytes.len > 1 && in->bytes.data[1] >= '0' &&
	    in->bytes.data[1] <= '9')
		r->none = true;
	r->orphan = !oldest;
	r->kind = oldest ? oldest->kind : REDIS_NORMAL;
	return 1;
}

static void response__end(struct redis_state *s, struct message *out)
{
	struct redis_reply *r = &s->reply;
	struct redis_pending *pending = r->orphan ? NULL : redis_pending__oldest(s);
	bool queued = r->queued || r->failed || s->multi_refused;
	bool ended = true;

	if (pending) {
		struct redis_pending copy = *pending;

		ended = response__ended(s, pending, queued);
		response__settle(s, copy, out->flags & MESSAGE_TRUNCATED);
		if (copy.kind != REDIS_SUBSCRIBE || ended)
			redis_pending__pop(s);
		if (copy.kind == REDIS_QUEUED && !queued)
			out->flags |= MESSAGE_TRUNCATED;
	}
	if (r->kind == REDIS_EXEC && r->nil)
		message__number(out, REDIS_ABORTED, 1);
	s->response_open = !ended;
	if (ended)
		out->flags |= MESSAGE_END;
}

static bool kind__continues(unsigned int kind)
{
	return kind == REDIS_QUEUED || kind == REDIS_EXEC;
}

static void response__give(struct redis_state *s, struct message *out)
{
	struct redis_reply *r = &s->reply;
	bool orphaned = kind__continues(r->kind) && !s->response_open;
	bool done = r->depth == 0;

	if (done && r->word >= 0)
		response__count_subscriptions(s);
	if (r->type == '>' || r->type == '%' || r->type == '_')
		s->resp3 = true;
	if (r->none) {
		out->flags = 0;
		return;
	}
	/* of a MULTI that is over already: nothing to tell, but it takes its turn */
	out->type = orphaned ? MESSAGE_NONE : MESSAGE_RESPONSE;
	if (!r->begun && !kind__continues(r->kind) &&
	    !(r->kind == REDIS_SUBSCRIBE && s->response_open))
		out->flags |= MESSAGE_BEGIN;
	if (!orphaned)
		s->response_open = true;
	r->begun = true;
	if (r->failed && r->kind != REDIS_QUEUED) {
		out->flags |= MESSAGE_FAILED;
		message__set(out, REDIS_STATUS, slice__of(r->code, r->code_len));
	}
	if (done)
		response__end(s, out);
	message__set(out, REDIS_NAMESPACE, slice__of(s->database, s->database_len));
	if (orphaned) {
		s->response_open = false;
		*out = (struct message){ .skip = out->skip };
	}
}

/* The replication stream begins: not for us. */
static ssize_t response__leave(struct redis_state *s, struct slice in, struct message *out)
{
	out->type = MESSAGE_RESPONSE;
	out->flags = MESSAGE_BEGIN | MESSAGE_END | MESSAGE_UNBIND;
	s->reply.depth = 0;
	redis_pending__pop(s);
	return (ssize_t)in.len;
}

/* The rest of the reply cannot be found: this is all of it. */
static ssize_t response__cut(struct redis_state *s, struct slice in, struct message *out)
{
	struct redis_reply *r = &s->reply;
	bool whole_code = slice__find(in, ' ') < in.len;

	if (!r->begun && r->type == '-' && whole_code)
		redis_reply__fail(r, slice__skip(in, 1));
	r->depth = 0;
	out->flags |= MESSAGE_TRUNCATED;
	response__give(s, out);
	return (ssize_t)in.len;
}

/* Is it the reply before once more, say "+OK" or ":1"?  s->reply is of it already, then. */
static bool response__is_again(struct redis_state *s, struct slice in)
{
	const struct redis_pending *oldest = redis_pending__oldest(s);

	return s->answer_len && oldest && oldest->kind == REDIS_NORMAL &&
	       slice__starts(in, slice__of(s->answer, s->answer_len));
}

/* Keeps the bytes of a whole reply, if it is a single value and means nothing but that. */
static void response__keep(struct redis_state *s, struct slice bytes)
{
	const struct redis_reply *r = &s->reply;
	bool value = r->type == '+' || r->type == ':' || r->type == '$';

	if (!value || r->none || r->kind != REDIS_NORMAL || bytes.len > sizeof(s->answer))
		return;
	memcpy(s->answer, bytes.data, bytes.len);
	s->answer_len = (uint8_t)bytes.len;
}

/* Reads a reply, or a part of it, that is not the one before again. */
static ssize_t response__parse(struct redis_state *s, const struct parse_input *in,
			       struct message *out)
{
	struct redis_reply *r = &s->reply;
	bool fresh = r->depth == 0;
	ssize_t len;

	s->answer_len = 0;
	if (fresh) {
		int open = response__open(s, in);

		if (open <= 0)
			return open;
		if (r->kind == REDIS_SYNC && !r->none && r->type != '-')
			return response__leave(s, in->bytes, out);
	}
	len = redis_reply__read(r, in->bytes, &out->skip);
	if (len > 0) {
		if (fresh && !r->depth && !out->skip)
			response__keep(s, slice__head(in->bytes, (size_t)len));
		response__give(s, out);
		return len;
	}
	if (len == 0 && in->cut)
		return response__cut(s, in->bytes, out);
	if (fresh || len < 0)
		r->depth = 0;
	return len;
}

ssize_t redis_response__parse(struct redis_state *s, const struct parse_input *in,
			      struct message *out)
{
	if (!response__is_again(s, in->bytes))
		return response__parse(s, in, out);
	s->reply.begun = false;
	s->reply.orphan = false;
	response__give(s, out);
	return s->answer_len;
}
