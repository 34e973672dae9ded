// SPDX-License-Identifier: Apache-2.0
/* First bytes -> PostgreSQL, and which side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/postgres_talk.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct slice join(char *out, const struct slice *parts, size_t count)
{
	size_t len = 0;

	for (size_t i = 0; i < count; i++) {
		memcpy(out + len, parts[i].data, parts[i].len);
		len += parts[i].len;
	}
	return slice__of(out, len);
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static enum match classify(struct slice bytes, size_t size)
{
	__u8 head[POSTGRES_HEAD] = { 0 };
	size_t len = bytes.len < sizeof(head) ? bytes.len : sizeof(head);

	memcpy(head, bytes.data, len);
	return classify_postgres(head, (__u32)len, (__u32)size, 0);
}

static enum match classify_whole(struct slice bytes)
{
	return classify(bytes, bytes.len);
}

static void first_bytes_tell_who_speaks(void **ctx)
{
	const struct slice batch[] = { BIND, EXECUTE, SYNC };
	const struct slice rows[] = { PG('2', ""), ROW, PG('C', "SELECT 1\0"), READY };
	char buffer[256];

	assert_int_equal(classify_whole(SLICE(STARTUP)), MATCH_REQUEST);
	assert_int_equal(classify_whole(SLICE(SSL_REQUEST)), MATCH_REQUEST);
	assert_int_equal(classify_whole(SLICE("\0\0\0\x08\x04\xd2\x16\x30")), MATCH_REQUEST);
	assert_int_equal(classify_whole(SLICE("\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\1\0\0\0\2")),
			 MATCH_REQUEST);
	assert_int_equal(classify_whole(SLICE("\0\0\0\x13\0\3\0\2user\0anna\0\0")), MATCH_REQUEST);
	assert_int_equal(classify_whole(PG('Q', "SELECT 1\0")), MATCH_REQUEST);
	assert_int_equal(classify_whole(PG('Q', "\0")), MATCH_REQUEST);
	assert_int_equal(classify_whole(SYNC), MATCH_REQUEST);
	assert_int_equal(classify_whole(PG('X', "")), MATCH_REQUEST);
	assert_int_equal(classify_whole(EXECUTE), MATCH_REQUEST);
	assert_int_equal(classify_whole(PG('D', "Ss1\0")), MATCH_REQUEST);
	assert_int_equal(classify_whole(PG('C', "Ss1\0")), MATCH_REQUEST);
	assert_int_equal(classify_whole(join(buffer, batch, 3)), MATCH_REQUEST);
	assert_int_equal(classify_whole(PG('C', "SELECT 1\0")), MATCH_RESPONSE);
	assert_int_equal(classify_whole(PG('C', "DO\0")), MATCH_RESPONSE);
	assert_int_equal(classify_whole(ERROR), MATCH_RESPONSE);
	assert_int_equal(classify_whole(COLUMNS), MATCH_RESPONSE);
	assert_int_equal(classify_whole(READY), MATCH_RESPONSE);
	assert_int_equal(classify_whole(join(buffer, rows, 4)), MATCH_RESPONSE);
	assert_int_equal(classify_whole(PG('R', "\0\0\0\0")), MATCH_RESPONSE);
	assert_int_equal(classify_whole(PG('d', "copy data")), MATCH_EITHER);
	assert_int_equal(classify_whole(PG('c', "")), MATCH_EITHER);
	/* more than is sent at once */
	assert_int_equal(classify(SLICE("Q\0\1\0\0INSERT INTO t VALUES ("), 8192), MATCH_REQUEST);
	assert_int_equal(classify(SLICE("B\0\1\0\0\0s1\0\0\0\0\1\0"), 8192), MATCH_REQUEST);
	assert_int_equal(classify(SLICE("D\0\1\0\0\0\1\0\0\xff\0abc"), 8192), MATCH_RESPONSE);
	assert_int_equal(classify(SLICE("2\0\0\0\4D\0\1\0\0\0\1\0\0\xff\0abc"), 8192),
			 MATCH_NONE); /* one small message says too little */
	assert_int_equal(classify(SLICE("1\0\0\0\4"
					"2\0\0\0\4D\0\1\0\0\0\1\0"),
				  8192),
			 MATCH_RESPONSE);
}

static void other_protocols_are_not_ours(void **ctx)
{
	static const struct slice others[] = {
		SLICE("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
		SLICE("POST /x HTTP/1.1\r\n"),
		SLICE("DELETE /x HTTP/1.1\r\n"),
		SLICE("CONNECT a:443 HTTP/1.1\r\n"),
		SLICE("HTTP/1.1 200 OK\r\n\r\n"),
		SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
		SLICE("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
		SLICE("\x17\x03\x03\x00\x20"),
		SLICE("*1\r\n$4\r\nPING\r\n"),
		SLICE("+PONG\r\n"),
		SLICE(":1\r\n"),
		SLICE("SSH-2.0-OpenSSH_9.2\r\n"),
		SLICE("EHLO example.com\r\n"),
		SLICE("QUIT\r\n"),
		SLICE("\x4a\0\0\0\x0a"
		      "8.0.36\0"),					 /* MySQL */
		SLICE("\0\0\0\x23\0\3\0\x09\0\0\0\1\0\7kafka-x\0"),	 /* Kafka */
		SLICE("\0\0\x12\4\0\0\0\0\0\0\3\0\0\0\x80\0\4\0\1\0\0"), /* HTTP/2 */
		SLICE("C\0\0\0\4"),
		SLICE("Q\0\0\0"),
		SLICE("Z\0\0\0\5x"),
		SLICE("\0\0\0\0\0\0\0\0\0\0\0\0"),
	};

	for (size_t i = 0; i < COUNT(others); i++)
		assert_int_equal(classify_whole(others[i]), MATCH_NONE);
}

static void random_bytes_are_not_ours(void **ctx)
{
	uint32_t seed = 11;
	int matches = 0;

	for (int round = 0; round < 200000; round++) {
		char bytes[POSTGRES_HEAD];

		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (char)next_random(&seed);
		matches += classify(slice__of(bytes, sizeof(bytes)), 1400) != MATCH_NONE;
	}
	assert_in_range(matches, 0, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_bytes_tell_who_speaks),
		cmocka_unit_test(other_protocols_are_not_ours),
		cmocka_unit_test(random_bytes_are_not_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
