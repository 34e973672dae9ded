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

static void call__begin(struct call *call)
{
	struct place client = { .conn_id = 1 }, server = { .conn_id = 2 };

	context_table__init(&call->table, 8);
	call->client = context_table__add(&call->table, client);
	call->server = context_table__add(&call->table, server);
	assert_true(call->client && call->server);
	call->client->span_id[0] = 1;
	call->client->answered = true;
	call->server->span_id[0] = 2;
	call->server->parent_id[0] = 1;
	call->server->parent = client;
	call->server->parent_remote = true;
}

static void leave(struct call *call, struct context *context, uint64_t *from, uint64_t *to)
{
	struct span span = { .start_unix_ns = *from, .end_unix_ns = *to };

	edge__fit(&call->table, context, &span);
	*from = span.start_unix_ns;
	*to = span.end_unix_ns;
}

static void test_server_that_leaves_second_ends_with_its_client(void **state)
{
	uint64_t from = 10, to = 20, server_from = 12, server_to = 21;
	struct call call;

	call__begin(&call);
	leave(&call, call.client, &from, &to);
	leave(&call, call.server, &server_from, &server_to);
	assert_int_equal(server_from, 12);
	assert_int_equal(server_to, 20);
	context_table__reset(&call.table);
}

static void test_client_that_leaves_second_ends_with_its_server(void **state)
{
	uint64_t from = 10, to = 20, server_from = 9, server_to = 21;
	struct call call;

	call__begin(&call);
	call.client->rough_start = true;
	leave(&call, call.server, &server_from, &server_to);
	leave(&call, call.client, &from, &to);
	assert_int_equal(from, 9);
	assert_int_equal(to, 21);
	context_table__reset(&call.table);
}

/* The clock is set between the two ends of a call: both are as long as they were. */
static void test_clock_that_is_set(void **state)
{
	static const int64_t steps[] = { -3600000000000, 3600000000000 };
	const uint64_t noon = 1700000000000000000;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct span client = { .start_unix_ns = noon + 10,
				       .end_unix_ns = noon + 20,
				       .unix_offset_ns = (int64_t)noon };
		int64_t later = (int64_t)noon + steps[i];
		struct span server = { .start_unix_ns = (uint64_t)later + 12,
				       .end_unix_ns = (uint64_t)later + 21,
				       .unix_offset_ns = later };
		struct call call;

		call__begin(&call);
		edge__fit(&call.table, call.client, &client);
		edge__fit(&call.table, call.server, &server);
		assert_true(server.start_unix_ns == (uint64_t)later + 12);
		assert_true(server.end_unix_ns == (uint64_t)later + 20);
		context_table__reset(&call.table);
	}
}

static void test_server_does_not_begin_before_its_client(void **state)
{
	uint64_t from = 10, to = 20, server_from = 9, server_to = 9;
	struct call call;

	call__begin(&call);
	leave(&call, call.client, &from, &to);
	leave(&call, call.server, &server_from, &server_to);
	assert_int_equal(server_from, 10);
	assert_int_equal(server_to, 10);
	context_table__reset(&call.table);
}

/* Its server may work on for nobody. */
static void test_client_that_gave_up_bounds_no_server(void **state)
{
	uint64_t from = 10, to = 20, server_from = 12, server_to = 90;
	struct call call;

	call__begin(&call);
	call.client->answered = false;
	leave(&call, call.client, &from, &to);
	leave(&call, call.server, &server_from, &server_to);
	assert_int_equal(server_to, 90);
	context_table__reset(&call.table);
}

/* One place may stand for several requests, and only one of these is the parent. */
static void test_only_a_child_is_fitted(void **state)
{
	uint64_t from = 10, to = 20, server_from = 5, server_to = 90;
	struct call call;

	call__begin(&call);
	call.server->parent_id[0] = 0;
	leave(&call, call.client, &from, &to);
	leave(&call, call.server, &server_from, &server_to);
	assert_int_equal(server_from, 5);
	assert_int_equal(server_to, 90);
	context_table__reset(&call.table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_server_that_leaves_second_ends_with_its_client),
		cmocka_unit_test(test_client_that_leaves_second_ends_with_its_server),
		cmocka_unit_test(test_clock_that_is_set),
		cmocka_unit_test(test_server_does_not_begin_before_its_client),
		cmocka_unit_test(test_client_that_gave_up_bounds_no_server),
		cmocka_unit_test(test_only_a_child_is_fitted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
