/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQL text as spans may show it (db.query.text, db.query.summary).  Pure, and linear in the
 * length of the text.
 *
 * @cut says that the text is only the beginning of what was sent.
 */
#ifndef SPANLOOM_SQL_H
#define SPANLOOM_SQL_H

#include "user/base/slice.h"

#define SQL_SUMMARY_MAX 255

struct sql_summary {
	size_t statements; /* that are not empty */
	size_t len;	   /* of @text; 0 when there is nothing to be said */
	char text[SQL_SUMMARY_MAX];
};

/*
 * Reads @sql once.
 *
 * @text, unless it is NULL, gets the text without its comments and with every string, number,
 * true and false replaced by "?".  It has room for @sql.len bytes: the result, which is
 * returned, is never longer.
 *
 * @summary, unless it is NULL, gets operations and their targets in the order of the text, as
 * written there, e.g. "SELECT songs artists"; never cut inside a name.  Several statements are
 * a batch: "BATCH x" when all have the summary x, else "BATCH".  Names that are often
 * generated (cursors, savepoints, prepared statements, channels) are not targets.
 */
struct slice sql__read(struct slice sql, bool cut, char *text, struct sql_summary *summary);

/*
 * @sql with each number that is digits and nothing else replaced by "0", at @shape, which has @room
 * bytes: sql__read() makes the same of both.  @sql as it is when it is longer, or has identifiers in
 * quotes, whose digits are shown.
 */
struct slice sql__shape(struct slice sql, char *shape, size_t room);

#endif
