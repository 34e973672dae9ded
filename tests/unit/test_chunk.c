// SPDX-License-Identifier: Apache-2.0
/* bpf/chunk.h: where a chunked body ends, whatever the pieces it comes in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bpf/chunk.h"

/* Reads @len bytes on; how many belong to the body. */
static size_t take(struct chunk *chunk, const char *bytes, size_t len)
{
	size_t at = 0;

	while (at < len && chunk->state < CHUNK_DONE) {
		if (chunk->state == CHUNK_DATA)
			at += chunk__skip(chunk, (__u32)(len - at));
		else
			chunk__byte(chunk, (__u8)bytes[at++]);
	}
	return at;
}

/* Offset of the end, cut at every place; SIZE_MAX: bad, SIZE_MAX - 1: it is not there. */
static size_t end_of(const char *text)
{
	size_t len = strlen(text), end = 0;

	for (size_t cut = 0; cut <= len; cut++) {
		struct chunk chunk = { 0 };
		size_t seen = take(&chunk, text, cut);

		seen += take(&chunk, text + cut, len - cut);
		if (chunk.state == CHUNK_BAD)
			seen = SIZE_MAX;
		else if (chunk.state != CHUNK_DONE)
			seen = SIZE_MAX - 1;
		if (cut)
			assert_int_equal(seen, end);
		end = seen;
	}
	return end;
}

static void test_ends(void **state)
{
	static const char *const bodies[] = {
		"0\r\n\r\n",
		"000\r\n\r\n",
		"5\r\nhello\r\n0\r\n\r\n",
		"5;name=value\r\nhello\r\n00;last\r\n\r\n",
		"1 \r\na\r\nA\r\n0123456789\r\n0\r\n\r\n",
		"a\r\n\r\n0\r\n\r\n\r\n1\r\n0\r\n\r\n",
		"3\r\nabc\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\n",
		"10\r\nGET / HTTP/1.1\r\n\r\n0\r\n\r\n",
	};
	char text[128];

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		assert_int_equal(end_of(bodies[i]), strlen(bodies[i]));
		snprintf(text, sizeof(text), "%sGET / HTTP/1.1\r\n", bodies[i]);
		assert_int_equal(end_of(text), strlen(bodies[i]));
	}
}

static void test_is_not_there_yet(void **state)
{
	assert_int_equal(end_of(""), SIZE_MAX - 1);
	assert_int_equal(end_of("5\r\nhell"), SIZE_MAX - 1);
	assert_int_equal(end_of("0\r\n"), SIZE_MAX - 1);
	assert_int_equal(end_of("0\r\nTrailer: x\r\n\r"), SIZE_MAX - 1);
	assert_int_equal(end_of("ffffffff\r\nabc"), SIZE_MAX - 1);
}

/* What a server might read in another way has no end that we know. */
static void test_is_bad(void **state)
{
	static const char *const bodies[] = {
		"\r\n",
		"x\r\n",
		"-1\r\n",
		"0x5\r\nhello\r\n",
		"5\nhello\r\n",
		"5\r\rhello",
		"5\r\nhello\n0\r\n",
		"5;\n",
		"5\r\nhelloo\r\n",
		"0\r\n\n",
		"0\r\nT: x\n",
		"123456789\r\n",
		" 5\r\n",
	};

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		assert_int_equal(end_of(bodies[i]), SIZE_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_is_not_there_yet),
		cmocka_unit_test(test_is_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
