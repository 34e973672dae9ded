// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "user/export/health.h"
#include "user/log.h"

#define SECOND_NS 1000000000ull

/* Results of a collector that takes what it is given every other time; how many are told. */
static size_t told_of(uint64_t step_ns, size_t results)
{
	struct health h;
	size_t told = 0;

	health__init(&h, "http://collector:4318/v1/traces", 2048);
	for (size_t i = 1; i <= results; i++) {
		enum health_state before = h.state;

		if (i % 2)
			health__refusing(&h, i * step_ns, i, 400, "HTTP 400");
		else
			health__good(&h, i * step_ns, i);
		told += h.state != before;
	}
	return told;
}

static void test_each_change_is_told(void **state)
{
	assert_int_equal(told_of(SECOND_NS, 1), 1);
	assert_int_equal(told_of(SECOND_NS, 4), 4);
	assert_int_equal(told_of(3600 * SECOND_NS, 10), 10);
}

static void test_many_changes_are_not(void **state)
{
	/* a hundred seconds: six at once, and one for every ten */
	assert_in_range(told_of(SECOND_NS / 100, 10000), 10, 16);
}

/* What was not told is told when the next result says the same. */
static void test_the_last_state_is_told(void **state)
{
	struct health h;

	health__init(&h, "http://collector:4318/v1/traces", 2048);
	for (uint64_t i = 1; i <= 8; i++) {
		health__unreachable(&h, i, i, 0, "no answer in time");
		health__good(&h, i, i);
	}
	assert_int_equal(h.state, HEALTH_GOOD);
	health__refusing(&h, 9, 9, 400, "HTTP 400");
	assert_int_equal(h.state, HEALTH_GOOD);
	health__refusing(&h, 11 * SECOND_NS, 9, 400, "HTTP 400");
	assert_int_equal(h.state, HEALTH_REFUSING);
}

static int set_up(void **state)
{
	log__set_level(LOG_ERROR);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_change_is_told),
		cmocka_unit_test(test_many_changes_are_not),
		cmocka_unit_test(test_the_last_state_is_told),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
