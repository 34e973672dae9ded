// SPDX-License-Identifier: Apache-2.0
#include "user/cli/report.h"

#include <inttypes.h>

#include "user/agent.h"

static void report__line(FILE *out, const char *part, const char *name, uint64_t count)
{
	char label[64];

	if (!count)
		return;
	snprintf(label, sizeof(label), "%s.%s", part, name);
	fprintf(out, "  %-36s %" PRIu64 "\n", label, count);
}

static bool report__sum(FILE *out, const char *name, uint64_t whole, uint64_t parts)
{
	if (whole == parts) {
		fprintf(out, "  sum %s agrees\n", name);
		return true;
	}
	fprintf(out, "  sum %s is off by %" PRId64 "\n", name, (int64_t)(whole - parts));
	return false;
}

static uint64_t report__otlp_total(const struct agent_totals *t)
{
	const struct export_counts *c = &t->otlp_counts;

	return c->exported + c->queue_full + c->rejected + c->refused + c->failed + c->too_large +
	       c->no_memory + c->shutdown + t->otlp_pending;
}

static void report__otlp(const struct agent_totals *t, FILE *out)
{
	const struct export_counts *c = &t->otlp_counts;

	report__line(out, "otlp", "exported", c->exported);
	report__line(out, "otlp", "queue_full", c->queue_full);
	report__line(out, "otlp", "rejected", c->rejected);
	report__line(out, "otlp", "refused", c->refused);
	report__line(out, "otlp", "failed", c->failed);
	report__line(out, "otlp", "too_large", c->too_large);
	report__line(out, "otlp", "no_memory", c->no_memory);
	report__line(out, "otlp", "shutdown", c->shutdown);
	report__line(out, "otlp", "pending", t->otlp_pending);
}

static bool report__sums(const struct agent_totals *t, FILE *out)
{
	const uint64_t *f = t->flow.count;
	bool agree;

	agree = report__sum(out, "kernel.records", t->kernel[COUNT_RECORDS], f[LEDGER_RECORDS]);
	agree &= report__sum(out, "flow.records", f[LEDGER_RECORDS],
			     f[LEDGER_RECORDS_CONN] + f[LEDGER_RECORDS_DATA] +
				     f[LEDGER_RECORDS_CLOSE] + f[LEDGER_RECORDS_PROCESS] +
				     f[LEDGER_RECORDS_CONTEXT] + f[LEDGER_RECORDS_MALFORMED]);
	agree &= report__sum(out, "flow.requests", f[LEDGER_REQUESTS],
			     f[LEDGER_SPANS] + f[LEDGER_QUIET] + f[LEDGER_IGNORED] +
				     f[LEDGER_EXCLUDED] + f[LEDGER_SDK] + f[LEDGER_SAMPLED_OUT] +
				     f[LEDGER_SPANS_NO_MEMORY] + f[LEDGER_REQUESTS_REFUSED] +
				     f[LEDGER_REQUESTS_ABANDONED] + t->in_flight);
	agree &= report__sum(out, "flow.spans.root", f[LEDGER_ROOTS], ledger__roots(&t->flow));
	agree &=
		report__sum(out, "flow.bytes", f[LEDGER_BYTES],
			    f[LEDGER_BYTES_PARSED] + f[LEDGER_BYTES_GAP] + f[LEDGER_BYTES_DROPPED]);
	if (t->otlp)
		agree &= report__sum(out, "otlp.spans", f[LEDGER_SPANS], report__otlp_total(t));
	if (t->console)
		agree &= report__sum(out, "console.spans", f[LEDGER_SPANS],
				     t->console_shown + t->console_hidden);
	return agree;
}

bool report__print(const struct agent_totals *t, FILE *out)
{
	fprintf(out, "spanloom: ledger\n");
	for (int i = 0; i < COUNTERS; i++)
		report__line(out, "kernel", tracer__counter_name(i), t->kernel[i]);
	for (int i = 0; i < LEDGER_ENTRIES; i++)
		report__line(out, "flow", ledger__name(i), t->flow.count[i]);
	report__line(out, "flow", "requests.in_flight", t->in_flight);
	if (t->console) {
		report__line(out, "console", "shown", t->console_shown);
		report__line(out, "console", "hidden", t->console_hidden);
	}
	if (t->otlp)
		report__otlp(t, out);
	return report__sums(t, out);
}
