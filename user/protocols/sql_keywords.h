/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a word means to the summary of a statement.
 */
#ifndef SPANLOOM_SQL_KEYWORDS_H
#define SPANLOOM_SQL_KEYWORDS_H

#include "user/base/slice.h"

enum sql_role {
	/* What a statement may begin with. */
	VERB_ALONE = 1 << 0,  /* nothing else of the statement is shown */
	VERB_PREFIX = 1 << 1, /* another verb follows: EXPLAIN SELECT */
	VERB_HIDDEN = 1 << 2, /* likewise, and is itself not shown: WITH */
	VERB_OBJECT = 1 << 3, /* a kind of object and its name follow: DROP TABLE x */
	VERB_TARGET = 1 << 4, /* a name follows: CALL x */
	/* What a query has, WITH and EXPLAIN in front of it or not. */
	VERB_SELECT = 1 << 5, /* also in the midst of a statement, wherever it stands */
	VERB_INTO = 1 << 6,   /* its target stands behind INTO */
	VERB_DELETE = 1 << 7, /* its target stands behind FROM, more behind USING */
	VERB_UPDATE = 1 << 8, /* its target follows, more behind FROM */
	/* What it goes on with. */
	WORD_FROM = 1 << 9,
	WORD_JOIN = 1 << 10,
	WORD_INTO = 1 << 11,
	WORD_USING = 1 << 12,
	WORD_VALUES = 1 << 13,
	WORD_DISTINCT = 1 << 14,
	WORD_ENDS = 1 << 15,	 /* no more targets in this list */
	WORD_LEADS = 1 << 16,	 /* a query may follow */
	WORD_LIST = 1 << 17,	 /* a verb that takes several targets */
	WORD_KIND = 1 << 18,	 /* of object */
	WORD_MODIFIER = 1 << 19, /* may stand before the kind of object */
	WORD_SKIP = 1 << 20,	 /* may stand before a name */
	WORD_QUERY = 1 << 21,	 /* a kind of object that may be made by a query */
	WORD_BODY = 1 << 22,	 /* a kind of object with statements in it */
	/* What can be in such a body. */
	WORD_BEGIN = 1 << 23,
	WORD_ATOMIC = 1 << 24,
	WORD_CASE = 1 << 25,
	WORD_STOP = 1 << 26,
};

#define VERB_QUERY (VERB_SELECT | VERB_INTO | VERB_DELETE | VERB_UPDATE)
#define VERB_ANY   (VERB_ALONE | VERB_PREFIX | VERB_HIDDEN | VERB_OBJECT | VERB_TARGET | VERB_QUERY)

/* enum sql_role bits; 0 for a word that means nothing. */
uint32_t sql__roles(struct slice word);

#endif
