// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "user/flow/context.h"
#include "user/flow/edge.h"
#include "user/flow/span.h"

/* A client's request and the server's, both settled. */
struct call {
	struct context_table table;
	struct context *client, *server;
};

static int begin(void **state)
{
	struct place client = { .conn_id = 1 }, server = { .conn_id = 2 };
	static struct call call;

	context_table__init(&call.table, 8);
	call.client = context_table__add(&call.table, client);
	call.server = context_table__add(&call.table, server);
	if (!call.client || !call.server)
		return -1;
	call.client->span_id[0] = 1;
	call.client->answered = true;
	call.server->span_id[0] = 2;
	call.server->parent_id[0] = 1;
	call.server->parent = client;
	call.server->parent_remote = true;
	*state = &call;
	return 0;
}

static int end(void **state)
{
	context_table__reset(&((struct call *)*state)->table);
	return 0;
}

struct times {
	uint64_t from, to;
};

/* The span of @context was measured as @seen, and leaves as @told. */
static void expect(struct call *call, struct context *context, struct times seen, struct times told)
{
	struct span span = { .start_unix_ns = seen.from, .end_unix_ns = seen.to };

	edge__fit(&call->table, context, &span);
	assert_int_equal(span.start_unix_ns, told.from);
	assert_int_equal(span.end_unix_ns, told.to);
}

static void expect_same(struct call *call, struct context *context, struct times seen)
{
	expect(call, context, seen, seen);
}

static void test_server_that_leaves_second_ends_with_its_client(void **state)
{
	struct call *call = *state;

	expect_same(call, call->client, (struct times){ 10, 20 });
	expect(call, call->server, (struct times){ 12, 21 }, (struct times){ 12, 20 });
}

static void test_client_that_leaves_second_ends_with_its_server(void **state)
{
	struct call *call = *state;

	call->client->rough_start = true;
	expect_same(call, call->server, (struct times){ 9, 21 });
	expect(call, call->client, (struct times){ 10, 20 }, (struct times){ 9, 21 });
}

/* The clock is set between the two ends of a call: both are as long as they were. */
static void step(struct call *call, int64_t by)
{
	const int64_t noon = 1700000000000000000, later = noon + by;
	struct span client = { .start_unix_ns = (uint64_t)noon + 10,
			       .end_unix_ns = (uint64_t)noon + 20,
			       .unix_offset_ns = noon };
	struct span server = { .start_unix_ns = (uint64_t)later + 12,
			       .end_unix_ns = (uint64_t)later + 21,
			       .unix_offset_ns = later };

	edge__fit(&call->table, call->client, &client);
	edge__fit(&call->table, call->server, &server);
	assert_true(server.start_unix_ns == (uint64_t)later + 12);
	assert_true(server.end_unix_ns == (uint64_t)later + 20);
}

static void test_clock_that_is_set_forward(void **state)
{
	step(*state, 3600000000000);
}

static void test_clock_that_is_set_back(void **state)
{
	step(*state, -3600000000000);
}

static void test_server_does_not_begin_before_its_client(void **state)
{
	struct call *call = *state;

	expect_same(call, call->client, (struct times){ 10, 20 });
	expect(call, call->server, (struct times){ 9, 9 }, (struct times){ 10, 10 });
}

/* Its server may work on for nobody. */
static void test_client_that_gave_up_bounds_no_server(void **state)
{
	struct call *call = *state;

	call->client->answered = false;
	expect_same(call, call->client, (struct times){ 10, 20 });
	expect_same(call, call->server, (struct times){ 12, 90 });
}

/* One place may stand for several requests, and only one of these is the parent. */
static void test_only_a_child_is_fitted(void **state)
{
	struct call *call = *state;

	call->server->parent_id[0] = 0;
	expect_same(call, call->client, (struct times){ 10, 20 });
	expect_same(call, call->server, (struct times){ 5, 90 });
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_server_that_leaves_second_ends_with_its_client),
		TEST(test_client_that_leaves_second_ends_with_its_server),
		TEST(test_clock_that_is_set_forward),
		TEST(test_clock_that_is_set_back),
		TEST(test_server_does_not_begin_before_its_client),
		TEST(test_client_that_gave_up_bounds_no_server),
		TEST(test_only_a_child_is_fitted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
