// SPDX-License-Identifier: Apache-2.0
/* Fragments of one message, where its text has no room for all that they say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "user/base/arena.h"
#include "user/flow/memo.h"
#include "user/flow/merge.h"
#include "user/flow/message.h"

enum { FIRST, SECOND, THIRD }; /* fields and a number */

/* A first fragment whose fields take 8, 16 and 4 bytes. */
static bool merge(struct message *to, size_t limit_bytes, struct arena *text)
{
	struct message from = { .type = MESSAGE_REQUEST, .flags = MESSAGE_BEGIN };
	const struct memo memo = { 0 };

	message__set(&from, FIRST, SLICE("01234567"));
	message__set(&from, SECOND, SLICE("0123456789abcdef"));
	message__set(&from, THIRD, SLICE("last"));
	message__number(&from, FIRST, 7);
	from.alike = 5;
	memset(to, 0, sizeof(*to));
	arena__init(text, limit_bytes);
	return message__merge(to, &from, &memo, text);
}

static void expect(const struct message *m, unsigned int field, const char *want)
{
	assert_true(slice__eq(m->field[field], slice__str(want)));
}

static void expect_head(const struct message *m)
{
	assert_int_equal(m->type, MESSAGE_REQUEST);
	assert_int_equal(m->flags, MESSAGE_BEGIN);
	assert_int_equal(m->number_mask, 1 << FIRST);
	assert_int_equal(m->number[FIRST], 7);
}

static void test_all_find_room(void **state)
{
	struct message m;
	struct arena text;

	assert_true(merge(&m, 28, &text));
	expect_head(&m);
	expect(&m, FIRST, "01234567");
	expect(&m, SECOND, "0123456789abcdef");
	expect(&m, THIRD, "last");
	arena__reset(&text);
}

/* Those that do are there, whichever they are. */
static void test_some_find_room(void **state)
{
	struct message m;
	struct arena text;

	assert_false(merge(&m, 27, &text));
	expect_head(&m);
	expect(&m, FIRST, "01234567");
	expect(&m, SECOND, "0123456789abcdef");
	expect(&m, THIRD, "");
	assert_false(merge(&m, 12, &text));
	expect_head(&m);
	expect(&m, FIRST, "01234567");
	expect(&m, SECOND, "");
	expect(&m, THIRD, "last");
	assert_false(merge(&m, 0, &text));
	expect_head(&m);
	for (unsigned int field = FIRST; field <= THIRD; field++)
		expect(&m, field, "");
	arena__reset(&text);
}

/* Only of what is there as a whole is it known what it is like. */
static void test_alike(void **state)
{
	const struct message more = { .type = MESSAGE_REQUEST, .flags = MESSAGE_END, .alike = 6 };
	const struct memo memo = { 0 };
	struct message m;
	struct arena text;

	assert_false(merge(&m, 27, &text));
	assert_int_equal(m.alike, 0);
	assert_true(merge(&m, 28, &text));
	assert_int_equal(m.alike, 5);
	assert_true(message__merge(&m, &more, &memo, &text));
	assert_int_equal(m.alike, 0);
	arena__reset(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_find_room),
		cmocka_unit_test(test_some_find_room),
		cmocka_unit_test(test_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
