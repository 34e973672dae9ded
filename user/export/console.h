/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spans -> the terminal: each trace as an indented tree, or a JSON object a line.
 */
#ifndef SPANLOOM_CONSOLE_H
#define SPANLOOM_CONSOLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "user/options.h"

struct console;
struct span;

/* @out is borrowed.  @color: escape sequences allowed.  NULL: no memory. */
struct console *console__new(FILE *out, enum console_format format, bool color);
void console__free(struct console *c);

/* Borrows @span during the call. */
void console__span(struct console *c, const struct span *span);

/* Prints the traces that are complete or have waited long enough; call it about ten times a
 * second with CLOCK_MONOTONIC. */
void console__tick(struct console *c, uint64_t now_ns);
/* Prints all. */
void console__flush(struct console *c);

/* Spans shown, and spans not shown because there were too many a second. */
uint64_t console__shown(const struct console *c);
uint64_t console__hidden(const struct console *c);

#endif
