// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "user/base/sha1.h"

static void assert_sha1(struct slice in, const char *expected)
{
	uint8_t hash[SHA1_BYTES];
	char text[2 * SHA1_BYTES + 1];

	sha1__digest(in, hash);
	for (int i = 0; i < SHA1_BYTES; i++)
		snprintf(text + 2 * i, 3, "%02x", hash[i]);
	assert_string_equal(text, expected);
}

/* The vectors of RFC 3174 and FIPS 180, and every length around the padding. */
static void test_sha1(void **state)
{
	static const uint8_t dns[UUID_BYTES] = { 0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1,
						 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8 };
	static char million[1000000];
	char uuid[UUID_TEXT_LEN + 1];

	assert_sha1(slice__of(NULL, 0), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
	assert_sha1(SLICE("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
	assert_sha1(SLICE("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
		    "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
	memset(million, 'a', sizeof(million));
	assert_sha1(slice__of(million, sizeof(million)),
		    "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
	assert_sha1(slice__of(million, 55), "c1c8bbdc22796e28c0e15163d20899b65621d65a");
	assert_sha1(slice__of(million, 64), "0098ba824b5c16427bd7a1122a5a442a25ec644d");
	/* the example of RFC 9562 */
	sha1__uuid5(dns, SLICE("www.example.com"), uuid);
	assert_string_equal(uuid, "2ed6657d-e927-568b-95e1-2665a8aea6a2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sha1),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
