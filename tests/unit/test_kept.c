// SPDX-License-Identifier: Apache-2.0
/*
 * What connections keep of their spans to save work: it counts towards what is held, and takes no
 * room from those who need it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/pipeline_scene.h"
#include "user/flow/repeat.h"

static size_t exchange(struct bench *b)
{
	bench__feed(b, 1, DIR_SEND, GET);
	bench__feed(b, 1, DIR_RECV, RESPONSE);
	return pipeline__held(b->pipeline);
}

/* A request that comes for the second time, and then ends in another way than by its answer: what
 * is kept of it counts at once. */
static size_t give_up(struct bench *b)
{
	bench__feed(b, 1, DIR_SEND, GET);
	b->now += 2 * b->config.response_timeout_ns;
	pipeline__tick(b->pipeline, b->now);
	return pipeline__held(b->pipeline);
}

static void test_what_is_kept_counts_when_given_up(void **state)
{
	struct bench *b = *state;
	size_t held;

	b->config.idle_timeout_ns = 10 * b->config.response_timeout_ns;
	bench__start(b);
	bench__feed_conn(b, 1, ROLE_CLIENT, 0);
	held = give_up(b);
	assert_true(give_up(b) > held);
	assert_int_equal(b->count, 2);
}

static size_t hold(struct bench *b)
{
	bench__feed(b, 1, DIR_SEND, GET);
	b->flags = DATA_SEND_PENDING;
	bench__feed(b, 1, DIR_RECV, RESPONSE);
	b->now += 200 * MS;
	pipeline__tick(b->pipeline, b->now);
	return pipeline__held(b->pipeline);
}

static void test_what_is_kept_counts_when_overdue(void **state)
{
	struct bench *b = *state;
	size_t held;

	bench__start(b);
	bench__feed_conn(b, 1, ROLE_CLIENT, 0);
	held = hold(b);
	assert_true(hold(b) > held);
	assert_int_equal(b->count, 2);
}

static void test_what_is_kept_counts_at_the_end(void **state)
{
	struct bench *b = *state;
	size_t held;

	bench__start(b);
	bench__feed_conn(b, 1, ROLE_CLIENT, 0);
	held = exchange(b);
	bench__feed(b, 1, DIR_SEND, GET);
	bench__feed_close(b, 1, CLOSE_PEER_EOF);
	assert_int_equal(b->count, 2);
	assert_true(pipeline__held(b->pipeline) > held);
	bench__feed_close(b, 1, CLOSE_DONE);
	assert_int_equal(pipeline__held(b->pipeline), 0);
}

/* A connection that says nothing needs none of it. */
static void test_who_rests_keeps_nothing(void **state)
{
	struct bench *b = *state;
	size_t held;

	bench__start(b);
	bench__feed_conn(b, 1, ROLE_CLIENT, 0);
	held = exchange(b);
	assert_true(exchange(b) > held);
	pipeline__tick(b->pipeline, b->now + 2 * b->config.idle_timeout_ns);
	assert_int_equal(b->ledger.count[LEDGER_CONNECTIONS_IDLE], 1);
	assert_int_equal(pipeline__held(b->pipeline), held);
}

/* What is kept to save work leaves the room to those who need it. */
static void test_what_is_kept_refuses_nobody(void **state)
{
	struct bench *b = *state;
	char request[64];

	b->config.max_held_bytes = 4096;
	bench__start(b);
	for (uint64_t id = 1; id <= 2; id++) {
		bench__feed_conn(b, id, ROLE_SERVER, 0);
		for (int i = 0; i < 3 * REPEAT_STATEMENTS; i++) {
			snprintf(request, sizeof(request), "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n",
				 i % REPEAT_STATEMENTS);
			bench__feed(b, id, DIR_RECV, request);
			bench__feed(b, id, DIR_SEND, RESPONSE);
		}
	}
	assert_int_equal(b->ledger.count[LEDGER_REQUESTS_REFUSED], 0);
	assert_int_equal(b->ledger.count[LEDGER_SPANS], 2 * 3 * REPEAT_STATEMENTS);
}

/* Where all connections keep as much as may be kept, what is of no use any more is given up all the
 * same. */
static void test_what_changes_is_given_up(void **state)
{
	struct bench *b = *state;
	char request[1024];
	size_t held;

	b->config.max_held_bytes = 16 * 1024;
	bench__start(b);
	bench__feed_conn(b, 1, ROLE_SERVER, 0);
	snprintf(request, sizeof(request), "GET /%0900d HTTP/1.1\r\nHost: a\r\n\r\n", 7);
	for (int times = 0; times < 2; times++) {
		bench__feed(b, 1, DIR_RECV, request);
		bench__feed(b, 1, DIR_SEND, RESPONSE);
	}
	held = pipeline__held(b->pipeline);
	assert_true(held > b->config.max_held_bytes / 8);
	for (int times = 0; times < 2; times++) {
		bench__feed(b, 1, DIR_RECV, GET);
		bench__feed(b, 1, DIR_SEND, RESPONSE);
		assert_true(pipeline__held(b->pipeline) < held);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench__setup, bench__teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_kept_counts_when_given_up),
		TEST(test_what_is_kept_counts_when_overdue),
		TEST(test_what_is_kept_counts_at_the_end),
		TEST(test_who_rests_keeps_nothing),
		TEST(test_what_is_kept_refuses_nobody),
		TEST(test_what_changes_is_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
