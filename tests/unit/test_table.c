// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "user/base/table.h"

static char *printed(struct table *t, const char *head, const char *head_end)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	assert_int_equal(table__print(t, out, head, head_end), 0);
	fclose(out);
	return text;
}

static void test_alignment(void **state)
{
	struct table t;
	char *text;

	table__init(&t, 3, 1u << 1);
	table__row(&t, (const char *[]){ "PROGRAM", "HITS", "TARGET" });
	table__row(&t, (const char *[]){ "a", "1234567", "x" });
	table__row(&t, (const char *[]){ "a_long_name", "1", "" });
	text = printed(&t, "<", ">");
	assert_string_equal(text, "<  PROGRAM         HITS  TARGET>\n"
				  "  a            1234567  x\n"
				  "  a_long_name        1\n");
	free(text);
	table__reset(&t);
}

static void test_empty_column(void **state)
{
	struct table t;
	char *text;

	table__init(&t, 3, 1u << 1);
	table__row(&t, (const char *[]){ "A", "", "C" });
	table__row(&t, (const char *[]){ "1", "", "3" });
	text = printed(&t, "", "");
	assert_string_equal(text, "  A  C\n  1  3\n");
	free(text);
	table__reset(&t);
}

static void test_many_rows(void **state)
{
	struct table t;
	size_t lines = 0;
	char *text;

	table__init(&t, 1, 0);
	for (int i = 0; i < 1000; i++)
		table__row(&t, (const char *[]){ "row" });
	text = printed(&t, "", "");
	for (const char *at = text; *at; at++)
		lines += *at == '\n';
	assert_int_equal(lines, 1000);
	free(text);
	table__reset(&t);
	table__reset(&t); /* legal twice */
	assert_int_equal(t.rows, 0);
}

static void test_no_rows(void **state)
{
	struct table t;
	char *text;

	table__init(&t, 2, 0);
	text = printed(&t, "<", ">");
	assert_string_equal(text, "");
	free(text);
	table__reset(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alignment),
		cmocka_unit_test(test_empty_column),
		cmocka_unit_test(test_many_rows),
		cmocka_unit_test(test_no_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
