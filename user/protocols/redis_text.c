// SPDX-License-Identifier: Apache-2.0
/*
 * A command as it may be shown: CLI syntax, keys kept, each value a "?".  A value never enters
 * the text, not even for a moment.
 */
#include "user/base/copy.h"
#include "user/protocols/redis.h"

#define ARGUMENTS_MAX  64 /* shown of one command */
#define SUBCOMMAND_MAX 24
#define NUMBER_MAX     9 /* digits: fits any 32 bits */
#define ELLIPSIS       "..."
#define ELLIPSIS_ROOM  4 /* with its space */

static bool is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The name of a command: modules have "JSON.SET" and "FT._LIST". */
static bool is_name(struct slice in, size_t max)
{
	static const bool named[256] = {
		['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['.'] = true,
		['_'] = true,	      ['-'] = true,	    ['|'] = true,
	};

	if (in.len == 0 || in.len > max || !(is_alpha(in.data[0]) || in.data[0] == '_'))
		return false;
	for (size_t i = 1; i < in.len; i++)
		if (!named[(unsigned char)in.data[i]])
			return false;
	return true;
}

static bool is_number(struct slice in)
{
	return in.len <= NUMBER_MAX && slice__number(in) >= 0;
}

/* -- the text ----------------------------------------------------------------------------- */

static void text__put(struct redis_state *s, struct slice piece)
{
	copy__bytes(s->text + s->command.text_len, piece.data, piece.len);
	s->command.text_len = (uint16_t)(s->command.text_len + piece.len);
}

/* A space and room for @len bytes; false when the text ends here. */
static bool text__open(struct redis_state *s, size_t len)
{
	struct redis_command *c = &s->command;

	if (c->full)
		return false;
	if (c->count > ARGUMENTS_MAX || c->text_len + 1 + len + ELLIPSIS_ROOM > sizeof(s->text)) {
		text__put(s, SLICE(" " ELLIPSIS));
		c->full = true;
		return false;
	}
	text__put(s, SLICE(" "));
	return true;
}

static void text__add_plain(struct redis_state *s, struct slice piece)
{
	if (text__open(s, piece.len))
		text__put(s, piece);
}

/* Must it stand in quotes, as the CLI shows it? */
static bool needs_quotes(struct slice in)
{
	static const bool plain[256] = {
		['!'] = true,
		['#' ... '&'] = true,
		['(' ... '['] = true,
		[']' ... '~'] = true,
	};

	for (size_t i = 0; i < in.len; i++)
		if (!plain[(unsigned char)in.data[i]])
			return true;
	return in.len == 0;
}

static size_t escape(unsigned char c, char out[4])
{
	static const char hex[] = "0123456789abcdef";

	if (c >= ' ' && c < 0x7f && c != '"' && c != '\\') {
		out[0] = (char)c;
		return 1;
	}
	out[0] = '\\';
	if (c == '"' || c == '\\') {
		out[1] = (char)c;
		return 2;
	}
	out[1] = 'x';
	out[2] = hex[c >> 4];
	out[3] = hex[c & 15];
	return 4;
}

static void text__add_quoted(struct redis_state *s, struct slice key, bool cut)
{
	char out[4 * REDIS_ARGUMENT_BYTES + sizeof(ELLIPSIS) + 2];
	size_t len = 0;

	out[len++] = '"';
	for (size_t i = 0; i < key.len; i++)
		len += escape((unsigned char)key.data[i], out + len);
	out[len++] = '"';
	if (cut) {
		memcpy(out + len, ELLIPSIS, sizeof(ELLIPSIS) - 1);
		len += sizeof(ELLIPSIS) - 1;
	}
	text__add_plain(s, slice__of(out, len));
}

static void text__add_key(struct redis_state *s, const struct redis_argument *a)
{
	bool cut = a->head.len < a->len;

	if (needs_quotes(a->head)) {
		text__add_quoted(s, a->head, cut);
		return;
	}
	if (!text__open(s, a->head.len + (cut ? sizeof(ELLIPSIS) - 1 : 0)))
		return;
	text__put(s, a->head);
	if (cut)
		text__put(s, SLICE(ELLIPSIS));
}

/* -- the rules ---------------------------------------------------------------------------- */

static char command__rule(struct redis_command *c)
{
	const char *rules = c->spec ? c->spec->arguments : "";

	if (c->keys_left) {
		c->keys_left--;
		return 'k';
	}
	if (rules[c->rule] == '*')
		c->loop = ++c->rule;
	if (rules[c->rule] == '\0') {
		if (!c->loop)
			return 'v';
		c->rule = c->loop;
	}
	return rules[c->rule++];
}

static void text__add_key_count(struct redis_state *s, const struct redis_argument *a)
{
	struct redis_command *c = &s->command;

	if (!is_number(a->head) || a->len > NUMBER_MAX) {
		text__add_plain(s, SLICE("?"));
		return;
	}
	/* no more than follow: what is behind the keys are values */
	if (slice__number(a->head) < c->left)
		c->keys_left = (uint32_t)slice__number(a->head);
	text__add_plain(s, a->head);
}

/* XREAD ... STREAMS key key id id */
static void text__add_stream_part(struct redis_state *s, const struct redis_argument *a)
{
	struct redis_command *c = &s->command;

	bool option = !c->streams && redis_option__known(a->head);

	if (option && slice__ieq(a->head, SLICE("STREAMS"))) {
		c->streams = true;
		c->keys_left = (c->left - 1) / 2;
	}
	text__add_plain(s, option ? a->head : SLICE("?"));
}

static void text__add_subcommand(struct redis_state *s, const struct redis_argument *a)
{
	struct redis_command *c = &s->command;

	if (!is_name(a->head, SUBCOMMAND_MAX)) {
		text__add_plain(s, SLICE("?"));
		return;
	}
	text__add_plain(s, a->head);
	c->name_len = c->text_len;
}

static void text__add_procedure(struct redis_state *s, const struct redis_argument *a)
{
	struct redis_command *c = &s->command;
	uint16_t before = c->text_len;

	text__add_key(s, a);
	if (c->full || c->text_len <= before)
		return;
	c->procedure_at = before + 1u;
	c->procedure_len = c->text_len - c->procedure_at;
}

static void text__add_by_rule(struct redis_state *s, const struct redis_argument *a)
{
	switch (command__rule(&s->command)) {
	case 'k':
		text__add_key(s, a);
		return;
	case 'K':
		if (s->command.left > 1)
			text__add_key(s, a);
		else
			text__add_plain(s, SLICE("?"));
		return;
	case 'd':
		text__add_plain(s, is_number(a->head) ? a->head : SLICE("?"));
		return;
	case 'n':
		text__add_key_count(s, a);
		return;
	case 'o':
		text__add_plain(s, redis_option__known(a->head) ? a->head : SLICE("?"));
		return;
	case 's':
		text__add_subcommand(s, a);
		return;
	case 'p':
		text__add_procedure(s, a);
		return;
	case 'S':
		text__add_stream_part(s, a);
		return;
	default:
		text__add_plain(s, SLICE("?"));
	}
}

/* -- arguments with a meaning for the connection ------------------------------------------ */

static int command__name(struct redis_state *s, const struct redis_argument *a)
{
	const struct redis_spec *spec = redis_spec__find(a->head, s->latest);
	struct redis_command *c = &s->command;

	/* one that is known is a name */
	if (a->len > a->head.len || (!spec && !is_name(a->head, REDIS_NAME_BYTES)))
		return -EBADMSG;
	c->spec = spec;
	s->latest = spec;
	c->kind = c->spec ? c->spec->kind : REDIS_NORMAL;
	text__put(s, a->head);
	c->name_len = c->text_len;
	return 0;
}

static void command__remember(struct redis_state *s, const struct redis_argument *a)
{
	struct redis_command *c = &s->command;

	if (c->kind == REDIS_SELECT && c->count == 1 && is_number(a->head))
		c->database = (uint32_t)slice__number(a->head) + 1;
	if (c->kind == REDIS_CLIENT && c->count == 2 && a->head.len &&
	    slice__ieq(slice__of(s->text, c->name_len), SLICE("CLIENT REPLY"))) {
		if (slice__ieq(a->head, SLICE("ON")))
			c->reply_mode = 'n';
		else if (slice__ieq(a->head, SLICE("OFF")))
			c->reply_mode = 'f';
		else if (slice__ieq(a->head, SLICE("SKIP")))
			c->reply_mode = 's';
	}
}

int redis_text__add(struct redis_state *s, const struct redis_argument *argument)
{
	struct redis_command *c = &s->command;

	if (c->count == 0) {
		int err = command__name(s, argument);

		if (err)
			return err;
	} else {
		command__remember(s, argument);
		text__add_by_rule(s, argument);
	}
	c->count++;
	c->left--;
	return 0;
}
