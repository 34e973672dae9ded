// SPDX-License-Identifier: Apache-2.0
#include "user/protocols/sql_summary.h"

#include "user/base/copy.h"
#include "user/protocols/sql_keywords.h"

#define DEPTH_MAX 64 /* deeper parentheses have no lists and no FROM of their own */

/* -- one statement -------------------------------------------------------------------------- */

static void scan__start(struct sql_scan *scan)
{
	memset(scan, 0, offsetof(struct sql_scan, text));
	scan->phase = PHASE_VERB;
	scan->empty = true;
	scan->lead = true;
}

static uint64_t scan__bit(const struct sql_scan *scan)
{
	return scan->depth < DEPTH_MAX ? 1ULL << scan->depth : 0;
}

static void scan__set(uint64_t *bits, uint64_t bit, bool on)
{
	*bits = on ? *bits | bit : *bits & ~bit;
}

/* Adds to the summary; what does not fit as a whole is left out, with all that follows. */
static void scan__put(struct sql_scan *scan, struct slice text, bool part)
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
	copy__bytes(scan->text + scan->len, text.data, text.len);
	scan->len += text.len;
}

static void scan__target(struct sql_scan *scan, struct slice name)
{
	scan__put(scan, name, false);
	scan->naming = NAMING_PART;
	scan->expect = false;
}

static void scan__verb(struct sql_scan *scan, struct slice word, uint32_t roles)
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

static void scan__kind(struct sql_scan *scan, struct slice word, uint32_t roles)
{
	if (roles & WORD_KIND) {
		scan__put(scan, word, false);
		scan->kind = roles;
		scan->phase = PHASE_NAME;
	} else if (!(roles & WORD_MODIFIER)) {
		scan->phase = PHASE_OPAQUE;
	}
}

static void scan__name(struct sql_scan *scan, struct slice word, uint32_t roles)
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
static void scan__expected(struct sql_scan *scan, struct slice word, uint32_t roles)
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
static bool scan__clause(struct sql_scan *scan, uint32_t roles)
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

static void scan__query(struct sql_scan *scan, struct slice word, uint32_t roles)
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
static void scan__block(struct sql_scan *scan, uint32_t roles)
{
	if (!(scan->kind & WORD_BODY))
		return;
	if ((roles & WORD_ATOMIC && scan->before & WORD_BEGIN) ||
	    (roles & WORD_CASE && scan->blocks))
		scan->blocks++;
	else if (roles & WORD_STOP && scan->blocks)
		scan->blocks--;
}

static void scan__word(struct sql_scan *scan, struct slice word, uint32_t roles)
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

static void scan__symbol(struct sql_scan *scan, char symbol)
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
static void scan__value(struct sql_scan *scan)
{
	scan->expect = false;
	scan->naming = NAMING_NONE;
	scan->before = 0;
	scan->lead = false;
}

static void scan__token(struct sql_scan *scan, const struct sql_token *token)
{
	scan->empty = false;
	switch (token->type) {
	case SQL_WORD:
		scan__word(scan, token->text, sql__roles(token->text));
		break;
	case SQL_QUOTED:
		scan__word(scan, token->text, 0);
		break;
	case SQL_SYMBOL:
		scan__symbol(scan, token->text.data[0]);
		break;
	default:
		scan__value(scan);
		break;
	}
}

/* -- all statements ------------------------------------------------------------------------- */

static void summary__statement(struct sql_summariser *s)
{
	struct sql_summary *out = s->out;
	const struct sql_scan *scan = &s->scan;

	if (scan->empty)
		return;
	if (out->statements++ == 0) {
		copy__bytes(out->text, scan->text, scan->len);
		out->len = scan->len;
	} else if (!slice__eq(slice__of(out->text, out->len), slice__of(scan->text, scan->len))) {
		s->mixed = true;
	}
}

/* What several statements have in common. */
static void summary__batch(struct sql_summariser *s)
{
	struct sql_summary *out = s->out;
	struct slice word = SLICE("BATCH ");

	if (s->mixed || out->len + word.len > SQL_SUMMARY_MAX)
		out->len = 0;
	if (out->len == 0)
		word = SLICE("BATCH");
	memmove(out->text + word.len, out->text, out->len);
	memcpy(out->text, word.data, word.len);
	out->len += word.len;
}

void sql_summariser__init(struct sql_summariser *s, struct sql_summary *out)
{
	out->statements = 0;
	out->len = 0;
	s->out = out;
	s->mixed = false;
	scan__start(&s->scan);
}

void sql_summariser__token(struct sql_summariser *s, const struct sql_token *token)
{
	struct sql_scan *scan = &s->scan;

	if (token->type == SQL_SYMBOL && token->text.data[0] == ';' && !scan->depth &&
	    !scan->blocks) {
		summary__statement(s);
		scan__start(scan);
		return;
	}
	scan__token(scan, token);
}

void sql_summariser__end(struct sql_summariser *s)
{
	if (s->scan.naming == NAMING_DOT)
		s->scan.len = s->scan.mark; /* half a name */
	summary__statement(s);
	if (s->out->statements > 1)
		summary__batch(s);
}
