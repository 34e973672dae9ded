// SPDX-License-Identifier: Apache-2.0
/*
 * spanloom check: can it run here, how would it see sockets, what is missing and why.
 */
#include "user/cli/cli.h"

#include <argp.h>
#include <jansson.h>

#include "user/base/slice.h"
#include "user/kernel/features.h"

static const struct argp_option option_table[] = {
	{ "json", CLI_JSON, NULL, 0, "Print one JSON object instead of a table", 0 },
	{ 0 },
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	return cli__option(key, arg, state, "--json", state->input);
}

static const struct argp argp = {
	.options = option_table,
	.parser = parse_option,
	.doc = "Says whether spanloom can run here: kernel, privileges, hooks, and what each "
	       "missing piece means.  Changes nothing, needs no root to tell what is missing.\v"
	       "Exit status: 0 when spanloom can run, else 1.",
};

static json_t *feature_json(const struct feature *feature)
{
	return json_pack("{s:s, s:b, s:b, s:b, s:s, s:s?, s:s?}", "name", feature->name, "tried",
			 feature->tried, "on", feature->on, "required", feature->required, "detail",
			 feature->detail, "consequence", feature->consequence, "remedy",
			 feature->remedy);
}

/* "A, B" as an array of strings. */
static json_t *words_json(const char *text)
{
	struct slice rest = slice__str(text);
	json_t *words = json_array();
	int err = 0;

	while (rest.len && !err) {
		struct slice word = slice__head(rest, slice__find(rest, ','));

		rest = slice__skip(rest, word.len + 1);
		word = slice__trim(word);
		err = json_array_append_new(words, json_stringn(word.data, word.len));
	}
	if (!err)
		return words;
	json_decref(words);
	return NULL;
}

/* NULL when the memory is short; jansson lets a NULL value fail the call that takes it. */
static json_t *report_json(const struct features *f, const char *blocker)
{
	json_t *list = json_array();
	json_t *report;
	int err = 0;

	for (int id = 0; id < FEATURES; id++)
		err |= json_array_append_new(list, feature_json(&f->feature[id]));
	report = json_pack("{s:s, s:b, s:s?, s:s, s:s, s:o, s:s, s:s, s:o}", "version",
			   SPANLOOM_VERSION, "can_run", !blocker, "blocker", blocker, "kernel",
			   f->kernel, "lockdown", f->lockdown, "missing_capabilities",
			   words_json(f->capabilities), "hook_family", hook_family__name(f->family),
			   "hook_family_reason", f->family_reason, "features", list);
	if (!err)
		return report;
	json_decref(report);
	return NULL;
}

static bool print_json(const struct features *f, const char *blocker)
{
	json_t *report = report_json(f, blocker);
	int err = -1;

	if (report)
		err = json_dumpf(report, stdout, JSON_INDENT(2));
	json_decref(report);
	if (err)
		fputs("error check: JSON report: out of memory or stdout is closed\n", stderr);
	else
		putchar('\n');
	return !err;
}

static void print_feature(const struct feature *feature, bool colours)
{
	const char *plain = cli__colour(colours, CLI_PLAIN);
	enum cli_colour colour = CLI_GREEN;
	const char *state = "ok";

	if (!feature->tried) {
		state = "?";
		colour = CLI_DIM;
	} else if (!feature->on) {
		state = feature->required ? "NO" : "off";
		colour = feature->required ? CLI_RED : feature->remedy ? CLI_YELLOW : CLI_DIM;
	}
	printf("  %s%-3s%s  %-22s  %s\n", cli__colour(colours, colour), state, plain, feature->name,
	       feature->detail);
	if (feature->consequence)
		printf("%31s%sconsequence: %s%s\n", "", cli__colour(colours, CLI_DIM),
		       feature->consequence, plain);
	if (feature->remedy)
		printf("%31s%sremedy: %s%s\n", "", cli__colour(colours, CLI_DIM), feature->remedy,
		       plain);
}

static void print_capabilities(const struct features *f, bool colours)
{
	const char *dim = cli__colour(colours, CLI_DIM), *plain = cli__colour(colours, CLI_PLAIN);

	if (!f->capabilities[0]) {
		printf("  capabilities  all that are needed\n");
		return;
	}
	printf("  capabilities  %smissing: %s%s\n", cli__colour(colours, CLI_YELLOW),
	       f->capabilities, plain);
	if (!f->feature[FEATURE_ROOT].on) /* that is what matters, and it says so */
		return;
	if (strstr(f->capabilities, "CAP_SYS_PTRACE") ||
	    strstr(f->capabilities, "CAP_DAC_READ_SEARCH"))
		printf("%16s%sconsequence: services of other users go by their command names%s\n",
		       "", dim, plain);
	printf("%16s%sremedy: run as root (sudo), or grant them%s\n", "", dim, plain);
}

static void print_report(const struct features *f, const char *blocker)
{
	bool colours = cli__colours(stdout);
	const char *bold = cli__colour(colours, CLI_BOLD);
	const char *plain = cli__colour(colours, CLI_PLAIN);

	printf("%sspanloom %s%s on Linux %s\n\n", bold, SPANLOOM_VERSION, plain, f->kernel);
	printf("  hooks         %s%s%s: %s\n", bold, hook_family__name(f->family), plain,
	       f->family_reason);
	printf("  lockdown      %s%s\n", f->lockdown,
	       strcmp(f->lockdown, "unknown") ? "" : " (/sys/kernel/security cannot be read)");
	print_capabilities(f, colours);
	putchar('\n');
	for (int id = 0; id < FEATURES; id++)
		print_feature(&f->feature[id], colours);
	if (blocker)
		printf("\n%sspanloom cannot run:%s %s\n", cli__colour(colours, CLI_RED), plain,
		       blocker);
	else
		printf("\n%sspanloom can run%s\n", cli__colour(colours, CLI_GREEN), plain);
}

int cli__check(int argc, char **argv)
{
	struct features features;
	char line[512];
	const char *blocker = NULL;
	bool json = false;

	argp_parse(&argp, argc, argv, 0, NULL, &json);
	features__probe(&features);
	if (features__blocker(&features, line, sizeof(line)))
		blocker = line;
	if (!json)
		print_report(&features, blocker);
	else if (!print_json(&features, blocker))
		return 1;
	return blocker ? 1 : 0;
}
