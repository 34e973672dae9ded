// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "user/flow/trace.h"

#define HALF (1ULL << 55) /* of 56 random bits */

static int begin(void **state)
{
	static struct flow_config config;

	flow_config__defaults(&config);
	*state = &config;
	return 0;
}

/* The trace that the request at @pos of a connection begins. */
static struct context start(const struct flow_config *config, uint64_t pos, uint8_t ref)
{
	struct transaction txn = {
		.conn_id = 7,
		.request_pos = pos,
		.role = ROLE_CLIENT,
		.ref = ref,
		.ref_conn = 9,
	};
	struct context context = { 0 };

	arena__init(&txn.text, ARENA_INLINE_BYTES);
	trace__begin(&txn, config, NULL, &context);
	arena__reset(&txn.text);
	return context;
}

static uint64_t randomness(const struct context *context)
{
	uint64_t value = 0;

	for (int i = 9; i < 16; i++)
		value = value << 8 | context->trace_id[i];
	return value;
}

/* Whoever else samples by the same id decides the same, and a backend can count what is missing. */
static void test_ratio_is_decided_by_the_trace_id(void **state)
{
	struct flow_config *config = *state;
	int kept = 0;

	config->sampler = SAMPLER_RATIO;
	config->sampler_threshold = HALF;
	for (uint64_t pos = 0; pos < 256; pos++) {
		struct context context = start(config, pos, REF_NONE);

		assert_int_equal(context.sampled, randomness(&context) >= HALF);
		assert_int_equal(context.flags & TRACE_FLAG_SAMPLED, context.sampled);
		assert_true(
			slice__eq(context.state, context.sampled ? SLICE("ot=th:8") : SLICE("")));
		kept += context.sampled;
		context__reset(&context);
	}
	assert_in_range(kept, 88, 168); /* five standard deviations */
}

static void test_sampler_that_is_off_keeps_none(void **state)
{
	struct flow_config *config = *state;
	struct context context;

	config->sampler = SAMPLER_ALWAYS_OFF;
	context = start(config, 0, REF_NONE);
	assert_false(context.sampled);
	assert_int_equal(context.flags & TRACE_FLAG_SAMPLED, 0);
	assert_true(context.known);
}

/* The names that the README lists, and nothing of what no kernel of ours says. */
static void test_links_have_names(void **state)
{
	static const char *const names[] = {
		[REF_THREAD] = "thread",       [REF_TURN] = "turn",
		[REF_LIKELY] = "likely",       [REF_GOROUTINE] = "goroutine",
		[REF_PYCONTEXT] = "pycontext", [REF_PROCESS] = "process",
		[REF_CONTEXT] = "context",     [REF_PEER] = "peer",
	};

	for (uint8_t ref = REF_THREAD; ref <= REF_PEER; ref++) {
		struct context context = start(*state, 0, ref);

		assert_string_equal(trace__link(context.parent_link).data, names[ref]);
		assert_int_equal(context.parent.conn_id, 9);
		assert_int_equal(context.parent_remote, ref == REF_PEER);
		assert_false(context.known);
	}
	for (unsigned int ref = REF_OPTION; ref <= UINT8_MAX; ref++) {
		struct context context = start(*state, 0, (uint8_t)ref);

		assert_int_equal(context.parent.conn_id, 0);
		assert_true(context.known);
	}
	assert_string_equal(trace__link(UINT8_MAX).data, "none");
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_ratio_is_decided_by_the_trace_id),
		TEST(test_sampler_that_is_off_keeps_none),
		TEST(test_links_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
