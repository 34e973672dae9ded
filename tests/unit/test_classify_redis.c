// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "bpf/classify/redis.h"

struct sample {
	const char *bytes;
	__u32 len;
	__u32 size; /* of the send; 0: @len */
	enum match later;
	enum match fresh;
};

#define SAMPLE(text, size, later, fresh)                                                           \
	{                                                                                          \
		text, sizeof(text) - 1, size, later, fresh                                         \
	}
#define SAME(text, match) SAMPLE(text, 0, match, match)

static enum match classify(const struct sample *s, __u8 fresh)
{
	__u8 head[64] = { 0 };
	__u32 len = s->len < sizeof(head) ? s->len : sizeof(head);

	memcpy(head, s->bytes, len);
	return classify_redis(head, len, s->size ? s->size : s->len, fresh);
}

static void expect(const struct sample *samples, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (classify(&samples[i], 0) != samples[i].later ||
		    classify(&samples[i], 1) != samples[i].fresh)
			fail_msg("\"%s\": %d, fresh %d", samples[i].bytes, classify(&samples[i], 0),
				 classify(&samples[i], 1));
	}
}

static void commands_are_requests(void **unused)
{
	static const struct sample samples[] = {
		SAME("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", MATCH_REQUEST),
		SAME("*3\r\n$3\r\nset\r\n$1\r\nk\r\n$1\r\nv\r\n", MATCH_REQUEST),
		SAME("*1\r\n$4\r\nPING\r\n", MATCH_REQUEST),
		SAMPLE("*100002\r\n$5\r\nLPUSH\r\n$4\r\nlist\r\n$10\r\n", 1000000, MATCH_REQUEST,
		       MATCH_REQUEST),
		SAMPLE("*1\r\n$6\r\nDBSIZE\r\n", 0, MATCH_EITHER, MATCH_REQUEST),
		SAMPLE("*2\r\n$8\r\nJSON.GET\r\n$1\r\nk\r\n", 0, MATCH_EITHER, MATCH_REQUEST),
		SAMPLE("PING\r\n", 0, MATCH_NONE, MATCH_REQUEST),
		SAMPLE("quit\r\n", 0, MATCH_NONE, MATCH_REQUEST),
	};

	expect(samples, sizeof(samples) / sizeof(samples[0]));
}

static void replies_are_responses(void **unused)
{
	static const struct sample samples[] = {
		SAME("+OK\r\n", MATCH_RESPONSE),
		SAME("+OK\r\n+OK\r\n$3\r\nfoo\r\n", MATCH_RESPONSE),
		SAME("+PONG\r\n", MATCH_RESPONSE),
		SAME("+QUEUED\r\n", MATCH_RESPONSE),
		SAME("-ERR unknown command\r\n", MATCH_RESPONSE),
		SAME("-WRONGTYPE Operation against a key\r\n", MATCH_RESPONSE),
		SAME(":1000\r\n", MATCH_RESPONSE),
		SAME(":-1\r\n", MATCH_RESPONSE),
		SAME("$-1\r\n", MATCH_RESPONSE),
		SAME("*-1\r\n", MATCH_RESPONSE),
		SAME("*0\r\n", MATCH_RESPONSE),
		SAME("$5\r\nhello\r\n", MATCH_RESPONSE),
		SAME("$0\r\n\r\n", MATCH_RESPONSE),
		SAMPLE("$100000\r\nxxxxxxxx", 100011, MATCH_RESPONSE, MATCH_RESPONSE),
		SAME("*2\r\n:1\r\n:2\r\n", MATCH_RESPONSE),
		SAME("*2\r\n$-1\r\n$1\r\na\r\n", MATCH_RESPONSE),
		SAME("*1\r\n$3\r\n123\r\n", MATCH_RESPONSE),
		SAME("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n", MATCH_RESPONSE),
		SAME("%1\r\n+a\r\n:1\r\n", MATCH_RESPONSE),
		SAME("_\r\n", MATCH_RESPONSE),
		SAME("#t\r\n", MATCH_RESPONSE),
		SAME("~1\r\n+a\r\n", MATCH_RESPONSE),
		SAME(">2\r\n$10\r\ninvalidate\r\n_\r\n", MATCH_RESPONSE),
		SAME("=7\r\ntxt:abc\r\n", MATCH_RESPONSE),
		SAME(",-1.5\r\n", MATCH_RESPONSE),
		SAME("(12345678901234567890\r\n", MATCH_RESPONSE),
		SAME("!5\r\nERR x\r\n", MATCH_RESPONSE),
		SAMPLE("*2\r\n$3\r\nfoo\r\n$1\r\nk\r\n", 0, MATCH_EITHER, MATCH_REQUEST),
	};

	expect(samples, sizeof(samples) / sizeof(samples[0]));
}

static void other_protocols_are_none(void **unused)
{
	static const struct sample samples[] = {
		SAME("", MATCH_NONE),
		SAME("GET / HTTP/1.1\r\nHost: a\r\n\r\n", MATCH_NONE),
		SAME("HTTP/1.1 200 OK\r\n", MATCH_NONE),
		SAME("+OK POP3 ready\r\n", MATCH_NONE),
		SAME("-ERR\r\n", MATCH_NONE),
		SAME("220 mail.example ESMTP\r\n", MATCH_NONE),
		SAME("INFO {\"server_id\":\"x\"}\r\n", MATCH_NONE),
		SAME("get key\r\n", MATCH_NONE),
		SAME("VALUE key 0 5\r\nhello\r\nEND\r\n", MATCH_NONE),
		SAME("$5\r\nhelloX\r\n", MATCH_NONE),
		SAME("$5\r\nhello\r\nX", MATCH_NONE),
		SAME("+OK\r\nX", MATCH_NONE),
		SAME("*2\r\n$3\r\nGETX\r\n", MATCH_NONE),
		SAME("*2\r\nabc\r\n", MATCH_NONE),
		SAME("*\r\n", MATCH_NONE),
		SAME("*1234567890\r\n$1\r\n", MATCH_NONE),
		SAME(":12a\r\n", MATCH_NONE),
		SAME("_x\r\n", MATCH_NONE),
		SAME("#x\r\n", MATCH_NONE),
		SAME("> 2\r\n", MATCH_NONE),
		SAME(",\r\n", MATCH_NONE),
		SAME("(1)", MATCH_NONE),
		SAME("%PDF-1.7\r\n", MATCH_NONE),
		SAME("\x16\x03\x01\x02\x00\x01\x00\x01", MATCH_NONE),
	};

	expect(samples, sizeof(samples) / sizeof(samples[0]));
}

/* Every head of up to 64 bytes: no index may leave it (the sanitizer looks). */
static void any_bytes_are_safe(void **unused)
{
	static const char alphabet[] = "*$+-:%~>|_#=\r\n\r\n\r\n0123456789 GETok";
	__u32 random = 7;

	for (int round = 0; round < 20000; round++) {
		__u8 *head = test_calloc(64, 1);
		__u32 len = 1 + (random >> 16) % 64;

		for (__u32 i = 0; i < len; i++) {
			random = random * 1664525 + 1013904223;
			head[i] = (__u8)alphabet[(random >> 8) % (sizeof(alphabet) - 1)];
		}
		assert_true(classify_redis(head, len, len + (random & 1) * 100, random & 2) <=
			    MATCH_EITHER);
		test_free(head);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_are_requests),
		cmocka_unit_test(replies_are_responses),
		cmocka_unit_test(other_protocols_are_none),
		cmocka_unit_test(any_bytes_are_safe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
