// SPDX-License-Identifier: Apache-2.0
#include "user/protocols/sql_lexer.h"

enum byte_class {
	BYTE_SPACE = 1 << 0,
	BYTE_DIGIT = 1 << 1,
	BYTE_START = 1 << 2, /* of a word */
	BYTE_WORD = 1 << 3,  /* in a word */
};

#define START (BYTE_START | BYTE_WORD)
#define DIGIT (BYTE_DIGIT | BYTE_WORD)

static const uint8_t classes[256] = {
	['\t' ... '\r'] = BYTE_SPACE, [' '] = BYTE_SPACE,      ['$'] = BYTE_WORD,
	['0' ... '9'] = DIGIT,	      ['A' ... 'Z'] = START,   ['_'] = START,
	['a' ... 'z'] = START,	      [0x80 ... 0xff] = START,
};

static bool is(char c, enum byte_class class)
{
	return classes[(unsigned char)c] & class;
}

static bool is_digit(char c)
{
	return is(c, BYTE_DIGIT);
}

static bool is_space(char c)
{
	return is(c, BYTE_SPACE);
}

static bool is_word_start(char c)
{
	return is(c, BYTE_START);
}

bool sql__is_word(char c)
{
	return is(c, BYTE_WORD);
}

/* The byte at @i, '\0' past the end. */
static char peek(struct slice in, size_t i)
{
	return i < in.len ? in.data[i] : '\0';
}

/* -- each kind of token: its length at the head of @in -------------------------------------- */

static size_t run_len(struct slice in, enum byte_class class)
{
	size_t i = 0;

	while (i < in.len && is(in.data[i], class))
		i++;
	return i;
}

/* To the end of the line, which is not part of it. */
static size_t line_comment_len(struct slice in)
{
	size_t i = 2;

	while (i < in.len && in.data[i] != '\n' && in.data[i] != '\r')
		i++;
	return i;
}

static size_t block_comment_len(struct slice in, bool *open)
{
	size_t depth = 1;
	size_t i = 2;

	for (; i < in.len && depth; i++) {
		char next = peek(in, i + 1);

		if (in.data[i] == '/' && next == '*') {
			depth++;
			i++;
		} else if (in.data[i] == '*' && next == '/') {
			depth--;
			i++;
		}
	}
	*open |= depth > 0;
	return i < in.len ? i : in.len;
}

/* From the opening quote at @at to behind the closing one. */
static size_t quote_end(struct slice in, size_t at, enum sql_reading reading, bool *open)
{
	char quote = in.data[at];

	for (size_t i = at + 1; i < in.len; i++) {
		char next = peek(in, i + 1);

		if (in.data[i] == '\\' && reading == SQL_BACKSLASH) {
			i++;
		} else if (in.data[i] == '\\' && reading == SQL_UNSURE) {
			/* two are the same in both readings: nothing, or an escape of nothing */
			if (next == quote)
				break;
			i += next == '\\';
		} else if (in.data[i] == quote && next == quote) {
			i++;
		} else if (in.data[i] == quote) {
			return i + 1;
		}
	}
	*open = true;
	return in.len;
}

/* Where a string goes on that was closed at @at: behind space with a line's end in it, and
 * comments to the end of a line, another quote continues it.  0: it does not. */
static size_t continuation(struct slice in, size_t at)
{
	bool new_line = false;

	while (at < in.len) {
		if (peek(in, at) == '-' && peek(in, at + 1) == '-') {
			at += line_comment_len(slice__skip(in, at));
			continue;
		}
		if (!is_space(in.data[at]))
			break;
		new_line |= in.data[at] == '\n' || in.data[at] == '\r';
		at++;
	}
	return new_line && peek(in, at) == '\'' ? at : 0;
}

/* @at: of the opening quote, behind a prefix if there is one. */
static size_t string_len(struct slice in, size_t at, enum sql_reading reading, bool *open)
{
	size_t end;

	do {
		end = quote_end(in, at, reading, open);
		at = continuation(in, end);
	} while (at);
	return end;
}

/* $tag$ ... $tag$; 0 when there is none at the head of @in. */
static size_t dollar_len(struct slice in, bool *open)
{
	struct slice body, mark;
	size_t i = 1;

	if (is_word_start(peek(in, i)))
		while (i < in.len && is(in.data[i], BYTE_WORD) && in.data[i] != '$')
			i++;
	if (i == in.len) {
		/* cut in the opening mark */
		*open = true;
		return in.len;
	}
	if (in.data[i] != '$')
		return 0;
	mark = slice__head(in, i + 1);
	body = slice__skip(in, mark.len);
	i = slice__search(body, mark);
	*open |= i == body.len;
	return i == body.len ? in.len : mark.len + i + mark.len;
}

/* Digits and all that hangs on to them, up to a string in dollars: what starts as a number never
 * ends as a word. */
static size_t number_len(struct slice in, size_t at)
{
	bool hex = peek(in, at) == '0' && (peek(in, at + 1) | 0x20) == 'x';
	bool open = false;

	if (!hex) /* most are digits and nothing else */
		at += run_len(slice__skip(in, at), BYTE_DIGIT);
	for (; at < in.len; at++) {
		char c = in.data[at];
		char next = peek(in, at + 1);

		if (!is(c, BYTE_WORD) && c != '.')
			break;
		if (c == '$' && dollar_len(slice__skip(in, at), &open))
			break;
		if ((c | 0x20) == 'e' && !hex && (next == '+' || next == '-') &&
		    is_digit(peek(in, at + 2)))
			at++;
	}
	return at;
}

/* -- what is at the head -------------------------------------------------------------------- */

/* Bytes of the prefix of a string or identifier, before its quote; @in starts with a letter. */
static size_t prefix_len(struct slice in)
{
	char next = peek(in, 1);

	if (next != '\'' && next != '&')
		return 0;
	switch (in.data[0] | 0x20) {
	case 'e':
	case 'b':
	case 'x':
	case 'n':
		return next == '\'' ? 1 : 0;
	case 'u':
		return next == '&' && (peek(in, 2) == '\'' || peek(in, 2) == '"') ? 2 : 0;
	}
	return 0;
}

/* A sign belongs to the number behind it, but where it clearly joins two values. */
static bool is_signed_number(const struct sql_lexer *lexer, struct slice in)
{
	char before;

	if (!is_digit(peek(in, 1)) && !(peek(in, 1) == '.' && is_digit(peek(in, 2))))
		return false;
	switch (lexer->token.type) {
	case SQL_WORD:
	case SQL_QUOTED:
	case SQL_PARAM:
		return false;
	case SQL_SYMBOL:
		before = lexer->token.text.data[0];
		return before != ')' && before != ']';
	default:
		return true;
	}
}

/* The next @len bytes are a token. */
static bool take(struct sql_lexer *lexer, enum sql_token_type type, size_t len)
{
	lexer->token.type = type;
	lexer->token.text = slice__head(lexer->rest, len);
	lexer->rest = slice__skip(lexer->rest, len);
	return true;
}

/* A quoted thing whose quote is at @at. */
static bool take_quoted(struct sql_lexer *lexer, size_t at)
{
	enum sql_reading reading = lexer->reading;
	struct slice in = lexer->rest;
	bool open = false;
	size_t len;

	if (in.data[at] == '"') {
		len = quote_end(in, at, SQL_STANDARD, &open);
		lexer->broken |= open;
		return take(lexer, open ? SQL_LITERAL : SQL_QUOTED, len);
	}
	if (at == 1 && (in.data[0] | 0x20) == 'e')
		reading = SQL_BACKSLASH;
	len = string_len(in, at, reading, &open);
	lexer->broken |= open;
	return take(lexer, SQL_LITERAL, len);
}

static bool take_dollar(struct sql_lexer *lexer)
{
	struct slice in = lexer->rest;
	size_t len = 1;

	if (!is_digit(peek(in, 1))) {
		len = dollar_len(in, &lexer->broken);
		return len ? take(lexer, SQL_LITERAL, len) : take(lexer, SQL_SYMBOL, 1);
	}
	while (is_digit(peek(in, len)))
		len++;
	return take(lexer, SQL_PARAM, len);
}

static bool take_symbol(struct sql_lexer *lexer)
{
	struct slice in = lexer->rest;
	char c = in.data[0];
	char next = peek(in, 1);

	if (c == '-' && next == '-')
		return take(lexer, SQL_COMMENT, line_comment_len(in));
	if (c == '/' && next == '*')
		return take(lexer, SQL_COMMENT, block_comment_len(in, &lexer->broken));
	if (c == '.' && is_digit(next))
		return take(lexer, SQL_LITERAL, number_len(in, 0));
	if ((c == '-' || c == '+') && is_signed_number(lexer, in))
		return take(lexer, SQL_LITERAL, number_len(in, 1));
	/* no operator has one: a string was left too early */
	lexer->broken |= c == '\\';
	return take(lexer, SQL_SYMBOL, 1);
}

/* What a text has fewer of than words and the space between them: apart, so that those need no
 * registers to be saved. */
static __attribute__((noinline)) bool take_other(struct sql_lexer *lexer)
{
	char c = lexer->rest.data[0];

	if (is_digit(c))
		return take(lexer, SQL_LITERAL, number_len(lexer->rest, 0));
	if (c == '$')
		return take_dollar(lexer);
	if (c == '\'' || c == '"')
		return take_quoted(lexer, 0);
	if (is_word_start(c))
		return take_quoted(lexer, prefix_len(lexer->rest));
	return take_symbol(lexer);
}

bool sql_lexer__next(struct sql_lexer *lexer)
{
	struct slice in = lexer->rest;

	if (in.len == 0)
		return false;
	if (is_space(in.data[0]))
		return take(lexer, SQL_SPACE, run_len(in, BYTE_SPACE));
	if (is_word_start(in.data[0]) && !prefix_len(in))
		return take(lexer, SQL_WORD, run_len(in, BYTE_WORD));
	return take_other(lexer);
}

/* Does @sql end with nothing left open when it is read like this? */
static bool is_whole(struct slice sql, enum sql_reading reading)
{
	struct sql_lexer lexer = { .rest = sql, .reading = reading };

	while (sql_lexer__next(&lexer))
		;
	return !lexer.broken;
}

static enum sql_reading choose(struct slice sql, bool cut)
{
	bool standard;

	/* without a backslash, or none before a quote, both readings are the same */
	if (slice__find(sql, '\\') == sql.len || slice__search(sql, SLICE("\\'")) == sql.len)
		return SQL_STANDARD;
	if (cut)
		return SQL_UNSURE;
	standard = is_whole(sql, SQL_STANDARD);
	if (standard == is_whole(sql, SQL_BACKSLASH))
		return SQL_UNSURE;
	return standard ? SQL_STANDARD : SQL_BACKSLASH;
}

void sql_lexer__init(struct sql_lexer *lexer, struct slice sql, bool cut)
{
	*lexer = (struct sql_lexer){ .rest = sql, .reading = choose(sql, cut) };
}
