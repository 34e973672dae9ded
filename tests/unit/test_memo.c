// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "user/flow/memo.h"

static void define(struct memo *memo, char space, const char *key, const char *value)
{
	struct memo_edit edit = {
		.op = MEMO_DEFINE,
		.space = space,
		.key = slice__str(key),
		.value = slice__str(value),
	};

	memo__edit(memo, &edit);
}

static void alias(struct memo *memo, const char *portal, const char *statement)
{
	struct memo_edit edit = {
		.op = MEMO_ALIAS,
		.space = 'p',
		.key = slice__str(portal),
		.value_space = 's',
		.value = slice__str(statement),
	};

	memo__edit(memo, &edit);
}

static void expect(const struct memo *memo, char space, const char *key, const char *value)
{
	assert_true(slice__eq(memo__recall(memo, space, slice__str(key)), slice__str(value)));
}

static void test_trim_forgets_the_oldest(void **state)
{
	struct memo memo = { 0 };

	define(&memo, 's', "one", "SELECT 1");
	define(&memo, 's', "two", "SELECT 2");
	memo__trim(&memo, memo.bytes - 1);
	expect(&memo, 's', "one", "");
	expect(&memo, 's', "two", "SELECT 2");
	memo__trim(&memo, 0);
	assert_int_equal(memo.count, 0);
	assert_int_equal(memo.evicted, 2);
}

static void test_define_alias_forget(void **state)
{
	struct memo_edit forget = { .op = MEMO_FORGET, .space = 's', .key = SLICE("one") };
	struct memo memo = { 0 };

	define(&memo, 's', "one", "SELECT 1");
	define(&memo, 's', "", "SELECT unnamed");
	alias(&memo, "", "one");
	expect(&memo, 's', "one", "SELECT 1");
	expect(&memo, 'p', "", "SELECT 1");
	expect(&memo, 's', "", "SELECT unnamed");
	define(&memo, 's', "one", "SELECT 2");
	expect(&memo, 's', "one", "SELECT 2");
	expect(&memo, 'p', "", "SELECT 1"); /* bound before */
	memo__edit(&memo, &forget);
	expect(&memo, 's', "one", "");
	alias(&memo, "", "unknown");
	expect(&memo, 'p', "", "");
	memo__reset(&memo);
	assert_int_equal(memo.count, 0);
	assert_int_equal(memo.bytes, 0);
}

static void test_alias_of_itself(void **state)
{
	struct memo_edit edit = {
		.op = MEMO_ALIAS,
		.space = 's',
		.key = SLICE("a"),
		.value_space = 's',
		.value = SLICE("a"),
	};
	struct memo memo = { 0 };

	define(&memo, 's', "a", "text");
	memo__edit(&memo, &edit);
	expect(&memo, 's', "a", "text");
	assert_int_equal(memo.count, 1);
	memo__reset(&memo);
}

static void test_oldest_are_forgotten(void **state)
{
	struct memo memo = { 0 };
	char key[32];

	for (int i = 0; i < MEMO_ENTRIES_MAX + 10; i++) {
		snprintf(key, sizeof(key), "s%d", i);
		define(&memo, 's', key, "SELECT 1");
	}
	assert_int_equal(memo.count, MEMO_ENTRIES_MAX);
	assert_int_equal(memo.evicted, 10);
	expect(&memo, 's', "s9", "");
	expect(&memo, 's', "s10", "SELECT 1");
	memo__reset(&memo);
}

static void test_bytes_are_bounded(void **state)
{
	char *value = malloc(2 * MEMO_VALUE_MAX);
	struct memo memo = { 0 };
	char key[32];

	memset(value, 'x', 2 * MEMO_VALUE_MAX);
	for (int i = 0; i < 20; i++) {
		struct memo_edit edit = {
			.op = MEMO_DEFINE,
			.space = 's',
			.value = slice__of(value, 2 * MEMO_VALUE_MAX),
		};

		snprintf(key, sizeof(key), "s%d", i);
		edit.key = slice__str(key);
		memo__edit(&memo, &edit);
		assert_true(memo.bytes <= MEMO_BYTES_MAX);
	}
	assert_int_equal(memo__recall(&memo, 's', SLICE("s19")).len, MEMO_VALUE_MAX);
	assert_true(memo.evicted > 0);
	memo__reset(&memo);
	free(value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_define_alias_forget),
		cmocka_unit_test(test_trim_forgets_the_oldest),
		cmocka_unit_test(test_alias_of_itself),
		cmocka_unit_test(test_oldest_are_forgotten),
		cmocka_unit_test(test_bytes_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
