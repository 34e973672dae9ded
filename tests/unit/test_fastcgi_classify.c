// SPDX-License-Identifier: Apache-2.0
/* First bytes -> FastCGI, and which side: as the kernel calls it, zero behind the message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bpf/classify/fastcgi.h"
#include "user/base/slice.h"

#define BEGIN  "\1\1\0\1\0\10\0\0"
#define ROLE   "\0\1\0\0\0\0\0\0"
#define PARAMS "\1\4\0\1\1\2\6\0\17\3SCRIPT"

static enum match match_of(struct slice bytes)
{
	__u8 head[64] = { 0 };
	size_t len = bytes.len < sizeof(head) ? bytes.len : sizeof(head);

	if (len)
		memcpy(head, bytes.data, len);
	return classify_fastcgi(head, (__u32)len, (__u32)bytes.len, 0);
}

static void check(const struct slice *texts, size_t count, enum match want)
{
	for (size_t i = 0; i < count; i++)
		if (match_of(texts[i]) != want)
			fail_msg("text %zu of match %d", i, want);
}

static void a_client_begins(void **unused)
{
	static const struct slice texts[] = {
		SLICE(BEGIN),	   /* as PHP-FPM reads it */
		SLICE(BEGIN "\0"), /* as much of it as there is */
		SLICE(BEGIN ROLE),
		SLICE(BEGIN ROLE PARAMS),
		SLICE(BEGIN "\0\3\1\0\0\0\0\0"),
		SLICE("\1\1\377\377\0\10\0\0" ROLE),
		SLICE("\1\5\0\1\0\0\0\0"), /* what is left of the request before */
	};

	check(texts, sizeof(texts) / sizeof(texts[0]), MATCH_REQUEST);
}

static void a_server_answers(void **unused)
{
	static const struct slice texts[] = {
		SLICE("\1\6\0\1\0\125\3\0X-Powered-By: PHP"),
		SLICE("\1\6\0\1\1\0\0\0Content-type: text/html"),
		SLICE("\1\7\0\1\0\20\0\0PHP message: ..."),
		SLICE("\1\3\0\1\0\10\0\0\0\0\0\0\0\0\0\0"),
	};

	check(texts, sizeof(texts) / sizeof(texts[0]), MATCH_RESPONSE);
}

static void what_is_neither(void **unused)
{
	static const struct slice texts[] = {
		SLICE(""),
		SLICE("\1"),
		SLICE("\1\1\0\1\0\10\0"),
		SLICE("\2\1\0\1\0\10\0\0" ROLE),
		SLICE("\1\1\0\0\0\10\0\0" ROLE),
		SLICE("\1\1\0\1\0\11\0\0" ROLE),
		SLICE("\1\1\0\1\0\10\1\0" ROLE),
		SLICE("\1\1\0\1\0\10\0\1" ROLE),
		SLICE(BEGIN "\0\0\0\0\0\0\0\0"),
		SLICE(BEGIN "\0\4\0\0\0\0\0\0"),
		SLICE(BEGIN "\0\1\2\0\0\0\0\0"),
		SLICE(BEGIN "\0\1\0\0\0\0\0\1"),
		SLICE("\1\5\0\1\0\0\0\0" BEGIN), /* not what it is alone */
		SLICE("\1\5\0\1\0\10\0\0"),
		SLICE("\1\6\0\1\0\0\0\0\1\3\0\1"),
		SLICE("\1\6\0\1\0\20\0\0"),
		SLICE("\1\6\0\1\0\20\0\0\0binary"),
		SLICE("\1\6\0\1\0\20\0\1Status: 200"),
		SLICE("\1\3\0\1\0\10\0\0"),
		SLICE("\1\12\0\0\0\20\0\0\17\1FCGI_MPXS_CONNS0"),
		SLICE("GET / HTTP/1.1\r\n\r\n"),
	};

	check(texts, sizeof(texts) / sizeof(texts[0]), MATCH_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_begins),
		cmocka_unit_test(a_server_answers),
		cmocka_unit_test(what_is_neither),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
