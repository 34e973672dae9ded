// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "user/flow/config.h"
#include "user/flow/route.h"

static void check(const struct flow_config *config, const char *path, enum route_source source,
		  const char *want)
{
	struct arena arena;
	struct slice out;

	arena__init(&arena, 64 * 1024);
	if (route__find(config, slice__str(path), &arena, &out) != source ||
	    !slice__eq(out, slice__str(want)))
		fail_msg("\"%s\" gives \"%.*s\", not \"%s\"", path, (int)out.len, out.data, want);
	arena__reset(&arena);
}

static void test_ids(void **unused)
{
	static const char *const ids[] = {
		"0",
		"42",
		"-1",
		"2024-01-31",
		"1,2,3",
		"3f2504e0-4f89-11d3-9a0c-0305e82c3301",
		"3F2504E0-4F89-11D3-9A0C-0305E82C3301",
		"{3f2504e0-4f89-11d3-9a0c-0305e82c3301}",
		"3f2504e04f8911d39a0c0305e82c3301",
		"507f1f77bcf86cd799439011",
		"deadbee1",
		"0x1f9840a85d5af5bf1d1762f925bdaddc4201f984",
		"01ARZ3NDEKTSV4RRFFQ69G5FAV",
		"cjld2cjxh0000qzrmn831i7rn",
		"V1StGXR8_Z5jdHi6B-myT",
		"0ujtsYcgvSTl8PAuAdqWYSMnLOv",
		"cus_NffrFeUfNV2Hib",
		"dGhpcyBpcyBhIHRva2VuIDEyMzQ1Ng==",
	};
	static const char *const words[] = {
		"",
		"-",
		"users",
		"v1",
		"v2beta1",
		"1.0",
		"facade",
		"deadbeef", /* no digit: may be a word */
		"decade1",
		"oauth2",
		"index.html",
		"my-first-post-of-2024",
		"top-10-tips-for-2024-by-joe",
		"iphone15pro-max-256gb-case",
		"getUserProfileByName",
		"camelCaseActionName2",
		"SCREAMING_SNAKE_CASE_1",
		"internationalization",
		"app.3f2a9b8c.js",
		"user@example.com",
		"caf\xc3\xa9",
		"{id}",
		"*",
	};

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		if (!route__is_id(slice__str(ids[i])))
			fail_msg("\"%s\" is an id", ids[i]);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (route__is_id(slice__str(words[i])))
			fail_msg("\"%s\" is no id", words[i]);
}

static void test_guess(void **unused)
{
	static const char *const cases[][2] = {
		{ "/", "/" },
		{ "/users", "/users" },
		{ "/users/", "/users/" },
		{ "/users/42", "/users/{id}" },
		{ "/users/42/", "/users/{id}/" },
		{ "/users/42/orders/7", "/users/{id}/orders/{id}" },
		{ "/api/v1/items/3f2504e0-4f89-11d3-9a0c-0305e82c3301", "/api/v1/items/{id}" },
		{ "/static/app.3f2a9b8c.js", "/static/app.3f2a9b8c.js" },
		{ "/avatars/123.png", "/avatars/{id}.png" },
		{ "/shop;jsessionid=0123456789abcdef/cart", "/shop/cart" },
		{ "/items/42;v=1", "/items/{id}" },
		{ "//x", "//x" },
	};
	struct flow_config config = { .route_heuristic = true };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(&config, cases[i][0], ROUTE_GUESS, cases[i][1]);
	check(&config, "", ROUTE_NONE, "");
	check(&config, "*", ROUTE_NONE, "");
	config.route_heuristic = false;
	check(&config, "/users/42", ROUTE_NONE, "");
}

static void test_guess_is_bounded(void **unused)
{
	struct flow_config config = { .route_heuristic = true };
	char path[4096];
	struct arena arena;
	struct slice out;

	arena__init(&arena, 64 * 1024);
	for (size_t i = 0; i < sizeof(path); i += 2)
		memcpy(path + i, "/a", 2);
	assert_int_equal(route__find(&config, slice__of(path, sizeof(path)), &arena, &out),
			 ROUTE_GUESS);
	assert_int_equal(out.len, 2 * ROUTE_SEGMENTS + 2);
	assert_memory_equal(out.data + out.len - 2, "/*", 2);
	for (size_t len = 1; len < 600; len++) {
		memset(path, 'x', sizeof(path));
		path[0] = '/';
		assert_int_equal(route__find(&config, slice__of(path, len), &arena, &out),
				 ROUTE_GUESS);
		assert_true(out.len <= ROUTE_BYTES);
		arena__reset(&arena);
	}
}

static void test_patterns(void **unused)
{
	static const char *const routes[] = { "/users/me", "/users/{id}/orders/{oid}",
					      "/files/*",  "/dl/{name}.zip",
					      "/*/status", "no-slash",
					      "/open{",	   "/",
					      NULL };
	struct flow_config config = { .routes = routes };

	check(&config, "/users/me", ROUTE_PATTERN, "/users/me");
	check(&config, "/users/me/", ROUTE_PATTERN, "/users/me");
	check(&config, "/users/42/orders/x", ROUTE_PATTERN, "/users/{id}/orders/{oid}");
	check(&config, "/users//orders/x", ROUTE_NONE, "");
	check(&config, "/users/42/orders", ROUTE_NONE, "");
	check(&config, "/users/42/orders/x/y", ROUTE_NONE, "");
	check(&config, "/files/a/b/c", ROUTE_PATTERN, "/files/*");
	check(&config, "/files/", ROUTE_PATTERN, "/files/*");
	check(&config, "/file", ROUTE_NONE, "");
	check(&config, "/dl/a.zip", ROUTE_PATTERN, "/dl/{name}.zip");
	check(&config, "/dl/.zip", ROUTE_NONE, "");
	check(&config, "/dl/a.tar", ROUTE_NONE, "");
	check(&config, "/db/status", ROUTE_PATTERN, "/*/status");
	check(&config, "/a/b/status", ROUTE_NONE, "");
	check(&config, "no-slash", ROUTE_NONE, "");
	check(&config, "/open{", ROUTE_PATTERN, "/open{");
	check(&config, "/", ROUTE_PATTERN, "/");
	config.route_heuristic = true;
	check(&config, "/users/42/orders/7", ROUTE_PATTERN, "/users/{id}/orders/{oid}");
	check(&config, "/other/7", ROUTE_GUESS, "/other/{id}");
}

static void test_ignored(void **unused)
{
	static const char *const globs[] = { "/health*", "/metrics", NULL };
	struct flow_config config = { 0 };
	char path[4096];

	assert_false(route__ignored(&config, SLICE("/health")));
	config.ignore_paths = globs;
	assert_true(route__ignored(&config, SLICE("/health")));
	assert_true(route__ignored(&config, SLICE("/healthz/live")));
	assert_true(route__ignored(&config, SLICE("/metrics")));
	assert_false(route__ignored(&config, SLICE("/metrics2")));
	assert_false(route__ignored(&config, SLICE("/")));
	assert_false(route__ignored(&config, SLICE("")));
	memset(path, 'x', sizeof(path));
	memcpy(path, "/health", 7);
	assert_true(route__ignored(&config, slice__of(path, sizeof(path))));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_guess),
		cmocka_unit_test(test_guess_is_bounded),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
