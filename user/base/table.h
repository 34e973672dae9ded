/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of text for people: columns as wide as their widest cell.  Cells are ASCII.
 */
#ifndef SPANLOOM_TABLE_H
#define SPANLOOM_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define TABLE_COLUMNS 8

struct table {
	unsigned int columns;
	unsigned int right; /* bit N: column N holds numbers, aligned to the right */
	char **cells;	    /* rows * columns, owned */
	size_t rows;
	size_t capacity; /* rows that @cells has room for */
	bool failed;	 /* memory was short; table__print() tells */
};

/* @columns is at most TABLE_COLUMNS. */
void table__init(struct table *t, unsigned int columns, unsigned int right);
void table__reset(struct table *t);

/* Adds a row of t->columns cells, which are copied. */
void table__row(struct table *t, const char *const *cells);

/* The first row stands between @head and @head_end (escape sequences, or "").  Two spaces before
 * every column; none at the end of a line; a column without any text is left out.  0 or -ENOMEM, and nothing is printed. */
int table__print(const struct table *t, FILE *out, const char *head, const char *head_end);

#endif
