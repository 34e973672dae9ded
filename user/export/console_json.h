/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A span -> a JSON object on a line.
 */
#ifndef SPANLOOM_CONSOLE_JSON_H
#define SPANLOOM_CONSOLE_JSON_H

#include <stdio.h>

struct resource;
struct span;

/* The resource of the span before, already as text: many spans in a row share one. */
struct console_json {
	struct resource *resource; /* one reference */
	char *text;
};

void console_json__reset(struct console_json *j);

/* 0, -ENOMEM, or -EIO when @out refused. */
int console_json__print(struct console_json *j, FILE *out, const struct span *span);

#endif
