// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "user/flow/url.h"

static void assert_slice(struct slice got, const char *want, const char *of)
{
	if (!slice__eq(got, slice__str(want)))
		fail_msg("\"%s\" gives \"%.*s\", not \"%s\"", of, (int)got.len, got.data, want);
}

static void test_split(void **unused)
{
	static const struct {
		const char *target;
		bool is_connect;
		enum url_form form;
		const char *scheme, *authority, *path, *query;
	} cases[] = {
		{ "/", false, URL_ORIGIN, "", "", "/", "" },
		{ "/a/b?c=d&e", false, URL_ORIGIN, "", "", "/a/b", "c=d&e" },
		{ "/a?", false, URL_ORIGIN, "", "", "/a", "" },
		{ "/a?b?c", false, URL_ORIGIN, "", "", "/a", "b?c" },
		{ "//host/a", false, URL_ORIGIN, "", "", "//host/a", "" },
		{ "/r?to=http://x/", false, URL_ORIGIN, "", "", "/r", "to=http://x/" },
		{ "http://h:1/p?q", false, URL_ABSOLUTE, "http", "h:1", "/p", "q" },
		{ "http://h", false, URL_ABSOLUTE, "http", "h", "/", "" },
		{ "http://h?q=1", false, URL_ABSOLUTE, "http", "h", "/", "q=1" },
		{ "averyveryverylongscheme://u:pw@h/x", false, URL_ABSOLUTE,
		  "averyveryverylongscheme", "u:pw@h", "/x", "" },
		{ "HTTPS://u:p@h/", false, URL_ABSOLUTE, "HTTPS", "u:p@h", "/", "" },
		{ "://h/", false, URL_ORIGIN, "", "", "://h/", "" },
		{ "http:/", false, URL_ORIGIN, "", "", "http:/", "" },
		{ "*", false, URL_ASTERISK, "", "", "*", "" },
		{ "h:443", true, URL_AUTHORITY, "", "h:443", "", "" },
		{ "", false, URL_ORIGIN, "", "", "", "" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct url_target out;

		url__split(slice__str(cases[i].target), cases[i].is_connect, &out);
		assert_int_equal(out.form, cases[i].form);
		assert_slice(out.scheme, cases[i].scheme, cases[i].target);
		assert_slice(out.authority, cases[i].authority, cases[i].target);
		assert_slice(out.path, cases[i].path, cases[i].target);
		assert_slice(out.query, cases[i].query, cases[i].target);
	}
}

static void test_host(void **unused)
{
	static const struct {
		const char *authority;
		bool valid;
		const char *name;
		int port;
	} cases[] = {
		{ "h", true, "h", -1 },
		{ "h:80", true, "h", 80 },
		{ "h:", true, "h", -1 },
		{ "h:65535", true, "h", 65535 },
		{ "h:65536", false, "", 0 },
		{ "h:080000", false, "", 0 },
		{ "h:x", false, "", 0 },
		{ "h:-1", false, "", 0 },
		{ "127.0.0.1:8080", true, "127.0.0.1", 8080 },
		{ "[::1]", true, "::1", -1 },
		{ "[::1]:8080", true, "::1", 8080 },
		{ "[::1", false, "", 0 },
		{ "[]:1", false, "", 0 },
		{ "[::1]x", false, "", 0 },
		{ "user:pass@h:1", true, "h", 1 },
		{ "a@b:c@h", true, "h", -1 },
		{ "", false, "", 0 },
		{ ":80", false, "", 0 },
		{ "h/x", false, "", 0 },
		{ "a b", false, "", 0 },
		{ "a\x01", false, "", 0 },
		{ "a,b", false, "", 0 },
		{ "a;12", false, "", 0 },
		{ "b\xc3\xbc.de", true, "b\xc3\xbc.de", -1 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct url_host out;

		if (url__host(slice__str(cases[i].authority), &out) != cases[i].valid)
			fail_msg("\"%s\"", cases[i].authority);
		if (!cases[i].valid)
			continue;
		assert_slice(out.name, cases[i].name, cases[i].authority);
		assert_int_equal(out.port, cases[i].port);
	}
}

static void test_redact(void **unused)
{
	static const char *const cases[][2] = {
		{ "", "" },
		{ "a=b", "a=b" },
		{ "a=b&c", "a=b&c" },
		{ "&&a=b&", "&&a=b&" },
		{ "sig=secret", "sig=REDACTED" },
		{ "sig=", "sig=REDACTED" },
		{ "sig", "sig" },
		{ "a=1&sig=secret&b=2", "a=1&sig=REDACTED&b=2" },
		{ "sig=s&sig=t", "sig=REDACTED&sig=REDACTED" },
		{ "AWSAccessKeyId=s&Signature=s&X-Amz-Signature=s&X-Amz-Credential=s"
		  "&X-Amz-Security-Token=s&X-Goog-Signature=s&sig=s",
		  "AWSAccessKeyId=REDACTED&Signature=REDACTED&X-Amz-Signature=REDACTED"
		  "&X-Amz-Credential=REDACTED&X-Amz-Security-Token=REDACTED"
		  "&X-Goog-Signature=REDACTED&sig=REDACTED" },
		{ "SIG=kept", "SIG=kept" }, /* the convention is case-sensitive */
		{ "mysig=kept", "mysig=kept" },
		{ "sig2=kept", "sig2=kept" },
		{ "s%69g=secret", "s%69g=REDACTED" },
		{ "%73%69%67=secret", "%73%69%67=REDACTED" },
		{ "s%6=kept", "s%6=kept" },
		{ "a=1;sig=secret;more", "a=1;sig=REDACTED" },
		{ "sig=sec;ret&b=2", "sig=REDACTED&b=2" },
		{ "sig=a=b&c=d", "sig=REDACTED&c=d" },
		{ "a=sig=kept", "a=sig=kept" },
		{ "a=b=c;sig=secret", "a=b=c;sig=REDACTED" },
		{ "=x", "=x" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = strlen(cases[i][0]);
		char *exact = malloc(len ? len : 1); /* so that ASan sees a read behind it */
		struct arena arena;

		assert_non_null(exact);
		memcpy(exact, cases[i][0], len);
		arena__init(&arena, 64 * 1024);
		assert_slice(url__redact_query(&arena, slice__of(exact, len)), cases[i][1],
			     cases[i][0]);
		arena__reset(&arena);
		free(exact);
	}
}

static void test_full(void **unused)
{
	static const struct {
		const char *authority, *path, *query, *want;
	} cases[] = {
		{ "h", "/", "", "http://h/" },
		{ "h:8080", "/a", "b=c", "http://h:8080/a?b=c" },
		{ "u:p@h", "/", "", "http://REDACTED:REDACTED@h/" },
		{ "u@h", "/", "", "http://REDACTED:REDACTED@h/" },
		{ "u:p@ss@h", "/", "", "http://REDACTED:REDACTED@h/" },
		{ "h", "/x", "sig=s&a=1", "http://h/x?sig=REDACTED&a=1" },
		{ "[::1]:80", "", "", "http://[::1]:80" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena arena;

		arena__init(&arena, 64 * 1024);
		assert_slice(url__full(&arena, SLICE("http"), slice__str(cases[i].authority),
				       slice__str(cases[i].path), slice__str(cases[i].query)),
			     cases[i].want, cases[i].want);
		arena__reset(&arena);
	}
}

static void test_without_room(void **unused)
{
	struct arena arena;

	arena__init(&arena, 8);
	assert_int_equal(url__redact_query(&arena, SLICE("sig=secret")).len, 0);
	assert_int_equal(url__full(&arena, SLICE("http"), SLICE("host"), SLICE("/"), SLICE("")).len,
			 0);
	arena__reset(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),	     cmocka_unit_test(test_host),
		cmocka_unit_test(test_redact),	     cmocka_unit_test(test_full),
		cmocka_unit_test(test_without_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
