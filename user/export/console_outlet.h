/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text on its way to the terminal: a terminal that was stopped, or a pipe that nobody reads,
 * must not stop the agent.
 */
#ifndef SPANLOOM_CONSOLE_OUTLET_H
#define SPANLOOM_CONSOLE_OUTLET_H

#include <stdbool.h>
#include <stdio.h>

struct console_outlet {
	FILE *text; /* write here; in memory */
	FILE *out;  /* where it goes; borrowed */
	char *bytes;
	size_t len;
	size_t written; /* of @bytes, to @out */
};

/* 0 or -ENOMEM. */
int console_outlet__init(struct console_outlet *o, FILE *out);
void console_outlet__free(struct console_outlet *o);

/* Is there room for more text? */
bool console_outlet__has_room(const struct console_outlet *o);
/* Is there so much that it is time to drain? */
bool console_outlet__is_due(const struct console_outlet *o);

/* Writes as long as something is taken within @wait_ms.  1: all of it; 0: some is left; or a
 * negative errno. */
int console_outlet__drain(struct console_outlet *o, int wait_ms);

#endif
