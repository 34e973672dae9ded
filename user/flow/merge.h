/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fragments of a message -> the message.
 * in:  fragments, and what their connection remembers
 * out: fields and numbers of all of them; the fields are copies in an arena
 */
#ifndef SPANLOOM_MERGE_H
#define SPANLOOM_MERGE_H

#include <stdbool.h>

struct arena;
struct memo;
struct message;

/* Adds @from to @to, which was zeroed before the first one.  False: @text has no room for all. */
bool message__merge(struct message *to, const struct message *from, const struct memo *memo,
		    struct arena *text);

#endif
