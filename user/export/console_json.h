/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A span -> a JSON object on a line.
 */
#ifndef SPANLOOM_CONSOLE_JSON_H
#define SPANLOOM_CONSOLE_JSON_H

#include <stdio.h>

struct resource;
struct span;

struct console_json {
	/* The resource of the span before, already as text: many spans in a row share one. */
	struct resource *resource; /* one reference */
	char *text;
	/* Memory for a span's text. */
	char *line;
	size_t room;
};

void console_json__reset(struct console_json *j);

/* 0, -ENOMEM and nothing was written, or -EIO when @out refused. */
int console_json__print(struct console_json *j, FILE *out, const struct span *span);

#endif
