// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "user/flow/batch.h"
#include "user/flow/span.h"

static struct span *numbered(uint64_t number)
{
	struct span *span = span__new();

	assert_non_null(span);
	span->start_unix_ns = number;
	return span;
}

static void fill(struct batch *b, uint64_t first, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_true(batch__push(b, numbered(first + i)));
}

static void expect_taken(struct batch *b, size_t max, uint64_t first, size_t count)
{
	struct span *out[16];

	assert_int_equal(batch__take(b, out, max), count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(out[i]->start_unix_ns, first + i);
		assert_null(out[i]->next);
		span__free(out[i]);
	}
}

static void test_oldest_first(void **state)
{
	struct batch b;

	batch__init(&b, 8);
	fill(&b, 0, 5);
	expect_taken(&b, 2, 0, 2);
	fill(&b, 5, 2);
	assert_int_equal(b.size, 5);
	expect_taken(&b, 16, 2, 5);
	assert_int_equal(b.size, 0);
	expect_taken(&b, 16, 0, 0);
	fill(&b, 7, 1); /* after it was empty */
	expect_taken(&b, 16, 7, 1);
	assert_int_equal(b.dropped, 0);
}

static void test_full_drops_the_newest(void **state)
{
	struct batch b;

	batch__init(&b, 3);
	fill(&b, 0, 3);
	assert_false(batch__push(&b, numbered(3)));
	assert_false(batch__push(&b, numbered(4)));
	assert_int_equal(b.dropped, 2);
	assert_int_equal(b.size, 3);
	expect_taken(&b, 1, 0, 1);
	fill(&b, 5, 1); /* there is room again */
	expect_taken(&b, 2, 1, 2);
	expect_taken(&b, 1, 5, 1);
}

static void test_no_capacity(void **state)
{
	struct batch b;

	batch__init(&b, 0);
	assert_false(batch__push(&b, numbered(0)));
	assert_int_equal(b.dropped, 1);
}

static void test_reset_frees(void **state)
{
	struct batch b;

	batch__init(&b, 4);
	fill(&b, 0, 4);
	batch__reset(&b); /* the leak check of the sanitizer sees what is left */
	assert_int_equal(b.size, 0);
	fill(&b, 9, 1);
	expect_taken(&b, 4, 9, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_oldest_first),
		cmocka_unit_test(test_full_drops_the_newest),
		cmocka_unit_test(test_no_capacity),
		cmocka_unit_test(test_reset_frees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
