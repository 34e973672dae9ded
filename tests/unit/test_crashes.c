// SPDX-License-Identifier: Apache-2.0
/* Inputs that once broke something: tests/fuzz/crashes/TARGET/, see tests/fuzz/fuzz.h. */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/fuzz/fuzz.h"

#define CRASHES	  "tests/fuzz/crashes/*/*"
#define INPUT_MAX (1024 * 1024)

static const struct fuzz_target *target_of(const char *path)
{
	struct slice rest = slice__str(path), folder;
	char name[64];

	for (int i = 0; i < 3; i++)
		fuzz__part(&rest, '/');
	folder = fuzz__part(&rest, '/');
	snprintf(name, sizeof(name), "%.*s", (int)folder.len, folder.data);
	return fuzz__find(name);
}

static void test_input(void **state)
{
	const char *path = *state;
	const struct fuzz_target *target = target_of(path);
	FILE *file = fopen(path, "r");
	char *bytes = malloc(INPUT_MAX), *exact;
	size_t len;

	assert_non_null(target);
	assert_true(file && bytes);
	len = fread(bytes, 1, INPUT_MAX, file);
	assert_true(len < INPUT_MAX);
	fclose(file);
	exact = fuzz__copy(slice__of(bytes, len));
	target->run(slice__of(exact, len), target->proto);
	free(exact);
	free(bytes);
}

/* No input at all, which is one, too. */
static void test_empty(void **state)
{
	const struct fuzz_target *target;

	for (size_t i = 0; (target = fuzz__at(i)); i++)
		target->run(slice__of("", 0), target->proto);
}

int main(void)
{
	struct CMUnitTest *tests;
	glob_t inputs = { 0 };
	int failed;

	glob(CRASHES, 0, NULL, &inputs); /* there may be none */
	tests = calloc(1 + inputs.gl_pathc, sizeof(*tests));
	tests[0].name = "empty";
	tests[0].test_func = test_empty;
	for (size_t i = 0; i < inputs.gl_pathc; i++) {
		tests[1 + i].name = inputs.gl_pathv[i];
		tests[1 + i].test_func = test_input;
		tests[1 + i].initial_state = inputs.gl_pathv[i];
	}
	failed = _cmocka_run_group_tests("crashes", tests, 1 + inputs.gl_pathc, NULL, NULL);
	free(tests);
	globfree(&inputs);
	return failed;
}
