// SPDX-License-Identifier: Apache-2.0
/* bpf/ids.h: ids are those of SipHash-2-4, never zero, and uniform where samplers look. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bpf/ids.h"

static struct ids_key test_key(void)
{
	uint8_t bytes[16];

	for (int i = 0; i < 16; i++)
		bytes[i] = i;
	return ids__key(bytes);
}

static void key_is_little_endian(void **state)
{
	struct ids_key key = test_key();

	assert_true(key.word[0] == 0x0706050403020100ULL);
	assert_true(key.word[1] == 0x0f0e0d0c0b0a0908ULL);
}

/* The published vector of SipHash-2-4 for key 00..0f and input 00..0f. */
static void hash_is_siphash(void **state)
{
	struct ids_key key = test_key();

	assert_true(ids__hash(&key, 0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL) ==
		    0x3f2acc7f57c29bdbULL);
}

static void ids_are_big_endian_and_repeatable(void **state)
{
	struct ids_key key = test_key();
	uint8_t trace[16], again[16], span[8];
	uint64_t low = 0;

	ids__trace(&key, 42, 1, 1000, trace);
	ids__trace(&key, 42, 1, 1000, again);
	ids__span(&key, 42, 1, 1000, span);
	assert_memory_equal(trace, again, sizeof(trace));
	assert_memory_not_equal(trace, span, sizeof(span));
	assert_memory_not_equal(trace + 8, span, sizeof(span));
	for (int i = 9; i < 16; i++)
		low = low << 8 | trace[i];
	assert_true(low == ids__random56(&key, 42, 1, 1000));
}

static void every_input_counts(void **state)
{
	struct ids_key key = test_key(), other = key;
	uint64_t r = ids__random56(&key, 42, 0, 1000);

	other.word[1] ^= 1ULL << 63;
	assert_true(r != ids__random56(&key, 43, 0, 1000));
	assert_true(r != ids__random56(&key, 42, 1, 1000));
	assert_true(r != ids__random56(&key, 42, 0, 1001));
	assert_true(r != ids__random56(&other, 42, 0, 1000));
	/* pos is shifted to make room for direction and lane: neighbours must not meet */
	for (uint64_t pos = 0; pos < 64; pos++) {
		for (uint64_t next = pos + 1; next < 64; next++) {
			assert_true(ids__random56(&key, 1, 0, pos) !=
				    ids__random56(&key, 1, 0, next));
			assert_true(ids__random56(&key, 1, 0, pos) !=
				    ids__random56(&key, 1, 1, next));
		}
	}
}

/* Each of the 56 bits is set in half of the ids; a threshold at 1/4 keeps 3/4. */
static void random_bits_are_uniform(void **state)
{
	enum { N = 20000 };
	struct ids_key key = test_key();
	int set[56] = { 0 }, kept = 0;

	for (uint64_t i = 0; i < N; i++) {
		uint64_t r = ids__random56(&key, 1ULL << 40 | i / 50, i & 1, i % 50 * 80);

		assert_true(r <= IDS_RANDOM_MASK);
		kept += r >= 1ULL << 54;
		for (int bit = 0; bit < 56; bit++)
			set[bit] += r >> bit & 1;
	}
	/* five standard deviations: 354 and 306 */
	for (int bit = 0; bit < 56; bit++)
		assert_in_range(set[bit], N / 2 - 360, N / 2 + 360);
	assert_in_range(kept, N * 3 / 4 - 310, N * 3 / 4 + 310);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_is_little_endian),
		cmocka_unit_test(hash_is_siphash),
		cmocka_unit_test(ids_are_big_endian_and_repeatable),
		cmocka_unit_test(every_input_counts),
		cmocka_unit_test(random_bits_are_uniform),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
