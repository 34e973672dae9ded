/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cuts SQL text, as PostgreSQL reads it, into tokens.
 *
 * The one rule above all others: no byte of a literal ever comes out as another token, also
 * when the text is cut, is not valid, or can be read in two ways.  A backslash before a quote
 * in '...' ends the string, or does not, by a setting of the server that we do not know
 * (standard_conforming_strings); the lexer takes the reading in which the text is whole, and
 * when that does not decide, what follows is one literal to the end.
 *
 * Not supported: "..." as a string and other marks of other databases.
 */
#ifndef SPANLOOM_SQL_LEXER_H
#define SPANLOOM_SQL_LEXER_H

#include "user/base/slice.h"

enum sql_token_type {
	SQL_NONE,
	SQL_SPACE,
	SQL_COMMENT, /* with all that is nested in it */
	SQL_WORD,    /* keyword or plain identifier */
	SQL_QUOTED,  /* "identifier", quotes included */
	SQL_PARAM,   /* $1 */
	SQL_LITERAL, /* string or number, its sign and prefix included */
	SQL_SYMBOL,  /* any other byte, one at a time */
};

/* What a backslash is in a plain string. */
enum sql_reading {
	SQL_STANDARD,  /* a character */
	SQL_BACKSLASH, /* it escapes the next one */
	SQL_UNSURE,
};

struct sql_token {
	enum sql_token_type type;
	struct slice text;
};

struct sql_lexer {
	struct slice rest;
	enum sql_reading reading;
	struct sql_token token; /* the one that was read last */
	bool broken; /* so far the text cannot be valid: something was left open at its end */
};

/* @cut: @sql is the beginning of a longer text. */
void sql_lexer__init(struct sql_lexer *lexer, struct slice sql, bool cut);

/* Reads lexer->token, which points into the text.  False at the end of the text. */
bool sql_lexer__next(struct sql_lexer *lexer);

/* A byte that a word may have in it. */
bool sql__is_word(char byte);

#endif
