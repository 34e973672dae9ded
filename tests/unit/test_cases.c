// SPDX-License-Identifier: Apache-2.0
/*
 * Every tests/protocols/NAME/CASE.case against CASE.spans: whole, byte by byte and torn give
 * the same spans; cut short and with gaps nothing breaks and the ledger's sums agree.
 *
 * SPANLOOM_WRITE_SPANS=1 writes the .spans files instead: read them before you commit them.
 */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/replay.h"

#define SEEDS	  25
#define CASE_GLOB "tests/protocols/*/*.case"

static char *read_expected(const char *case_path)
{
	char path[512], *text = NULL;
	size_t len = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%.*s.spans", (int)strlen(case_path) - 5, case_path);
	file = fopen(path, "r");
	if (!file)
		return NULL;
	if (getdelim(&text, &len, '\0', file) < 0 && text)
		text[0] = '\0';
	fclose(file);
	return text;
}

static void write_expected(const char *case_path, const char *spans)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%.*s.spans", (int)strlen(case_path) - 5, case_path);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(spans, file);
	fclose(file);
}

static void run_same(const char *path, enum replay_mode mode, uint32_t seed, const char *expected)
{
	struct replay replay = { .path = path, .mode = mode, .seed = seed };

	assert_int_equal(replay__run(&replay), 0);
	assert_true(replay__balanced(&replay));
	assert_string_equal(replay.spans, expected);
	replay__free(&replay);
}

static void run_broken(const char *path, enum replay_mode mode, uint32_t seed)
{
	struct replay replay = { .path = path, .mode = mode, .seed = seed };

	assert_int_equal(replay__run(&replay), 0);
	assert_true(replay__balanced(&replay));
	replay__free(&replay);
}

static void test_case(void **state)
{
	const char *path = *state;
	char *expected;

	if (getenv("SPANLOOM_WRITE_SPANS")) {
		struct replay replay = { .path = path, .mode = REPLAY_WHOLE };

		assert_int_equal(replay__run(&replay), 0);
		write_expected(path, replay.spans);
		replay__free(&replay);
	}
	expected = read_expected(path);
	assert_non_null(expected);
	run_same(path, REPLAY_WHOLE, 0, expected);
	run_same(path, REPLAY_BYTES, 0, expected);
	for (uint32_t seed = 1; seed <= SEEDS; seed++) {
		run_same(path, REPLAY_TORN, seed, expected);
		run_broken(path, REPLAY_CUT, seed);
		run_broken(path, REPLAY_GAPS, seed);
	}
	free(expected);
}

int main(void)
{
	struct CMUnitTest *tests;
	glob_t cases;
	int failed;

	if (glob(CASE_GLOB, 0, NULL, &cases)) {
		fprintf(stderr, "no %s below the working directory\n", CASE_GLOB);
		return 1;
	}
	tests = calloc(cases.gl_pathc, sizeof(*tests));
	for (size_t i = 0; i < cases.gl_pathc; i++) {
		tests[i].name = cases.gl_pathv[i];
		tests[i].test_func = test_case;
		tests[i].initial_state = cases.gl_pathv[i];
	}
	failed = _cmocka_run_group_tests("cases", tests, cases.gl_pathc, NULL, NULL);
	free(tests);
	globfree(&cases);
	return failed;
}
