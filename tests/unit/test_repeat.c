// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "user/flow/repeat.h"
#include "user/flow/span.h"

static struct repeat_key key_of(const char *first, const char *second)
{
	return (struct repeat_key){ { slice__str(first), slice__str(second) } };
}

/* A span of @key, with @value where nothing is kept for it; was something? */
static bool describe(struct repeats *r, struct repeat_key key, const char *value, struct span *span)
{
	struct repeat_turn turn;

	span__add_bool(span, "before", true);
	if (repeat__begin_statement(&turn, r, &key, span))
		return true;
	span__set_name(span, slice__str(value));
	span__add(span, "value", slice__str(value));
	span__add_int(span, "number", 300);
	repeat__end(&turn, span);
	return false;
}

static void expect(struct repeats *r, struct repeat_key key, const char *value, const char *shown,
		   bool kept)
{
	struct span *span = span__new();

	assert_non_null(span);
	assert_int_equal(describe(r, key, value, span), kept);
	assert_int_equal(span->attributes.count, 3);
	assert_true(slice__eq(span->name, slice__str(shown)));
	assert_true(slice__eq(span__find(span, "value").string, slice__str(shown)));
	assert_int_equal(span__find(span, "number").integer, 300);
	span__free(span);
}

static void test_what_came_twice_is_kept(void **state)
{
	struct repeat_key key = key_of("SELECT something", "shop");
	struct repeats r = { 0 };

	expect(&r, key, "one", "one", false);
	assert_int_equal(r.bytes, 0);
	expect(&r, key, "two", "two", false);
	assert_int_not_equal(r.bytes, 0);
	expect(&r, key, "three", "two", true);
	repeats__reset(&r);
	assert_int_equal(r.bytes, 0);
	expect(&r, key, "four", "four", false);
	repeats__reset(&r);
}

/* Where the keys differ, however little, none is taken for one that comes again: nothing is kept that
 * is of no use. */
static void test_what_always_differs_is_not_kept(void **state)
{
	static const struct {
		const char *before, *after;
	} texts[] = {
		{ "/api/v1/", "/orders-of-customers/xyz" },
		{ "/api/v1/orders-of-customers/of-all-countries/", "/and-their-addresses" },
		{ "SELECT * FROM orders AS o WHERE o.id = ", " ORDER BY o.created_at, o.id" },
		{ "SELECT orders.id, orders.created_at, orders.price, customers.name FROM orders "
		  "JOIN customers ON customers.id = orders.customer_id WHERE orders.id = ",
		  " AND orders.price IS NOT NULL ORDER BY orders.created_at DESC, orders.id" },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct repeats r = { 0 };
		char text[256];

		for (int number = 1000; number < 2000; number++) {
			snprintf(text, sizeof(text), "%s%d%s", texts[i].before, number,
				 texts[i].after);
			expect(&r, key_of(text, ""), "a", "a", false);
			assert_int_equal(r.bytes, 0);
		}
		repeats__reset(&r);
	}
}

/* Two methods of one resource, in turns: each has a place. */
static void test_second_part_tells_apart(void **state)
{
	struct repeat_key get = key_of("/cart", "GET"), put = key_of("/cart", "PUT");
	struct repeats r = { 0 };

	for (int times = 0; times < 3; times++) {
		expect(&r, get, "get", "get", times == 2);
		expect(&r, put, "put", "put", times == 2);
	}
	repeats__reset(&r);
}

/* Two of one hash, two of one row of bytes: what decides is each part of them. */
static void test_keys_are_told_apart(void **state)
{
	static const char *const keys[][2] = {
		{ "01234567.........................................", "" },
		{ "01234567..!......................................", "" },
		{ "01234567.........................................", "x" },
		{ "a", "bc" },
		{ "ab", "c" },
		{ "", "abc" },
		{ "", "" },
	};

	for (size_t i = 0; i + 1 < sizeof(keys) / sizeof(keys[0]); i++) {
		struct repeat_key one = key_of(keys[i][0], keys[i][1]);
		struct repeat_key two = key_of(keys[i + 1][0], keys[i + 1][1]);
		struct repeats r = { 0 };

		expect(&r, one, "a", "a", false);
		expect(&r, one, "b", "b", false);
		expect(&r, two, "c", "c", false);
		repeats__reset(&r);
	}
}

static void test_another_key_takes_the_place(void **state)
{
	struct repeats r = { 0 };
	struct repeat_key keys[REPEAT_STATEMENTS + 1];
	char text[REPEAT_STATEMENTS + 1][16];

	for (int i = 0; i <= REPEAT_STATEMENTS; i++) {
		snprintf(text[i], sizeof(text[i]), "key %d", i);
		keys[i] = key_of(text[i], "");
		for (int times = 0; times < 3; times++)
			expect(&r, keys[i], text[i], text[i], times == 2);
	}
	for (int i = 0; i <= REPEAT_STATEMENTS; i++) {
		struct span *span = span__new();

		assert_non_null(span);
		describe(&r, keys[i], text[i], span);
		assert_true(slice__eq(span->name, slice__str(text[i])));
		span__free(span);
	}
	repeats__reset(&r);
}

/* A span with a lower limit, or no place left, gets what it would have got. */
static void test_limits_hold(void **state)
{
	struct repeat_key key = key_of("SELECT something", "");
	struct repeats r = { 0 };

	for (int times = 0; times < 4; times++) {
		struct span *span = span__new();

		assert_non_null(span);
		span->attribute_limit = times == 1 ? 2 : times == 3 ? 1 : SPAN_ATTRIBUTES;
		assert_false(describe(&r, key, "x", span));
		assert_int_equal(span->attributes.count + span->dropped_attributes, 3);
		span__free(span);
	}
	repeats__reset(&r);
}

static void test_what_is_long_is_not_kept(void **state)
{
	static char text[REPEAT_BYTES_MAX];
	struct repeats r = { 0 };

	memset(text, 'x', sizeof(text) - 1);
	for (int times = 0; times < 3; times++)
		expect(&r, key_of(text, ""), "a", "a", false);
	assert_int_equal(r.bytes, 0);
	repeats__reset(&r);
}

/* A span whose name alone may find no room. */
static bool describe_name(struct repeats *r, struct slice name, bool has_room)
{
	struct repeat_key key = key_of("SELECT something", "");
	struct span *span = span__new();
	struct repeat_turn turn;
	bool kept;

	assert_non_null(span);
	if (!has_room)
		span->text.limit_bytes = 0;
	kept = repeat__begin_statement(&turn, r, &key, span);
	if (!kept) {
		span__set_name(span, name);
		span__add(span, "value", SLICE("x"));
		repeat__end(&turn, span);
	}
	assert_int_equal(span->attributes.count, 1);
	assert_int_equal(span->name.len, has_room ? name.len : 0);
	assert_int_equal(span->dropped_attributes, 0);
	span__free(span);
	return kept;
}

static void test_what_found_no_room_is_not_kept(void **state)
{
	static char name[ARENA_INLINE_BYTES + 1];
	struct slice all = slice__of(name, sizeof(name));
	struct repeats r = { 0 };

	memset(name, 'x', sizeof(name));
	assert_false(describe_name(&r, all, true));
	assert_false(describe_name(&r, all, false));
	assert_false(describe_name(&r, all, true));
	assert_true(describe_name(&r, all, true));
	assert_false(describe_name(&r, all, false)); /* nor has what is kept */
	repeats__reset(&r);
}

/* What is there is of use as before, or gives way to nothing. */
static void test_who_is_full_keeps_no_more(void **state)
{
	struct repeat_key key = key_of("SELECT something", "");
	struct repeats r = { .full = true };

	for (int times = 0; times < 3; times++)
		expect(&r, key, "none", "none", false);
	assert_int_equal(r.bytes, 0);
	r.full = false;
	expect(&r, key, "one", "one", false);
	r.full = true;
	expect(&r, key, "two", "one", true);
	for (int i = 0; i < 2 * REPEAT_STATEMENTS; i++) {
		char text[16];

		snprintf(text, sizeof(text), "key %d", i);
		for (int times = 0; times < 3; times++)
			expect(&r, key_of(text, ""), "none", "none", false);
	}
	assert_int_equal(r.bytes, 0);
	repeats__reset(&r);
}

static void test_nothing_is_kept_without_a_place(void **state)
{
	for (int times = 0; times < 3; times++)
		expect(NULL, key_of("a", "b"), "a", "a", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_came_twice_is_kept),
		cmocka_unit_test(test_what_always_differs_is_not_kept),
		cmocka_unit_test(test_second_part_tells_apart),
		cmocka_unit_test(test_keys_are_told_apart),
		cmocka_unit_test(test_another_key_takes_the_place),
		cmocka_unit_test(test_limits_hold),
		cmocka_unit_test(test_what_is_long_is_not_kept),
		cmocka_unit_test(test_what_found_no_room_is_not_kept),
		cmocka_unit_test(test_who_is_full_keeps_no_more),
		cmocka_unit_test(test_nothing_is_kept_without_a_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
