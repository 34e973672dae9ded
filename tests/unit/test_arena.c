// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "user/base/arena.h"

#define LARGE (64 * 1024)

/* @bytes of a chunk that is just large enough for them, and what it takes itself. */
static void assert_held(const struct arena *a, size_t bytes)
{
	assert_in_range(a->heap_bytes, bytes, bytes + 2 * sizeof(void *));
}

static void test_never_past_the_limit(void **state)
{
	struct arena a;

	arena__init(&a, 2000);
	assert_non_null(arena__alloc(&a, ARENA_INLINE_BYTES));
	assert_false(a.failed);
	assert_null(arena__alloc(&a, 2000 - ARENA_INLINE_BYTES + 1));
	assert_true(a.failed);
	assert_int_equal(a.heap_bytes, 0);
	assert_non_null(arena__alloc(&a, 1));
	assert_held(&a, 2000 - ARENA_INLINE_BYTES);
	assert_non_null(arena__alloc(&a, 2000 - ARENA_INLINE_BYTES - 1));
	assert_int_equal(arena__used(&a), 2000);
	assert_null(arena__alloc(&a, 1));
	arena__reset(&a);
	assert_int_equal(a.heap_bytes, 0);
}

/* Of what is held nothing is lost to a limit that was low once. */
static void test_limit_rises(void **state)
{
	struct arena a;

	arena__init(&a, 2000);
	assert_non_null(arena__alloc(&a, 1500));
	assert_held(&a, 2000);
	a.limit_bytes = LARGE;
	assert_non_null(arena__alloc(&a, 500));
	assert_held(&a, 2000);
	assert_non_null(arena__alloc(&a, 1));
	assert_true(a.heap_bytes > 2000 + 1024);
	arena__reset(&a);
}

/* What is granted stays so; there is no more. */
static void test_limit_falls(void **state)
{
	struct arena a;
	size_t held;

	arena__init(&a, LARGE);
	assert_non_null(arena__alloc(&a, 2000));
	held = a.heap_bytes;
	a.limit_bytes = 2000;
	assert_non_null(arena__alloc(&a, a.left));
	assert_null(arena__alloc(&a, 1));
	assert_int_equal(a.heap_bytes, held);
	arena__reset(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_never_past_the_limit),
		cmocka_unit_test(test_limit_rises),
		cmocka_unit_test(test_limit_falls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
