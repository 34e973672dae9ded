// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "user/flow/stream.h"

#define MAX_BYTES 65536

static int64_t reserve_and_add(struct stream *s, const struct segment *range, struct slice captured,
			       size_t max_bytes)
{
	int err = stream__reserve(s, range);

	return err ? err : (int64_t)stream__add(s, range, captured, max_bytes);
}

static int64_t add(struct stream *s, uint64_t pos, uint64_t size, const char *bytes, bool tail)
{
	struct segment range = {
		.pos = pos,
		.size = size,
		.captured = (uint32_t)strlen(bytes),
		.tail = tail,
		.start_ns = 10 * pos,
		.end_ns = 10 * pos + 5,
	};

	return reserve_and_add(s, &range, slice__str(bytes), MAX_BYTES);
}

static void expect_run(const struct stream *s, const char *bytes)
{
	assert_true(slice__eq(stream__run(s), slice__str(bytes)));
}

static void test_joins_what_follows(void **state)
{
	struct stream s;

	stream__init(&s, 100);
	assert_int_equal(add(&s, 100, 3, "abc", false), 0);
	assert_int_equal(add(&s, 103, 2, "de", false), 0);
	expect_run(&s, "abcde");
	assert_false(stream__cut(&s));
	assert_int_equal(stream__here(&s)->start_ns, 1000);
	assert_int_equal(stream__advance(&s, 4), 4);
	expect_run(&s, "e");
	assert_int_equal(stream__here(&s)->start_ns, 1030);
	assert_int_equal(s.last_ns, 1035);
	stream__reset(&s);
}

static void test_idle_stream_is_small(void **state)
{
	struct stream s;

	stream__init(&s, 0);
	for (uint64_t pos = 0; pos < 8000; pos += 2)
		add(&s, pos, 2, "ab", false);
	assert_int_equal(stream__run(&s).len, 8000);
	stream__advance(&s, 8000);
	assert_true(s.cap <= 1024);
	assert_true(s.room <= 16);
	add(&s, 8000, 2, "ab", false);
	expect_run(&s, "ab");
	stream__reset(&s);
}

static void test_hole_is_a_gap(void **state)
{
	struct stream s;

	stream__init(&s, 0);
	add(&s, 0, 2, "ab", false);
	assert_int_equal(add(&s, 5, 2, "fg", false), 3);
	expect_run(&s, "ab");
	assert_true(stream__cut(&s));
	assert_int_equal(stream__gap(&s), 0);
	stream__advance(&s, 2);
	assert_int_equal(stream__gap(&s), 3);
	expect_run(&s, "");
	assert_int_equal(stream__advance(&s, 3), 0);
	expect_run(&s, "fg");
	stream__reset(&s);
}

static void test_head_and_tail_of_long_ranges(void **state)
{
	struct stream s;

	stream__init(&s, 0);
	assert_int_equal(add(&s, 0, 10, "abc", false), 7);
	assert_int_equal(add(&s, 10, 10, "xyz", true), 7);
	expect_run(&s, "abc");
	stream__advance(&s, 3);
	assert_int_equal(stream__gap(&s), 14); /* the rest of one and the head of the other */
	stream__advance(&s, 14);
	expect_run(&s, "xyz");
	assert_false(stream__cut(&s));
	assert_int_equal(stream__advance(&s, 3), 3);
	assert_int_equal(stream__left(&s), 0);
	stream__reset(&s);
}

static void test_passes_over_captured_bytes(void **state)
{
	struct stream s;

	stream__init(&s, 0);
	add(&s, 0, 10, "abc", false);
	add(&s, 10, 5, "klmno", false);
	assert_int_equal(stream__advance(&s, 12), 5); /* abc, kl */
	expect_run(&s, "mno");
	stream__reset(&s);
}

/* Each byte is counted once, however many ranges wait behind those that are passed. */
static void test_passes_many_gaps_one_by_one(void **state)
{
	const uint64_t ranges = 4096;
	struct stream s;

	stream__init(&s, 0);
	for (uint64_t i = 0; i < ranges; i++)
		assert_int_equal(add(&s, 8 * i, 8, i % 2 ? "xyz" : "abc", i % 2), 5);
	for (uint64_t i = 0; i < ranges; i += 2) {
		assert_int_equal(stream__advance(&s, 8), 3);
		assert_int_equal(stream__advance(&s, 7), 2);
		assert_int_equal(stream__run(&s).data[0], 'z');
		assert_int_equal(stream__advance(&s, 1), 1);
	}
	assert_int_equal(stream__left(&s), 0);
	assert_int_equal(s.len, 0);
	stream__reset(&s);
}

static void test_what_was_there_is_ignored(void **state)
{
	struct stream s;

	stream__init(&s, 0);
	add(&s, 0, 4, "abcd", false);
	assert_int_equal(add(&s, 0, 4, "abcd", false), 0);
	assert_int_equal(add(&s, 2, 4, "cdef", false), 0);
	expect_run(&s, "abcdef");
	add(&s, 4, 6, "hij", true); /* 4..10, of which 7..10 captured, 6..10 new */
	stream__advance(&s, 6);
	assert_int_equal(stream__gap(&s), 1);
	stream__advance(&s, 1);
	expect_run(&s, "hij");
	stream__reset(&s);
}

static void test_bounded(void **state)
{
	struct segment range = { .pos = 0, .size = 6, .captured = 6 };
	struct stream s;

	stream__init(&s, 0);
	assert_int_equal(reserve_and_add(&s, &range, SLICE("abcdef"), 8), 0);
	range.pos = 6;
	assert_int_equal(reserve_and_add(&s, &range, SLICE("ghijkl"), 8), 6);
	expect_run(&s, "abcdef");
	assert_true(stream__cut(&s));
	assert_int_equal(stream__left(&s), 12);
	stream__reset(&s);
}

static void test_many_segments(void **state)
{
	struct stream s;
	int64_t missing = 0;

	stream__init(&s, 0);
	for (uint64_t i = 0; i < 10000 && missing >= 0; i++)
		missing = add(&s, i, 1, "x", false);
	assert_true(missing < 0); /* bounded */
	assert_int_equal(stream__run(&s).len, 4096);
	assert_int_equal(stream__advance(&s, 4096), 4096);
	assert_int_equal(add(&s, 4096, 1, "y", false), 0);
	expect_run(&s, "y");
	stream__reset(&s);
}

static void test_positions_at_the_end_of_the_range(void **state)
{
	struct stream s;

	stream__init(&s, UINT64_MAX - 10);
	add(&s, UINT64_MAX - 10, 4, "abcd", false);
	expect_run(&s, "abcd");
	/* a hostile record that wraps is older than the end: ignored */
	assert_int_equal(add(&s, UINT64_MAX - 2, 100, "zz", false), 0);
	expect_run(&s, "abcd");
	stream__reset(&s);
}

/* What was borrowed is the stream's own before it goes. */
static void test_unread_bytes_are_kept(void **state)
{
	struct segment range = { .size = 6, .captured = 6 };
	char record[] = "abcdef";
	struct stream s;

	stream__init(&s, 0);
	assert_int_equal(reserve_and_add(&s, &range, slice__str(record), 8), 0);
	assert_ptr_equal(stream__run(&s).data, record);
	stream__advance(&s, 2);
	stream__keep(&s);
	memset(record, 'x', sizeof(record));
	assert_true(slice__eq(stream__run(&s), SLICE("cdef")));
	range.pos = 6;
	assert_int_equal(reserve_and_add(&s, &range, SLICE("ghijkl"), 10), 0);
	assert_true(slice__eq(stream__run(&s), SLICE("cdefghijkl")));
	stream__reset(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_joins_what_follows),
		cmocka_unit_test(test_idle_stream_is_small),
		cmocka_unit_test(test_hole_is_a_gap),
		cmocka_unit_test(test_head_and_tail_of_long_ranges),
		cmocka_unit_test(test_passes_over_captured_bytes),
		cmocka_unit_test(test_passes_many_gaps_one_by_one),
		cmocka_unit_test(test_what_was_there_is_ignored),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_many_segments),
		cmocka_unit_test(test_unread_bytes_are_kept),
		cmocka_unit_test(test_positions_at_the_end_of_the_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
