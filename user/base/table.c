// SPDX-License-Identifier: Apache-2.0
#include "user/base/table.h"

#include <errno.h>
#include <string.h>

#define GAP "  "

void table__init(struct table *t, unsigned int columns, unsigned int right)
{
	memset(t, 0, sizeof(*t));
	t->columns = columns < TABLE_COLUMNS ? columns : TABLE_COLUMNS;
	t->right = right;
}

void table__reset(struct table *t)
{
	for (size_t i = 0; i < t->rows * t->columns; i++)
		free(t->cells[i]);
	free(t->cells);
	table__init(t, t->columns, t->right);
}

static bool reserve(struct table *t)
{
	size_t capacity = t->capacity ? t->capacity * 2 : 16;
	char **cells;

	if (t->rows < t->capacity)
		return true;
	cells = reallocarray(t->cells, capacity * t->columns, sizeof(*cells));
	if (!cells)
		return false;
	t->cells = cells;
	t->capacity = capacity;
	return true;
}

void table__row(struct table *t, const char *const *cells)
{
	char **row;

	if (t->failed || !reserve(t)) {
		t->failed = true;
		return;
	}
	row = t->cells + t->rows++ * t->columns;
	for (unsigned int i = 0; i < t->columns; i++) {
		row[i] = strdup(cells[i]);
		if (!row[i])
			t->failed = true;
	}
}

static size_t width(const struct table *t, unsigned int column)
{
	size_t widest = 0;

	for (size_t row = 0; row < t->rows; row++) {
		size_t len = strlen(t->cells[row * t->columns + column]);

		if (len > widest)
			widest = len;
	}
	return widest;
}

static void print_row(const struct table *t, size_t row, const size_t *widths, FILE *out)
{
	char *const *cells = t->cells + row * t->columns;
	unsigned int last = t->columns;

	while (last > 0 && !cells[last - 1][0])
		last--;
	for (unsigned int i = 0; i < last; i++) {
		int room = (int)widths[i];

		if (!room) /* nothing in the whole column */
			continue;
		if (t->right & 1u << i)
			fprintf(out, GAP "%*s", room, cells[i]);
		else if (i + 1 < last)
			fprintf(out, GAP "%-*s", room, cells[i]);
		else
			fprintf(out, GAP "%s", cells[i]);
	}
}

int table__print(const struct table *t, FILE *out, const char *head, const char *head_end)
{
	size_t widths[TABLE_COLUMNS];

	if (t->failed)
		return -ENOMEM;
	for (unsigned int i = 0; i < t->columns; i++)
		widths[i] = width(t, i);
	for (size_t row = 0; row < t->rows; row++) {
		fputs(row == 0 ? head : "", out);
		print_row(t, row, widths, out);
		fputs(row == 0 ? head_end : "", out);
		fputc('\n', out);
	}
	return 0;
}
