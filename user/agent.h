/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The running agent: kernel records in, spans out, on one event loop.
 *
 *   tracer -> pipeline -> console, OTLP
 */
#ifndef SPANLOOM_AGENT_H
#define SPANLOOM_AGENT_H

#include <stdint.h>

#include "user/export/http.h"
#include "user/flow/ledger.h"
#include "user/kernel/features.h"
#include "user/kernel/tracer.h"
#include "user/options.h"

struct agent;

/* What happened to everything, for the report at the end. */
struct agent_totals {
	uint64_t kernel[COUNTERS];
	struct ledger flow;
	uint64_t in_flight; /* requests begun and not finished */
	bool console;	    /* exporter in use */
	uint64_t console_shown;
	uint64_t console_hidden;
	bool otlp;
	struct export_counts otlp_counts;
	uint64_t otlp_pending;
};

/* Loads, attaches and connects; @options and @signal_fd (user/base/signals.h) are borrowed.  On
 * failure NULL, with one line for the user in @why, which is "" where a signal came before anything
 * was attached. */
struct agent *agent__new(const struct options *options, const struct features *features,
			 int signal_fd, char *why, size_t why_len);
void agent__free(struct agent *agent);

/* Runs until a signal, which may have come before, or the end of options->duration_ns, then drains
 * and flushes.  0 or a negative errno. */
int agent__run(struct agent *agent);

void agent__totals(const struct agent *agent, struct agent_totals *totals);

#endif
