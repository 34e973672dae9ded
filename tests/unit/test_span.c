// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/short_memory.h"
#include "user/flow/config.h"
#include "user/flow/context.h"
#include "user/flow/describe.h"
#include "user/flow/span.h"
#include "user/flow/transaction.h"
#include "user/protocols/protocol.h"

static int begin(void **state)
{
	*state = span__new();
	return *state ? 0 : -1;
}

static int end(void **state)
{
	span__free(*state);
	return 0;
}

static void test_attributes_above_the_limit_are_counted(void **state)
{
	struct span *span = *state;

	span->attribute_limit = 2;
	span__add_int(span, "a", 1);
	span__add(span, "empty", SLICE(""));
	span__add_bool(span, "b", true);
	span__add(span, "c", SLICE("x"));
	span__add_int(span, "d", 1);
	assert_int_equal(span->attributes.count, 2);
	assert_int_equal(span->dropped_attributes, 2);
	assert_int_equal(span__find(span, "c").type, ATTRIBUTE_NONE);
}

static void test_values_without_room_are_counted(void **state)
{
	static char large[SPAN_TEXT_BYTES + 1];
	struct span *span = *state;

	memset(large, 'x', sizeof(large));
	span__add(span, "large", slice__of(large, sizeof(large)));
	assert_int_equal(span->attributes.count, 0);
	assert_int_equal(span->dropped_attributes, 1);
	span__add(span, "small", SLICE("x"));
	assert_int_equal(span->attributes.count, 1);
}

static void test_values_are_cut_and_made_valid(void **state)
{
	struct span *span = *state;

	span__add(span, "bad", SLICE("a\xff"));
	span->value_limit_chars = 3;
	span__add(span, "ascii", SLICE("abcd"));
	span__add(span, "other", SLICE("\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"));
	span__add_literal(span, "literal", SLICE("abcd"));
	assert_true(slice__eq(span__find(span, "bad").string, SLICE("a\xef\xbf\xbd")));
	assert_true(slice__eq(span__find(span, "ascii").string, SLICE("abc")));
	assert_true(slice__eq(span__find(span, "other").string, SLICE("\xc3\xa9\xc3\xa9\xc3\xa9")));
	assert_true(slice__eq(span__find(span, "literal").string, SLICE("abc")));
	assert_int_equal(span->dropped_attributes, 0);
}

/* Around each length that takes a byte more, and from inline bytes to the heap. */
static void test_attributes_read_back(void **state)
{
	static const int64_t numbers[] = { 0, 127, 128, 16383, 16384, INT64_MAX, -1, INT64_MIN };
	char text[300];
	struct attribute a;
	size_t at = 0;

	memset(text, 'x', sizeof(text));
	for (size_t len = 1; len < sizeof(text); len++) {
		struct attributes row;
		struct slice key = slice__of(text, 1 + len % 150), value = slice__of(text, len);

		attributes__init(&row, 1, 1 << 20);
		for (int i = 0; i < 8; i++) {
			assert_true(attributes__add_string(&row, key, value));
			assert_true(attributes__add_int(&row, key, numbers[i]));
			assert_true(attributes__add_bool(&row, key, i & 1));
		}
		assert_int_equal(row.count, 24);
		at = 0;
		for (int i = 0; i < 8; i++) {
			assert_true(attributes__next(&row, &at, &a));
			assert_true(slice__eq(a.key, key) && slice__eq(a.string, value));
			assert_true(attributes__next(&row, &at, &a));
			assert_true(a.type == ATTRIBUTE_INT && a.integer == numbers[i]);
			assert_true(attributes__next(&row, &at, &a));
			assert_true(a.type == ATTRIBUTE_BOOL && a.boolean == (i & 1));
		}
		assert_false(attributes__next(&row, &at, &a));
		attributes__free(&row);
	}
}

static void test_first_failure_counts(void **state)
{
	struct span *span = *state;

	span__fail(span, SLICE("timeout"));
	span__fail(span, SLICE("eof"));
	assert_int_equal(span->status, STATUS_ERROR);
	assert_int_equal(span->attributes.count, 1);
	assert_true(slice__eq(span__find(span, "error.type").string, SLICE("timeout")));
}

static void test_limit_comes_from_the_configuration(void **state)
{
	const struct event_conn event = { .error = ECONNREFUSED };
	struct flow_config config;
	struct span *span;

	flow_config__defaults(&config);
	config.attribute_count_limit = 0;
	span = describe__connect_failed(&event, &config, 0);
	assert_non_null(span);
	assert_int_equal(span->attributes.count, 0);
	assert_true(span->dropped_attributes > 0);
	span__free(span);
}

static void describe_nothing(const struct transaction *txn, const struct flow_config *config,
			     struct span *span)
{
}

static void test_lost_name_is_counted(void **state)
{
	static const struct protocol protocol = { .describe = describe_nothing };
	const struct transaction txn = { .protocol = &protocol };
	struct flow_config config;
	struct span *span;

	flow_config__defaults(&config);
	span = describe__transaction(&txn, &config, 0);
	assert_non_null(span);
	assert_int_equal(span->dropped_attributes, 1);
	span__free(span);
}

static void test_errors_have_names(void **state)
{
	static const struct {
		int error;
		const char *name;
	} cases[] = {
		{ ECONNREFUSED, "connection_refused" },
		{ ECONNRESET, "connection_reset" },
		{ EPIPE, "connection_reset" },
		{ ECONNABORTED, "connection_aborted" },
		{ ETIMEDOUT, "timeout" },
		{ EHOSTUNREACH, "host_unreachable" },
		{ ENETUNREACH, "network_unreachable" },
		{ EACCES, "_OTHER" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(describe__errno(cases[i].error), cases[i].name);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

static void test_no_room_for_tracestate(void **state)
{
	struct context context = { .state = SLICE("rojo=00f067aa0ba902b7") };
	struct span *span = span__new();

	assert_non_null(span);
	describe__context(span, &context);
	assert_true(slice__eq(span->trace_state, context.state));
	assert_int_equal(span->dropped_attributes, 0);
	while (arena__has(&span->text, context.state.len))
		assert_non_null(arena__alloc(&span->text, context.state.len));
	short_memory__begin(SHORT_OWN, 1, true);
	describe__context(span, &context);
	assert_true(short_memory__end());
	assert_int_equal(span->trace_state.len, 0);
	assert_int_equal(span->dropped_attributes, 1);
	span__free(span);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_attributes_above_the_limit_are_counted),
		TEST(test_values_without_room_are_counted),
		TEST(test_values_are_cut_and_made_valid),
		cmocka_unit_test(test_attributes_read_back),
		TEST(test_first_failure_counts),
		cmocka_unit_test(test_limit_comes_from_the_configuration),
		cmocka_unit_test(test_lost_name_is_counted),
		cmocka_unit_test(test_errors_have_names),
		cmocka_unit_test(test_no_room_for_tracestate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
