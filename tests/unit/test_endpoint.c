// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/socket.h>

#include "user/flow/endpoint.h"

static struct endpoint v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return (struct endpoint){ .family = AF_INET, .port = 80, .addr = { a, b, c, d } };
}

static struct endpoint mapped(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return (struct endpoint){
		.family = AF_INET6,
		.port = 80,
		.addr = { [10] = 0xff, [11] = 0xff, [12] = a, [13] = b, [14] = c, [15] = d },
	};
}

static void check(struct endpoint e, const char *address, const char *type)
{
	char text[ENDPOINT_TEXT_BYTES];
	struct slice got = endpoint__address(&e, text, sizeof(text));

	if (!slice__eq(got, slice__str(address)))
		fail_msg("\"%.*s\", not \"%s\"", (int)got.len, got.data, address);
	endpoint__write(&e); /* the same, whether it is written down or not */
	got = endpoint__address(&e, text, sizeof(text));
	if (!slice__eq(got, slice__str(address)))
		fail_msg("written \"%.*s\", not \"%s\"", (int)got.len, got.data, address);
	if (type)
		assert_string_equal(endpoint__network_type(&e), type);
	else
		assert_null(endpoint__network_type(&e));
}

static void test_text(void **unused)
{
	struct endpoint path = { .family = AF_UNIX };

	check(v4(0, 0, 0, 0), "0.0.0.0", "ipv4");
	check(v4(9, 10, 99, 100), "9.10.99.100", "ipv4");
	check(v4(101, 205, 250, 255), "101.205.250.255", "ipv4");
	check(mapped(127, 0, 0, 1), "127.0.0.1", "ipv4");
	check((struct endpoint){ .family = AF_INET6, .addr = { [15] = 1 } }, "::1", "ipv6");
	check((struct endpoint){ .family = AF_INET6, .addr = { 0x20, 0x01, 0xd, 0xb8, [15] = 1 } },
	      "2001:db8::1", "ipv6");
	check(path, "", NULL);
	check((struct endpoint){ .family = AF_UNIX, .path = "@abstract" }, "@abstract", NULL);
	memset(path.path, 'x', sizeof(path.path)); /* without its NUL */
	assert_int_equal(
		endpoint__address(&path, (char[ENDPOINT_TEXT_BYTES]){ 0 }, ENDPOINT_TEXT_BYTES).len,
		sizeof(path.path));
	check((struct endpoint){ 0 }, "", NULL);
	assert_int_equal(
		endpoint__address(NULL, (char[ENDPOINT_TEXT_BYTES]){ 0 }, ENDPOINT_TEXT_BYTES).len,
		0);
	assert_null(endpoint__network_type(NULL));
}

static void test_equal(void **unused)
{
	struct endpoint a = v4(127, 0, 0, 1), b = mapped(127, 0, 0, 1), c = v4(127, 0, 0, 2);
	struct endpoint loop = { .family = AF_INET6, .port = 80, .addr = { [15] = 1 } };
	struct endpoint x = { .family = AF_UNIX, .path = "/x" };
	struct endpoint y = { .family = AF_UNIX, .path = "/y" };

	assert_true(endpoint__equal(&a, &a));
	assert_true(endpoint__equal(&a, &b));
	assert_true(endpoint__equal(&b, &a));
	assert_false(endpoint__equal(&a, &c));
	assert_false(endpoint__equal(&b, &loop));
	assert_true(endpoint__equal(&loop, &loop));
	assert_true(endpoint__equal(&x, &x));
	assert_false(endpoint__equal(&x, &y));
	assert_false(endpoint__equal(&x, &a));
	b.port = 81;
	assert_false(endpoint__equal(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
