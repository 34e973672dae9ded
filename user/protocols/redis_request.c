// SPDX-License-Identifier: Apache-2.0
/*
 * Commands.  One that is in the buffer as a whole is one fragment.  A long one is given in
 * parts: its values are passed over, its text is complete with its last part.
 */
#include "user/protocols/redis.h"

#define INLINE_MAX 1024 /* bytes of an inline command; it must fit to be read */

/* -- reading ------------------------------------------------------------------------------ */

/*
 * The argument at the head of @in.  Bytes of it that are in @in, 0 when more are needed,
 * -EBADMSG.  @missing: so many bytes of its end, which nobody looks at, are not in @in.
 */
static ssize_t argument__read(struct slice in, bool cut, struct redis_argument *a,
			      uint64_t *missing)
{
	int64_t len;
	ssize_t line;
	size_t want;

	if (in.len && in.data[0] != '$')
		return -EBADMSG;
	line = redis_line__number(in, &len);
	if (line <= 0)
		return line;
	if (len < 0 || len >= REDIS_LENGTH_END)
		return -EBADMSG;
	in = slice__skip(in, (size_t)line);
	a->len = (uint64_t)len;
	want = a->len < REDIS_ARGUMENT_BYTES ? (size_t)a->len : REDIS_ARGUMENT_BYTES;
	if (in.len < want && !cut)
		return 0;
	a->head = slice__head(in, want);
	if (!redis_string__ends(slice__skip(in, a->len)))
		return -EBADMSG;
	*missing = a->len + 2 > in.len ? a->len + 2 - in.len : 0;
	if (*missing)
		return line + (ssize_t)in.len;
	return line + (ssize_t)a->len + 2;
}

/* "*<arguments>\r\n".  An empty array is legal, and answered by nothing. */
static ssize_t array__open(struct redis_command *c, struct slice in)
{
	int64_t count;
	ssize_t line = redis_line__number(in, &count);

	if (line <= 0)
		return line;
	if (count >= REDIS_COUNT_END)
		return -EBADMSG;
	c->active = count > 0;
	c->left = count > 0 ? (uint32_t)count : 0;
	return line;
}

static ssize_t array__read(struct redis_state *s, const struct parse_input *in, uint64_t *skip)
{
	struct redis_command *c = &s->command;
	bool hurry = in->cut || in->bytes.len >= REDIS_WAIT_BYTES;
	ssize_t len = 0;
	size_t pos = 0;

	if (!c->active) {
		len = array__open(c, in->bytes);
		if (len <= 0)
			return len;
		pos = (size_t)len;
	}
	while (c->left && !*skip) {
		struct redis_argument a;
		uint64_t missing = 0;

		len = argument__read(slice__skip(in->bytes, pos), in->cut, &a, &missing);
		if (len < 0)
			return len;
		if (len == 0 || (missing && !hurry && a.len < REDIS_WAIT_BYTES))
			break;
		if (a.head.len < a.len && a.head.len < REDIS_ARGUMENT_BYTES) {
			if (!c->count)
				break;
			c->truncated = true;
		}
		if (redis_text__add(s, &a))
			return -EBADMSG;
		pos += (size_t)len;
		*skip = missing;
	}
	return (ssize_t)pos;
}

/* Takes a word, quoted or not, off the front of @line; false when there is none. */
static bool line__word(struct slice *line, struct slice *word)
{
	size_t len = 0;
	char quote;

	*line = slice__trim(*line);
	if (line->len == 0)
		return false;
	quote = line->data[0];
	if (quote == '"' || quote == '\'') {
		*line = slice__skip(*line, 1);
		while (len < line->len && line->data[len] != quote)
			len += line->data[len] == '\\' ? 2 : 1;
		if (len > line->len)
			len = line->len;
		*word = slice__head(*line, len);
		*line = slice__skip(*line, len + 1);
		return true;
	}
	while (len < line->len && line->data[len] != ' ' && line->data[len] != '\t')
		len++;
	*word = slice__head(*line, len);
	*line = slice__skip(*line, len);
	return true;
}

/* Is it text, and not the head of an HTTP request, whose methods are commands too? */
static bool line__is_command(struct slice line)
{
	struct slice last = { 0 }, word;

	for (size_t i = 0; i < line.len; i++) {
		unsigned char c = (unsigned char)line.data[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	if (!line__word(&line, &word) || !redis_spec__find(word, NULL))
		return false;
	while (line__word(&line, &word))
		last = word;
	return !slice__starts(last, SLICE("HTTP/"));
}

/* A command typed by hand or by a health check: words on a line. */
static ssize_t inline__read(struct redis_state *s, struct slice in)
{
	size_t end = slice__find(in, '\n');
	struct slice line = slice__head(in, end), rest, word;

	if (end > INLINE_MAX)
		return -EBADMSG;
	if (end == in.len)
		return 0;
	if (line.len && line.data[line.len - 1] == '\r')
		line.len--;
	if (!line__is_command(line))
		return -EBADMSG;
	s->command.active = true;
	for (rest = line; line__word(&rest, &word);)
		s->command.left++;
	for (rest = line; line__word(&rest, &word);) {
		struct redis_argument a = { slice__head(word, REDIS_ARGUMENT_BYTES), word.len };

		if (redis_text__add(s, &a))
			return -EBADMSG;
	}
	return (ssize_t)end + 1;
}

/* -- meaning ------------------------------------------------------------------------------ */

/* A new connection begins with one of these, in database 0. */
static bool command__is_handshake(const struct redis_state *s)
{
	const struct redis_command *c = &s->command;
	struct slice name = slice__of(s->text, c->name_len);

	return c->kind == REDIS_HELLO || c->kind == REDIS_AUTH || c->kind == REDIS_SELECT ||
	       slice__ieq(name, SLICE("CLIENT SETINFO")) ||
	       slice__ieq(name, SLICE("CLIENT SETNAME"));
}

/* Is this command one that gets no reply, by CLIENT REPLY? */
static bool command__muted(struct redis_state *s)
{
	bool muted = s->reply_off || s->skip_next;
	char mode = s->multi ? '\0' : s->command.reply_mode;

	s->skip_next = false;
	if (s->command.kind == REDIS_RESET || mode == 'n') {
		s->reply_off = false;
		return false;
	}
	if (mode == 'f')
		s->reply_off = true;
	else if (mode == 's')
		s->skip_next = !s->reply_off;
	return muted || mode;
}

/* What the command is, here: a command inside MULTI is only queued, whatever it is. */
static enum redis_kind command__kind(const struct redis_state *s)
{
	enum redis_kind kind = s->command.kind;

	if (s->multi)
		return kind == REDIS_EXEC || kind == REDIS_RESET ? kind : REDIS_QUEUED;
	if (!redis_pending__has_room(s))
		return REDIS_NORMAL;
	switch (kind) {
	case REDIS_MULTI:
	case REDIS_SUBSCRIBE:
	case REDIS_SELECT:
	case REDIS_HELLO:
	case REDIS_RESET:
	case REDIS_MONITOR:
	case REDIS_SYNC:
		return kind;
	default:
		return REDIS_NORMAL;
	}
}

static void command__push(struct redis_state *s, enum redis_kind kind)
{
	struct redis_command *c = &s->command;
	uint32_t database = REDIS_DATABASE_SAME;
	uint32_t count = 1;
	int word = 0;

	if (s->multi && kind == REDIS_RESET) {
		kind = REDIS_EXEC;
		word = 1;
		database = 1;
	} else if (kind == REDIS_SUBSCRIBE) {
		word = redis_pending__word(slice__of(s->text, c->name_len));
		count = c->count + c->left - 1;
	} else if (kind == REDIS_SELECT) {
		database = c->database;
	} else if (kind == REDIS_RESET) {
		database = 1;
	} else if (kind == REDIS_EXEC && s->multi) {
		database = s->multi_database;
	}
	redis_pending__push(s, kind, count, (uint8_t)word, database);
}

static void multi__begin(struct redis_state *s)
{
	s->multi = true;
	s->multi_mixed = false;
	s->multi_text = 0;
	s->multi_database = REDIS_DATABASE_SAME;
	s->multi_name_len = 0;
}

/* "MULTI SET" while all commands are SET, as the client spells them. */
static void multi__add_name(struct redis_state *s)
{
	static const char prefix[] = "MULTI ";
	struct slice name = slice__of(s->text, s->command.name_len);
	size_t len = sizeof(prefix) - 1;

	if (s->multi_mixed)
		return;
	if (!s->multi_name_len && len + name.len <= sizeof(s->multi_name)) {
		memcpy(s->multi_name, prefix, len);
		memcpy(s->multi_name + len, name.data, name.len);
		s->multi_name_len = (uint8_t)(len + name.len);
		return;
	}
	if (!s->multi_name_len ||
	    !slice__eq(name, slice__of(s->multi_name + len, s->multi_name_len - len)))
		s->multi_mixed = true;
}

static void multi__add_text(struct redis_state *s, struct message *out)
{
	struct slice text = slice__of(s->text, s->command.text_len);

	if (s->multi_text >= REDIS_MULTI_TEXT_BYTES)
		return;
	if (s->multi_text + text.len > REDIS_MULTI_TEXT_BYTES) {
		text = SLICE("...");
		s->multi_text = REDIS_MULTI_TEXT_BYTES;
	} else {
		s->multi_text = (uint16_t)(s->multi_text + text.len);
	}
	message__set(out, REDIS_TEXT, text);
	out->append_mask = 1u << REDIS_TEXT;
}

/* -- fragments ---------------------------------------------------------------------------- */

static void request__begin(struct redis_state *s, struct message *out)
{
	struct redis_command *c = &s->command;
	bool selects, muted;

	if (!s->requests_seen && command__is_handshake(s))
		redis_state__set_database(s, 1);
	s->requests_seen = true;
	if (c->spec)
		s->known_seen = true;
	message__set(out, REDIS_NAMESPACE, redis_pending__database(s));
	selects = c->kind == REDIS_SELECT || c->kind == REDIS_RESET;
	muted = command__muted(s);
	c->kind = muted ? REDIS_NORMAL : command__kind(s);
	if (selects && c->kind == REDIS_NORMAL)
		redis_pending__forget_databases(s);
	if (muted)
		out->flags |= MESSAGE_ONEWAY;
	else
		command__push(s, c->kind);
	if (!s->multi)
		out->flags |= MESSAGE_BEGIN;
	if (c->kind == REDIS_MULTI)
		multi__begin(s);
}

static void request__end(struct redis_state *s, struct message *out)
{
	struct redis_command *c = &s->command;

	switch (c->kind) {
	case REDIS_MULTI:
		message__set(out, REDIS_OPERATION, slice__of(s->text, c->name_len));
		message__number(out, REDIS_BATCH_SIZE, 0);
		return;
	case REDIS_QUEUED:
		if (c->spec && c->spec->kind == REDIS_SELECT)
			s->multi_database = c->database;
		multi__add_name(s);
		multi__add_text(s, out);
		message__number(out, REDIS_BATCH_SIZE, 1);
		out->add_mask = 1u << REDIS_BATCH_SIZE;
		return;
	default:
		break;
	}
	out->flags |= MESSAGE_END;
	if (!s->multi)
		return;
	s->multi = false;
	if (s->multi_name_len && !s->multi_mixed)
		message__set(out, REDIS_OPERATION, slice__of(s->multi_name, s->multi_name_len));
	if (!slice__ieq(slice__of(s->text, c->name_len), SLICE("EXEC")))
		multi__add_text(s, out);
}

static void request__give(struct redis_state *s, struct message *out)
{
	struct redis_command *c = &s->command;
	bool ended = c->left == 0;

	out->type = MESSAGE_REQUEST;
	if (c->truncated)
		out->flags |= MESSAGE_TRUNCATED;
	if (!c->begun)
		request__begin(s, out);
	c->begun = true;
	if (!s->multi) {
		message__set(out, REDIS_OPERATION, slice__of(s->text, c->name_len));
		message__set(out, REDIS_TEXT, slice__of(s->text, c->text_len));
		message__set(out, REDIS_PROCEDURE,
			     slice__of(s->text + c->procedure_at, c->procedure_len));
	}
	if (!ended)
		return;
	request__end(s, out);
	memset(c, 0, sizeof(*c));
}

/* Bytes that no command begins with: does a server send them? */
static ssize_t request__refuse(const struct redis_state *s, struct slice in)
{
	struct redis_reply reply = { 0 };
	uint64_t skip = 0;
	ssize_t len;

	if (s->known_seen || !redis_reply__is_type(in.data[0]))
		return -EBADMSG;
	redis_reply__start(&reply, in.data[0]);
	len = redis_reply__read(&reply, in, &skip);
	return len > 0 ? -EPROTO : len;
}

/* A command of which the rest cannot be found: all that is there of it is taken. */
static ssize_t request__cut(struct redis_state *s, const struct parse_input *in,
			    struct message *out)
{
	struct redis_command *c = &s->command;

	c->left = 0;
	c->truncated = true;
	request__give(s, out);
	return (ssize_t)in->bytes.len;
}

/* Reads what there is of a command into s->command. */
static ssize_t request__read(struct redis_state *s, const struct parse_input *in, uint64_t *skip)
{
	char first = in->bytes.data[0];

	if (s->command.active || first == '*')
		return array__read(s, in, skip);
	if ((first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z'))
		return inline__read(s, in->bytes);
	return -EBADMSG;
}

static bool last__is(const struct redis_last *last, struct slice in)
{
	return last->len && slice__starts(in, slice__of(last->bytes, last->len));
}

/* Keeps a whole command, of those that change nothing for the ones behind them. */
static void last__keep(struct redis_last *last, const struct redis_command *command,
		       struct slice bytes)
{
	if (command->kind != REDIS_NORMAL || bytes.len > sizeof(last->bytes))
		return;
	last->command = *command;
	last->len = (uint16_t)bytes.len;
	memcpy(last->bytes, bytes.data, bytes.len);
}

/* Reads a command, or a part of it, that is not the one before again. */
static ssize_t request__parse(struct redis_state *s, const struct parse_input *in,
			      struct message *out)
{
	struct redis_command saved = s->command;
	ssize_t len;

	s->last.len = 0;
	len = request__read(s, in, &out->skip);
	if (len > 0 && !s->command.active)
		return len;
	if (len >= 0 && s->command.left && !out->skip) {
		if (in->cut && s->command.count)
			return request__cut(s, in, out);
		if (in->cut || in->bytes.len < REDIS_WAIT_BYTES)
			len = 0;
	}
	if (len <= 0) {
		s->command = saved;
		out->skip = 0;
		return len == -EBADMSG && !saved.active ? request__refuse(s, in->bytes) : len;
	}
	if (!saved.active && !s->command.left && !out->skip)
		last__keep(&s->last, &s->command, slice__head(in->bytes, (size_t)len));
	request__give(s, out);
	return len;
}

ssize_t redis_request__parse(struct redis_state *s, const struct parse_input *in,
			     struct message *out)
{
	if (s->command.active)
		return request__parse(s, in, out);
	if (in->first && !s->requests_seen)
		redis_state__set_database(s, 1); /* a new connection begins in database 0 */
	if (in->bytes.data[0] == '\r' || in->bytes.data[0] == '\n')
		return 1;
	if (!last__is(&s->last, in->bytes))
		return request__parse(s, in, out);
	s->command = s->last.command;
	request__give(s, out);
	return s->last.len;
}

int redis_request__is_head(struct slice in)
{
	struct redis_argument name;
	uint64_t missing;
	int64_t count;
	ssize_t len;

	if (in.len == 0 || in.data[0] != '*')
		return in.len ? -1 : 0;
	len = redis_line__number(in, &count);
	if (len <= 0)
		return (int)len ? -1 : 0;
	if (count <= 0 || count >= REDIS_COUNT_END)
		return -1;
	len = argument__read(slice__skip(in, (size_t)len), false, &name, &missing);
	if (len <= 0)
		return len ? -1 : 0;
	return name.len <= REDIS_NAME_BYTES && redis_spec__find(name.head, NULL) ? 1 : -1;
}
