/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spans of a trace -> indented lines.
 */
#ifndef SPANLOOM_CONSOLE_TREE_H
#define SPANLOOM_CONSOLE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct console_span;

struct console_style {
	bool color;
	bool utf8; /* characters other than ASCII may be printed */
	bool edge; /* lines are cut at @width, for a terminal wraps them */
	unsigned int
		width; /* columns of the terminal, or what a file looks well with; 80 or more */
};

/* Sorts @spans and links them to a tree; a span whose parent is not among them stands at the
 * left.  One line for each. */
void console_tree__print(FILE *out, const struct console_style *style, struct console_span **spans,
			 size_t count);

#endif
