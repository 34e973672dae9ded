// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "user/base/utf8.h"

#define BAD "\xef\xbf\xbd"

static void expect(const char *in, size_t max_chars, const char *out)
{
	struct arena arena;

	arena__init(&arena, 4096);
	assert_true(slice__eq(utf8__copy(&arena, slice__str(in), max_chars), slice__str(out)));
	arena__reset(&arena);
}

static void test_good_text_is_copied(void **state)
{
	expect("", 0, "");
	expect("plain ascii of more than eight bytes", 0, "plain ascii of more than eight bytes");
	expect("gr\xc3\xbc\xc3\x9f", 0, "gr\xc3\xbc\xc3\x9f");
	expect("\xe2\x82\xac \xf0\x9f\x98\x80", 0, "\xe2\x82\xac \xf0\x9f\x98\x80");
}

static void test_bad_bytes_are_replaced(void **state)
{
	expect("a\xff"
	       "b",
	       0, "a" BAD "b");
	expect("\x80", 0, BAD);
	expect("\xc0\xaf", 0, BAD BAD);		/* overlong */
	expect("\xed\xa0\x80", 0, BAD BAD BAD); /* surrogate */
	expect("\xf4\x90\x80\x80", 0, BAD BAD BAD BAD);
	expect("end \xe2\x82", 0, "end " BAD BAD); /* cut */
}

/* However the bytes are looked at, each is. */
static void test_one_bad_byte_anywhere(void **state)
{
	char in[64], out[64 + sizeof(BAD)];

	for (size_t len = 1; len < sizeof(in) - 1; len++) {
		for (size_t at = 0; at < len; at++) {
			memset(in, 'a', len);
			memset(out, 'a', sizeof(out));
			in[len] = '\0';
			in[at] = '\xff';
			memcpy(out + at, BAD, sizeof(BAD) - 1);
			out[len + sizeof(BAD) - 2] = '\0';
			expect(in, 0, out);
		}
	}
}

static void test_limit_counts_characters(void **state)
{
	expect("abcdefghij", 4, "abcd");
	expect("abcd\xff", 4, "abcd");
	expect("\xc3\xbc\xc3\xbc\xc3\xbc", 2, "\xc3\xbc\xc3\xbc");
	expect("\xff\xff\xff", 2, BAD BAD);
}

static void test_no_room(void **state)
{
	struct arena arena;

	arena__init(&arena, 2);
	assert_int_equal(utf8__copy(&arena, SLICE("abc"), 0).len, 0);
	assert_int_equal(utf8__copy(&arena, SLICE("\xff"), 0).len, 0);
	arena__reset(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_text_is_copied),
		cmocka_unit_test(test_bad_bytes_are_replaced),
		cmocka_unit_test(test_one_bad_byte_anywhere),
		cmocka_unit_test(test_limit_counts_characters),
		cmocka_unit_test(test_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
