// SPDX-License-Identifier: Apache-2.0
/* The classifier of first bytes, as the kernel calls it: 64 bytes, zero behind the message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bpf/classify/http1.h"

static enum match match_of(const char *text)
{
	__u8 head[64] = { 0 };
	size_t len = strlen(text);

	memcpy(head, text, len < sizeof(head) ? len : sizeof(head));
	return classify_http1(head, (__u32)len, (__u32)len, 1);
}

static void test_classify(void **unused)
{
	static const char *const methods[] = {
		"GET",	  "HEAD",   "POST",   "PUT",   "DELETE",   "CONNECT",	"OPTIONS",
		"TRACE",  "PATCH",  "QUERY",  "MKCOL", "COPY",	   "MOVE",	"LOCK",
		"UNLOCK", "REPORT", "SEARCH", "PURGE", "PROPFIND", "PROPPATCH",
	};
	static const char *const none[] = {
		"",
		"G",
		"GE",
		"GET",
		"GET ",
		"get / HTTP/1.1",
		"GET foo",
		"GET h",
		"SET /a b",
		"SELECT 1",
		"PROPFINDX /",
		"PROPPATCH",
		"EHLO h",
		"HTTP/1.1 ",
		"HTTP/1.1 2x0",
		"HTTP/2.0 200",
		"HTTP/1.1  200",
		"GETX /",
		"*1\r\n$4\r\nPING\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		" GET /",
	};
	char text[64];

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		int is_connect = strcmp(methods[i], "CONNECT") == 0;

		snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\n", methods[i],
			 is_connect ? "h:1" : "/");
		if (match_of(text) != MATCH_REQUEST)
			fail_msg("%s", text);
		snprintf(text, sizeof(text), "%s %s", methods[i], is_connect ? "[" : "http://h/");
		assert_int_equal(match_of(text), MATCH_REQUEST);
	}
	assert_int_equal(match_of("OPTIONS * HTTP/1.1"), MATCH_REQUEST);
	assert_int_equal(match_of("HTTP/1.1 200 OK"), MATCH_RESPONSE);
	assert_int_equal(match_of("HTTP/1.0 404"), MATCH_RESPONSE);
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		if (match_of(none[i]) != MATCH_NONE)
			fail_msg("\"%s\"", none[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_classify),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
