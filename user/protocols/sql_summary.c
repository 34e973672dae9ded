// SPDX-License-Identifier: Apache-2.0
/*
 * db.query.summary: a walk over the tokens that knows just enough of the grammar to tell
 * operations and their targets from everything else.
 */
#include "user/protocols/sql.h"

#include "user/protocols/sql_keywords.h"
#include "user/protocols/sql_lexer.h"

#define DEPTH_MAX 64 /* deeper parentheses have no lists and no FROM of their own */

/* -- one statement -------------------------------------------------------------------------- */

enum phase {
	PHASE_VERB,   /* the next word is the statement's verb */
	PHASE_SEEK,   /* somewhere on, a verb comes */
	PHASE_KIND,   /* the kind of object comes */
	PHASE_NAME,   /* its name comes */
	PHASE_QUERY,  /* operations and targets */
	PHASE_OPAQUE, /* nothing more to be shown */
};

enum naming {
	NAMING_NONE,
	NAMING_PART, /* a part of a target's name was last */
	NAMING_DOT,  /* the dot behind it was last */
};

struct scan {
	char text[SQL_SUMMARY_MAX];
	size_t len;
	size_t mark; /* @len before the last name */
	bool full;
	enum phase phase;
	enum naming naming;
	bool expect;	 /* the next name is a target */
	bool into;	 /* so is what stands behind INTO */
	bool with;	 /* a query may follow another one in parentheses */
	bool list;	 /* the object's name may be followed by more of them */
	bool empty;	 /* no token yet */
	bool lead;	 /* a statement may start here */
	uint32_t kind;	 /* roles of the kind of object */
	uint32_t before; /* roles of the word before, 0 when it was no word */
	unsigned int depth;
	unsigned int blocks; /* BEGIN ATOMIC and CASE inside of it */
	/* By depth: */
	uint64_t from;	/* FROM names targets */
	uint64_t using; /* so does USING */
	uint64_t lists; /* a comma is followed by another target */
};

static void scan__start(struct scan *scan)
{
	memset(scan, 0, sizeof(*scan));
	scan->phase = PHASE_VERB;
	scan->empty = true;
	scan->lead = true;
}

static uint64_t scan__bit(const struct scan *scan)
{
	return scan->depth < DEPTH_MAX ? 1ULL << scan->depth : 0;
}

static void scan__set(uint64_t *bits, uint64_t bit, bool on)
{
	*bits = on ? *bits | bit : *bits & ~bit;
}

/* Adds to the summary; what does not fit as a whole is left out, with all that follows. */
static void scan__put(struct scan *scan, struct slice text, bool part)
{
	size_t space = scan->len && !part;

	if (!part)
		scan->mark = scan->len;
	if (scan->full)
		return;
	if (text.len > SQL_SUMMARY_MAX - scan->len ||
	    text.len + space > SQL_SUMMARY_MAX - scan->len) {
		scan->full = true;
		scan->len = scan->mark;
		return;
	}
	if (space)
		scan->text[scan->len++] = ' ';
	memcpy(scan->text + scan->len, text.data, text.len);
	scan->len += text.len;
}

static void scan__target(struct scan *scan, struct slice name)
{
	scan__put(scan, name, false);
	scan->naming = NAMING_PART;
	scan->expect = false;
}

static void scan__verb(struct scan *scan, struct slice word, uint32_t roles)
{
	uint64_t bit = scan__bit(scan);

	if (!(roles & VERB_HIDDEN))
		scan__put(scan, word, false);
	scan->phase = PHASE_QUERY;
	if (roles & (VERB_PREFIX | VERB_HIDDEN))
		scan->phase = PHASE_SEEK;
	else if (roles & VERB_OBJECT)
		scan->phase = PHASE_KIND;
	else if (roles & VERB_ALONE)
		scan->phase = PHASE_OPAQUE;
	scan->with |= (roles & VERB_HIDDEN) != 0;
	scan->list = roles & WORD_LIST;
	scan->expect = roles & (VERB_TARGET | VERB_UPDATE);
	scan->into = roles & (VERB_INTO | VERB_SELECT);
	scan__set(&scan->from, bit, roles & (VERB_SELECT | VERB_DELETE | VERB_UPDATE));
	scan__set(&scan->using, bit, roles & (VERB_DELETE | VERB_INTO));
	scan__set(&scan->lists, bit, scan->expect && scan->list);
}

static void scan__kind(struct scan *scan, struct slice word, uint32_t roles)
{
	if (roles & WORD_KIND) {
		scan__put(scan, word, false);
		scan->kind = roles;
		scan->phase = PHASE_NAME;
	} else if (!(roles & WORD_MODIFIER)) {
		scan->phase = PHASE_OPAQUE;
	}
}

static void scan__name(struct scan *scan, struct slice word, uint32_t roles)
{
	if (roles & WORD_SKIP)
		return;
	scan__target(scan, word);
	scan->phase = PHASE_OPAQUE;
	if (scan->list || scan->kind & WORD_QUERY)
		scan->phase = PHASE_QUERY;
	scan__set(&scan->lists, scan__bit(scan), scan->list);
}

/* A word that stands where a target is expected. */
static void scan__expected(struct scan *scan, struct slice word, uint32_t roles)
{
	bool kind = roles & WORD_KIND && scan->before & VERB_TARGET && scan->before & WORD_LIST;
	bool made = roles & WORD_MODIFIER && scan->before & WORD_INTO;

	if (roles & VERB_SELECT)
		scan__verb(scan, word, roles);
	else if (roles & WORD_VALUES)
		scan->expect = false;
	else if (kind)
		scan__put(scan, word, false);	/* TRUNCATE TABLE x */
	else if (!made && !(roles & WORD_SKIP)) /* SELECT INTO TEMP x */
		scan__target(scan, word);
}

/* Does the list of targets of a clause start here?  Only once for each verb: FROM and USING
 * have other meanings, too. */
static bool scan__clause(struct scan *scan, uint32_t roles)
{
	uint64_t bit = scan__bit(scan);
	bool from = roles & WORD_FROM && scan->from & bit && !(scan->before & WORD_DISTINCT);
	bool using = roles & WORD_USING && scan->using & bit;

	if (from)
		scan->from &= ~bit;
	if (using)
		scan->using &= ~bit;
	return from || using;
}

static void scan__query(struct scan *scan, struct slice word, uint32_t roles)
{
	if (scan->expect) {
		scan__expected(scan, word, roles);
	} else if (roles & VERB_SELECT || (roles & VERB_QUERY && scan->with && scan->lead)) {
		scan__verb(scan, word, roles);
	} else if (scan__clause(scan, roles)) {
		scan->lists |= scan__bit(scan);
		scan->expect = true;
	} else if (roles & WORD_INTO && scan->into) {
		scan->into = false;
		scan->expect = true;
	} else if (roles & WORD_JOIN) {
		scan->expect = true;
	} else if (roles & WORD_ENDS) {
		scan->lists &= ~scan__bit(scan);
	}
}

/* Statements inside of a function's body are not ours to split. */
static void scan__block(struct scan *scan, uint32_t roles)
{
	if (!(scan->kind & WORD_BODY))
		return;
	if ((roles & WORD_ATOMIC && scan->before & WORD_BEGIN) ||
	    (roles & WORD_CASE && scan->blocks))
		scan->blocks++;
	else if (roles & WORD_STOP && scan->blocks)
		scan->blocks--;
}

static void scan__word(struct scan *scan, struct slice word, uint32_t roles)
{
	if (scan->naming == NAMING_DOT) {
		scan__put(scan, word, true);
		scan->naming = NAMING_PART;
		scan->before = 0;
		return;
	}
	scan->naming = NAMING_NONE;
	switch (scan->phase) {
	case PHASE_VERB:
		scan->phase = PHASE_OPAQUE;
		if (roles & VERB_ANY)
			scan__verb(scan, word, roles);
		break;
	case PHASE_SEEK:
		if (roles & VERB_SELECT || (roles & (VERB_QUERY | VERB_HIDDEN) && scan->lead))
			scan__verb(scan, word, roles);
		break;
	case PHASE_KIND:
		scan__kind(scan, word, roles);
		break;
	case PHASE_NAME:
		scan__name(scan, word, roles);
		break;
	case PHASE_QUERY:
		scan__query(scan, word, roles);
		break;
	case PHASE_OPAQUE:
		scan__block(scan, roles);
		break;
	}
	scan->before = roles;
	scan->lead = roles & WORD_LEADS;
}

static void scan__symbol(struct scan *scan, char symbol)
{
	if (symbol == '.' && scan->naming == NAMING_PART) {
		scan__put(scan, SLICE("."), true);
		scan->naming = NAMING_DOT;
		return;
	}
	scan->naming = NAMING_NONE;
	scan->before = 0;
	scan->lead = symbol == '(' || symbol == ')';
	switch (symbol) {
	case '(':
		scan->depth++;
		scan->from &= ~scan__bit(scan);
		scan->using &= ~scan__bit(scan);
		scan->lists &= ~scan__bit(scan);
		break;
	case ')':
		scan->depth -= scan->depth > 0;
		scan->expect = false;
		break;
	case ',':
		scan->expect = scan->lists & scan__bit(scan);
		break;
	default:
		scan->expect = false;
		break;
	}
}

/* A literal or a parameter. */
static void scan__value(struct scan *scan)
{
	scan->expect = false;
	scan->naming = NAMING_NONE;
	scan->before = 0;
	scan->lead = false;
}

static void scan__token(struct scan *scan, struct sql_token token)
{
	scan->empty = false;
	switch (token.type) {
	case SQL_WORD:
		scan__word(scan, token.text, sql__roles(token.text));
		break;
	case SQL_QUOTED:
		scan__word(scan, token.text, 0);
		break;
	case SQL_SYMBOL:
		scan__symbol(scan, token.text.data[0]);
		break;
	default:
		scan__value(scan);
		break;
	}
}

/* -- all statements ------------------------------------------------------------------------- */

static void summary__add(struct sql_summary *out, const struct scan *scan, bool *mixed)
{
	if (scan->empty)
		return;
	if (out->statements++ == 0) {
		memcpy(out->text, scan->text, scan->len);
		out->len = scan->len;
	} else if (!slice__eq(slice__of(out->text, out->len), slice__of(scan->text, scan->len))) {
		*mixed = true;
	}
}

/* @mixed: the statements do not have one summary in common. */
static void summary__batch(struct sql_summary *out, bool mixed)
{
	struct slice word = SLICE("BATCH ");

	if (mixed || out->len + word.len > SQL_SUMMARY_MAX)
		out->len = 0;
	if (out->len == 0)
		word = SLICE("BATCH");
	memmove(out->text + word.len, out->text, out->len);
	memcpy(out->text, word.data, word.len);
	out->len += word.len;
}

void sql__summarise(struct slice sql, bool cut, struct sql_summary *out)
{
	struct sql_lexer lexer;
	struct sql_token token;
	struct scan scan;
	bool mixed = false;

	out->statements = 0;
	out->len = 0;
	scan__start(&scan);
	sql_lexer__init(&lexer, sql, cut);
	while ((token = sql_lexer__next(&lexer)).type != SQL_END) {
		if (token.type == SQL_SPACE || token.type == SQL_COMMENT)
			continue;
		/* the last word of a cut text may be half a word */
		if (cut && lexer.rest.len == 0 && token.type == SQL_WORD)
			break;
		if (token.type == SQL_SYMBOL && token.text.data[0] == ';' && !scan.depth &&
		    !scan.blocks) {
			summary__add(out, &scan, &mixed);
			scan__start(&scan);
			continue;
		}
		scan__token(&scan, token);
	}
	if (scan.naming == NAMING_DOT)
		scan.len = scan.mark; /* half a name */
	summary__add(out, &scan, &mixed);
	if (out->statements > 1)
		summary__batch(out, mixed);
}
