// SPDX-License-Identifier: Apache-2.0
/*
 * The elements of a reply, RESP2 and RESP3.  Only types, lengths and the prefixes of errors
 * are read; strings are passed over.
 */
#include "user/protocols/redis.h"

#define LINE_WAIT     512 /* a line is read at once when it is not longer */
#define SCALAR_MAX    64  /* bytes of a number's line */
#define BIGNUM_MAX    4096
#define NUMBER_DIGITS 18 /* of a length or a count */

/* Values of redis_reply.left for what ends by a mark, not by a count. */
#define LEFT_STREAMED UINT32_MAX       /* "." */
#define LEFT_CHUNKS   (UINT32_MAX - 1) /* ";0" */

/* The line ends at @at, for all that is there of it: as redis_line__number(). */
static ssize_t line__end(struct slice in, size_t at)
{
	if (at + 1 < in.len)
		return in.data[at] == '\r' && in.data[at + 1] == '\n' ? (ssize_t)at + 2 : -EBADMSG;
	return at < in.len && in.data[at] != '\r' ? -EBADMSG : 0;
}

/* What stands for a number and is none. */
static ssize_t line__mark(struct slice in, int64_t *value)
{
	if (in.data[1] == '?') {
		*value = REDIS_STREAMED;
		return line__end(in, 2);
	}
	*value = -1;
	if (in.data[1] != '-' || (in.len > 2 && in.data[2] != '1'))
		return -EBADMSG;
	return in.len > 2 ? line__end(in, 3) : 0;
}

ssize_t redis_line__number(struct slice in, int64_t *value)
{
	uint64_t number = 0;
	size_t at = 1;

	for (; at < in.len; at++) {
		unsigned int digit = (unsigned int)in.data[at] - '0';

		if (digit > 9)
			break;
		number = number * 10 + digit;
	}
	if (at == 1 && in.len > 1)
		return line__mark(in, value);
	if (at > 1 + NUMBER_DIGITS)
		return -EBADMSG;
	*value = (int64_t)number;
	return line__end(in, at);
}

bool redis_string__ends(struct slice rest)
{
	return rest.len == 0 || (rest.data[0] == '\r' && (rest.len == 1 || rest.data[1] == '\n'));
}

bool redis_reply__is_type(char byte)
{
	static const bool types[256] = {
		['+'] = true, ['-'] = true, [':'] = true, ['$'] = true, ['*'] = true,
		['_'] = true, ['#'] = true, [','] = true, ['('] = true, ['!'] = true,
		['='] = true, ['%'] = true, ['~'] = true, ['>'] = true, ['|'] = true,
	};

	return types[(unsigned char)byte];
}

void redis_reply__start(struct redis_reply *r, char type)
{
	memset(r, 0, offsetof(struct redis_reply, code));
	r->left[0] = 1;
	r->depth = 1;
	r->type = type;
	r->word = -1;
}

/* By convention an error begins with a word in capitals; anything else may be private. */
void redis_reply__fail(struct redis_reply *r, struct slice text)
{
	size_t len = slice__find(text, ' ');

	if (r->failed)
		return;
	r->failed = true;
	if (len > REDIS_CODE_BYTES)
		return;
	for (size_t i = 0; i < len; i++) {
		char c = text.data[i];

		if (!(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '_')
			return;
	}
	memcpy(r->code, text.data, len);
	r->code_len = (uint8_t)len;
}

/* Of EXEC, the errors of the commands count too. */
static bool reply__heeds_errors(const struct redis_reply *r)
{
	return r->depth == 1 || (r->depth == 2 && r->kind == REDIS_EXEC);
}

/* An element is over, and with the last one what it stands in. */
static void reply__complete(struct redis_reply *r)
{
	while (r->depth) {
		uint32_t *left = &r->left[r->depth - 1];

		if (*left >= LEFT_CHUNKS || --*left)
			return;
		r->depth--;
		if (r->attributes >> r->depth & 1) {
			r->attributes &= ~(1u << r->depth);
			return; /* what the attribute belongs to is still to come */
		}
	}
}

static int reply__descend(struct redis_reply *r, uint32_t left)
{
	if (r->depth == REDIS_DEPTH)
		return -EBADMSG;
	r->left[r->depth++] = left;
	return 0;
}

/* -- lines -------------------------------------------------------------------------------- */

/*
 * Text up to "\r\n".  1: it ends there, @len bytes of text; 0: no end in sight, the first @len
 * bytes are text; -EBADMSG: it holds what a line cannot.
 */
static int line__scan(struct slice in, size_t *len)
{
	size_t at = 0;

	while (at < in.len && ((unsigned char)in.data[at] >= ' ' || in.data[at] == '\t'))
		at++;
	*len = at;
	if (at == in.len)
		return 0;
	if (in.data[at] != '\r')
		return -EBADMSG;
	if (at + 1 == in.len)
		return 0;
	return in.data[at + 1] == '\n' ? 1 : -EBADMSG;
}

static ssize_t line__rest(struct redis_reply *r, struct slice in)
{
	size_t len;
	int ended = line__scan(in, &len);

	if (ended < 0)
		return ended;
	if (!ended)
		return (ssize_t)len;
	r->in_line = false;
	reply__complete(r);
	return (ssize_t)len + 2;
}

/* Status or error: a line of any length. */
static ssize_t element__text(struct redis_reply *r, struct slice in)
{
	struct slice text = slice__skip(in, 1);
	size_t len;
	int ended = line__scan(text, &len);

	if (ended < 0)
		return ended;
	if (!ended && len < LINE_WAIT)
		return 0;
	text.len = len;
	if (in.data[0] == '-' && reply__heeds_errors(r))
		redis_reply__fail(r, text);
	if (r->depth == 1)
		r->queued = ended && slice__eq(text, SLICE("QUEUED"));
	r->in_line = !ended;
	if (!ended)
		return 1 + (ssize_t)len;
	reply__complete(r);
	return 1 + (ssize_t)len + 2;
}

static bool scalar__is_good(char type, struct slice text)
{
	switch (type) {
	case '_':
		return text.len == 0;
	case '#':
		return text.len == 1 && (text.data[0] == 't' || text.data[0] == 'f');
	case ',':
		for (size_t i = 0; i < text.len; i++) {
			if (!strchr("0123456789+-.eEinfaINFA", text.data[i]))
				return false;
		}
		return text.len > 0;
	default:
		for (size_t i = 0; i < text.len; i++) {
			bool sign = text.data[i] == '-' || text.data[i] == '+';

			if (!(sign && i == 0) && (text.data[i] < '0' || text.data[i] > '9'))
				return false;
		}
		return text.len > 0;
	}
}

/* Number, big number, double, boolean, null. */
static ssize_t element__scalar(struct redis_reply *r, struct slice in)
{
	size_t max = in.data[0] == '(' ? BIGNUM_MAX : SCALAR_MAX;
	struct slice text = slice__skip(in, 1);
	size_t len;
	int ended = line__scan(slice__head(text, max), &len);

	if (ended < 0 || (!ended && text.len >= max))
		return -EBADMSG;
	if (!ended)
		return 0;
	text.len = len;
	if (!scalar__is_good(in.data[0], text))
		return -EBADMSG;
	if (in.data[0] == '_' && r->depth == 1)
		r->nil = true;
	if (in.data[0] == ':' && r->depth == 2)
		r->integer = slice__number(text);
	reply__complete(r);
	return 1 + (ssize_t)len + 2;
}

/* -- strings ------------------------------------------------------------------------------ */

/* @line bytes of head, then @len bytes and "\r\n", of which @skip are not in @in. */
static ssize_t string__pass(struct redis_reply *r, struct slice in, ssize_t line, int64_t len,
			    uint64_t *skip)
{
	uint64_t whole = (uint64_t)len + 2;
	struct slice body = slice__skip(in, (size_t)line);

	if (!redis_string__ends(slice__skip(body, (size_t)len)))
		return -EBADMSG;
	if (body.len < whole)
		*skip = whole - body.len;
	reply__complete(r);
	return line + (ssize_t)(body.len < whole ? body.len : whole);
}

/* String, verbatim string, long error; a piece of a string in pieces. */
static ssize_t element__string(struct redis_reply *r, struct slice in, uint64_t *skip)
{
	char type = in.data[0];
	int64_t len;
	ssize_t line = redis_line__number(in, &len);
	struct slice body;

	if (line <= 0)
		return line;
	if (type == '$' && len == REDIS_STREAMED)
		return reply__descend(r, LEFT_CHUNKS) ? -EBADMSG : line;
	if (type == '$' && len == -1) {
		r->nil = r->nil || r->depth == 1;
		reply__complete(r);
		return line;
	}
	if (len < 0 || len >= REDIS_LENGTH_END)
		return -EBADMSG;
	if (type == ';' && len == 0) {
		r->left[r->depth - 1] = 1;
		reply__complete(r);
		return line;
	}
	body = slice__head(slice__skip(in, (size_t)line), (size_t)len);
	if (type == '!' && reply__heeds_errors(r)) {
		if (body.len < (size_t)len && body.len <= REDIS_CODE_BYTES)
			return 0;
		redis_reply__fail(r, body);
	}
	return string__pass(r, in, line, len, skip);
}

/* -- aggregates --------------------------------------------------------------------------- */

static ssize_t element__aggregate(struct redis_reply *r, struct slice in)
{
	char type = in.data[0];
	bool pairs = type == '%' || type == '|';
	bool attribute = type == '|' && r->depth > 1;
	int64_t count;
	ssize_t line = redis_line__number(in, &count);

	if (line <= 0)
		return line;
	if (type == '*' && count == -1) {
		r->nil = r->nil || r->depth == 1;
		count = 0;
	}
	if (count < 0 || (count >= REDIS_COUNT_END && count != REDIS_STREAMED) ||
	    (type == '>' && r->depth > 1))
		return -EBADMSG;
	if (count == 0) {
		if (!attribute)
			reply__complete(r);
		return line;
	}
	if (reply__descend(r, count == REDIS_STREAMED ? LEFT_STREAMED
						      : (uint32_t)count * (pairs ? 2 : 1)))
		return -EBADMSG;
	if (attribute)
		r->attributes |= 1u << (r->depth - 1);
	return line;
}

/* ".\r\n" ends what was streamed. */
static ssize_t element__stop(struct redis_reply *r, struct slice in)
{
	if (!slice__starts(in, slice__head(SLICE(".\r\n"), in.len)))
		return -EBADMSG;
	if (in.len < 3)
		return 0;
	r->left[r->depth - 1] = 1;
	reply__complete(r);
	return 3;
}

static ssize_t reply__element(struct redis_reply *r, struct slice in, uint64_t *skip)
{
	uint32_t left = r->left[r->depth - 1];

	if ((left == LEFT_CHUNKS) != (in.data[0] == ';'))
		return -EBADMSG;
	switch (in.data[0]) {
	case '+':
	case '-':
		return element__text(r, in);
	case ':':
	case '(':
	case ',':
	case '#':
	case '_':
		return element__scalar(r, in);
	case '$':
	case '=':
	case '!':
	case ';':
		return element__string(r, in, skip);
	case '*':
	case '~':
	case '%':
	case '|':
	case '>':
		return element__aggregate(r, in);
	case '.':
		return left == LEFT_STREAMED ? element__stop(r, in) : -EBADMSG;
	default:
		return -EBADMSG;
	}
}

ssize_t redis_reply__read(struct redis_reply *r, struct slice in, uint64_t *skip)
{
	size_t pos = 0;

	while (r->depth && pos < in.len && !*skip) {
		struct slice rest = slice__skip(in, pos);
		ssize_t len = r->in_line ? line__rest(r, rest) : reply__element(r, rest, skip);

		if (len < 0)
			return len;
		if (len == 0)
			break;
		pos += (size_t)len;
	}
	return (ssize_t)pos;
}
