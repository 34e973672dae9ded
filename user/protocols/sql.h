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
 * Copies @sql without its comments and with every string, number, true and false replaced by
 * "?", to @out, which has room for @sql.len bytes: the result is never longer.
 */
struct slice sql__sanitise(struct slice sql, bool cut, char *out);

/*
 * Operations and their targets in the order of the text, as written there, e.g. "SELECT songs
 * artists"; never cut inside a name.  Several statements are a batch: "BATCH x" when all have
 * the summary x, else "BATCH".  Names that are often generated (cursors, savepoints, prepared
 * statements, channels) are not targets.
 */
void sql__summarise(struct slice sql, bool cut, struct sql_summary *out);

#endif
