/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the terminal shows of a span: copied, bounded, and safe to print.
 */
#ifndef SPANLOOM_CONSOLE_SPAN_H
#define SPANLOOM_CONSOLE_SPAN_H

#include <stdbool.h>
#include <stdint.h>

#include "user/flow/span.h"

/* All text is UTF-8 without control characters and without marks that reorder text. */
struct console_span {
	uint8_t span_id[8];
	uint8_t parent_id[8]; /* all zero: a root */
	enum span_kind kind;
	bool failed;
	bool refused; /* the server said no, which is no fault of its own: 4xx */
	uint64_t start_unix_ns;
	uint64_t duration_ns;
	char service[64];
	char name[96];
	char detail[192]; /* the path, or the query; "" when the name says it all */
	char result[48];  /* status, error or both */
	char peer[96];	  /* who was called, or who called; "" when unknown */
	/* for console_tree__print() */
	struct console_span *parent;
	struct console_span *child;
	struct console_span *last_child;
	struct console_span *sibling;
	struct console_span *next; /* of the trace, in order of arrival */
};

void console_span__init(struct console_span *out, const struct span *span);

#endif
