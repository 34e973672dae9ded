// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "tests/unit/console_scene.h"
#include "tests/unit/short_memory.h"
#include "user/flow/resource.h"

static void assert_string(const json_t *object, const char *key, const char *value)
{
	const json_t *member = json_object_get(object, key);

	assert_non_null(member);
	assert_string_equal(json_string_value(member), value);
}

static void test_json(void **state)
{
	struct screen s;
	struct span *span = http_server(1, 2, 3, 0, 12300000, 500);
	const json_t *attributes;
	json_t *object;

	span__add(span, "user_agent.original",
		  SLICE("\x1b[2J\xc2\x9b\xff"
			"x"));
	span__add_bool(span, "spanloom.incomplete", true);
	resource__add_int(span->resource, "process.pid", 42);
	screen__open(&s, CONSOLE_JSON, true);
	show(&s, span);
	screen__pass(&s, 0);
	for (size_t i = 0; i + 1 < s.len; i++)
		assert_true(s.text[i] >= ' ' && s.text[i] < 0x7f);
	assert_int_equal(s.text[s.len - 1], '\n');

	object = json_loads(s.text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(object);
	assert_string(object, "trace_id", "00000000000000000000000000000001");
	assert_string(object, "span_id", "0000000000000002");
	assert_string(object, "parent_span_id", "0000000000000003");
	assert_string(object, "name", "GET /users/{id}");
	assert_string(object, "kind", "SERVER");
	assert_string(object, "status", "ERROR");
	assert_string(object, "scope", "spanloom/test");
	assert_int_equal(json_integer_value(json_object_get(object, "flags")), 1);
	assert_true(json_integer_value(json_object_get(object, "start_unix_ns")) == (int64_t)NOON);
	assert_true(json_integer_value(json_object_get(object, "end_unix_ns")) ==
		    (int64_t)NOON + 12300000);
	assert_int_equal(json_integer_value(json_object_get(object, "duration_ns")), 12300000);
	attributes = json_object_get(object, "attributes");
	assert_string(attributes, "user_agent.original", "\x1b[2J\xc2\x9b\xef\xbf\xbdx");
	assert_int_equal(
		json_integer_value(json_object_get(attributes, "http.response.status_code")), 500);
	assert_true(json_is_true(json_object_get(attributes, "spanloom.incomplete")));
	assert_string(json_object_get(object, "resource"), "service.name", "shop");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(object, "resource"),
							    "process.pid")),
			 42);
	json_decref(object);
	assert_int_equal(console__shown(s.console), 1);
	screen__close(&s);
}

static void test_json_is_complete(void **state)
{
	struct screen s;

	screen__open(&s, CONSOLE_JSON, false);
	for (int i = 0; i < 3000; i++)
		show(&s, numbered(i, false));
	screen__pass(&s, 0);
	assert_int_equal(count_of(s.text, "\n"), 3000);
	assert_int_equal(count_of(s.text, "\"parent_span_id\":\"\""), 3000);
	assert_int_equal(console__shown(s.console), 3000);
	screen__close(&s);
}

/* Whichever allocation fails: the span's line is whole, or not there and counted. */
static void test_json_in_short_memory(void **state)
{
	bool failed = true;

	json_set_alloc_funcs(short_memory__malloc, free);
	for (unsigned int number = 1; failed; number++) {
		struct screen s;

		screen__open(&s, CONSOLE_JSON, false);
		short_memory__begin(SHORT_LIBRARY, number, false);
		show(&s, numbered(1, false));
		failed = short_memory__end();
		screen__pass(&s, 0);
		assert_int_equal(console__shown(s.console), failed ? 0 : 1);
		assert_int_equal(s.len ? count_of(s.text, "\n") : 0, !failed);
		assert_int_equal(s.len == 0, failed);
		screen__close(&s);
	}
	json_set_alloc_funcs(malloc, free);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_json_is_complete),
		cmocka_unit_test(test_json_in_short_memory),
	};

	return cmocka_run_group_tests(tests, screen__setup, NULL);
}
