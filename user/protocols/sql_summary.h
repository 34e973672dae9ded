/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db.query.summary: a walk over the tokens that knows just enough of the grammar to tell
 * operations and their targets from everything else.  Only sql.c needs to know.
 */
#ifndef SPANLOOM_SQL_SUMMARY_H
#define SPANLOOM_SQL_SUMMARY_H

#include "user/protocols/sql.h"
#include "user/protocols/sql_lexer.h"

enum scan_phase {
	PHASE_VERB,   /* the next word is the statement's verb */
	PHASE_SEEK,   /* somewhere on, a verb comes */
	PHASE_KIND,   /* the kind of object comes */
	PHASE_NAME,   /* its name comes */
	PHASE_QUERY,  /* operations and targets */
	PHASE_OPAQUE, /* nothing more to be shown */
};

enum scan_naming {
	NAMING_NONE,
	NAMING_PART, /* a part of a target's name was last */
	NAMING_DOT,  /* the dot behind it was last */
};

struct sql_scan {
	size_t len;  /* of @text */
	size_t mark; /* @len before the last name */
	bool full;
	enum scan_phase phase;
	enum scan_naming naming;
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
	uint64_t from;		    /* FROM names targets */
	uint64_t using;		    /* so does USING */
	uint64_t lists;		    /* a comma is followed by another target */
	char text[SQL_SUMMARY_MAX]; /* of this statement; the last member */
};

struct sql_summariser {
	struct sql_summary *out;
	bool mixed;	      /* the statements do not have one summary in common */
	struct sql_scan scan; /* of the statement that is being read */
};

/* Borrows @out until sql_summariser__end(). */
void sql_summariser__init(struct sql_summariser *s, struct sql_summary *out);
/* The next token that is neither space nor comment. */
void sql_summariser__token(struct sql_summariser *s, const struct sql_token *token);
void sql_summariser__end(struct sql_summariser *s);

#endif
