// SPDX-License-Identifier: Apache-2.0
/* bpf/ids.h: ids are those of SipHash-1-3, never zero, and uniform where samplers look. */
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

/* What CPython, from 3.11 on, makes of bytes(range(17)) with PYTHONHASHSEED=0: a key of zeros. */
static void hash_is_siphash(void **state)
{
	struct ids_key key = { { 0, 0 } };
	struct ids_state begun = ids__start(&key, 0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL);

	assert_true(ids__finish(begun, 0x10) == 0x4883c49a2c009c1dULL);
}

static uint64_t random56(const struct ids_key *key, uint64_t conn_id, uint32_t dir, uint64_t pos)
{
	struct ids_state ids = ids__begin(key, conn_id, dir, pos);

	return ids__random56(&ids);
}

static void ids_are_big_endian_and_repeatable(void **state)
{
	struct ids_key key = test_key();
	struct ids_state ids = ids__begin(&key, 42, 1, 1000);
	uint8_t trace[16], again[16], span[8];
	uint64_t low = 0;

	ids__trace(&ids, trace);
	ids__trace(&ids, again);
	ids__span(&ids, span);
	assert_memory_equal(trace, again, sizeof(trace));
	assert_memory_not_equal(trace, span, sizeof(span));
	assert_memory_not_equal(trace + 8, span, sizeof(span));
	for (int i = 9; i < 16; i++)
		low = low << 8 | trace[i];
	assert_true(low == random56(&key, 42, 1, 1000));
}

static void every_input_counts(void **state)
{
	struct ids_key key = test_key(), other = key;
	uint64_t r = random56(&key, 42, 0, 1000);

	other.word[1] ^= 1ULL << 63;
	assert_true(r != random56(&key, 43, 0, 1000));
	assert_true(r != random56(&key, 42, 1, 1000));
	assert_true(r != random56(&key, 42, 0, 1001));
	assert_true(r != random56(&other, 42, 0, 1000));
	/* pos is shifted to make room for direction and lane: neighbours must not meet */
	for (uint64_t pos = 0; pos < 64; pos++) {
		for (uint64_t next = pos + 1; next < 64; next++) {
			assert_true(random56(&key, 1, 0, pos) != random56(&key, 1, 0, next));
			assert_true(random56(&key, 1, 0, pos) != random56(&key, 1, 1, next));
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
		uint64_t r = random56(&key, 1ULL << 40 | i / 50, i & 1, i % 50 * 80);

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
