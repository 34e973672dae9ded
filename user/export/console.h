/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spans -> the terminal: each trace as an indented tree, or a JSON object a line.
 *
 * A tree is for reading: 20 traces a second are shown, those with errors first, and a line
 * tells how many were not.  JSON is complete.  An output that takes nothing is not waited for:
 * spans beyond 4 MiB are hidden.  One that fails is given up, with one warning.
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
/* Finishes all traces, also those that might still grow. */
void console__flush(struct console *c);

/* Every span given is counted in one of these, or still waits: spans shown, and spans not
 * shown because there were too many or because the output failed. */
uint64_t console__shown(const struct console *c);
uint64_t console__hidden(const struct console *c);

#endif
