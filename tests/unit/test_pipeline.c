// SPDX-License-Identifier: Apache-2.0
/*
 * What a .case cannot say of the pipeline: bounds, timers, records that no kernel sends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/pipeline_scene.h"
#include "user/protocols/protocol.h"

/* ---- records that no kernel sends ------------------------------------------------------- */

static void test_positions_do_not_wrap(void **state)
{
	struct bench *b = *state;

	bench__start(b);
	assert_int_equal(bench__feed_conn(b, 1, ROLE_CLIENT, UINT64_MAX - 4), -EBADMSG);
	assert_int_equal(bench__feed_conn(b, 1, ROLE_CLIENT, 0), 0);
	assert_int_equal(bench__feed(b, 1, DIR_SEND, GET), 0);
	b->pos[1][DIR_SEND] = INT64_MAX;
	assert_int_equal(bench__feed(b, 1, DIR_SEND, GET), -EBADMSG);
	assert_int_equal(b->ledger.count[LEDGER_RECORDS_MALFORMED], 2);
}

static void test_records_of_no_connection_are_counted(void **state)
{
	const struct event_process process = {
		.hdr = { EVENT_PROCESS, sizeof(process), START, 0 },
		.kind = PROCESS_EXIT,
	};
	struct bench *b = *state;

	bench__start(b);
	assert_int_equal(bench__feed(b, 1, DIR_SEND, GET), 0);
	bench__feed_close(b, 1, CLOSE_DONE);
	assert_int_equal(b->ledger.count[LEDGER_RECORDS_NO_CONN], 2);
	assert_int_equal(pipeline__record(b->pipeline, &process, sizeof(process)), 0);
	assert_int_equal(b->ledger.count[LEDGER_RECORDS_PROCESS], 1);
	bench__feed_conn(b, 1, ROLE_CLIENT, 0);
	bench__feed_conn(b, 1, ROLE_SERVER, 0); /* it is announced but once */
	assert_int_equal(b->ledger.count[LEDGER_CONNECTIONS], 1);
	assert_int_equal(b->count, 0);
}

/* ---- ends ------------------------------------------------------------------------------- */

/* The socket's error is the call's, at the time of day that it happened. */
static void test_error_of_the_socket_is_the_calls(void **state)
{
	const struct event_close event = {
		.hdr = { EVENT_CLOSE, sizeof(event), START + SECOND, 1 },
		.kind = CLOSE_DONE,
		.error = ETIMEDOUT,
	};
	struct bench *b = *state;

	bench__start(b);
	pipeline__set_clock(b->pipeline, 5 * SECOND);
	bench__feed_conn(b, 1, ROLE_CLIENT, 0);
	bench__feed(b, 1, DIR_SEND, GET);
	pipeline__record(b->pipeline, &event, sizeof(event));
	assert_int_equal(b->count, 1);
	assert_string_equal(b->seen[0].error, "timeout");
	assert_int_equal(b->seen[0].start_ns, START + 5 * SECOND);
	assert_int_equal(b->seen[0].end_ns, START + 6 * SECOND);
}

/* ---- bounds ----------------------------------------------------------------------------- */

/* Requests that are not followed keep their place: their responses are nobody else's. */
static void test_requests_are_refused_in_order(void **state)
{
	struct bench *b = *state;

	b->config.max_transactions = 4;
	bench__start(b);
	bench__feed_conn(b, 1, ROLE_CLIENT, 0);
	bench__feed_conn(b, 2, ROLE_CLIENT, 0);
	for (int i = 0; i < 4; i++)
		bench__feed(b, 1, DIR_SEND, GET);
	assert_int_equal(b->ledger.count[LEDGER_REQUESTS_REFUSED], 2);
	bench__feed(b, 2, DIR_SEND, GET); /* there is room for others */
	assert_int_equal(b->ledger.count[LEDGER_REQUESTS_REFUSED], 2);
	b->now += MS;
	bench__feed(b, 1, DIR_RECV, RESPONSE);
	bench__feed(b, 1, DIR_SEND, GET); /* behind two whose responses are to come */
	bench__feed(b, 1, DIR_RECV, RESPONSE);
	bench__feed(b, 1, DIR_RECV, NOT_FOUND);
	bench__feed(b, 1, DIR_RECV, NOT_FOUND);
	assert_int_equal(b->count, 2);
	bench__feed(b, 1, DIR_RECV, RESPONSE);
	assert_int_equal(b->count, 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(b->seen[i].status, 200);
	assert_int_equal(b->ledger.count[LEDGER_RESPONSES_UNMATCHED], 2);
	assert_int_equal(pipeline__in_flight(b->pipeline), 1);
}

/* Byte by byte, and more of them than are held: the message is lost, the connection is not. */
static void test_many_pieces_do_not_end_a_connection(void **state)
{
	struct bench *b = *state;

	bench__start(b);
	bench__feed_conn(b, 1, ROLE_CLIENT, 0);
	bench__feed(b, 1, DIR_SEND, "GET /");
	for (int i = 0; i < 5000; i++)
		bench__feed(b, 1, DIR_SEND, "a");
	bench__feed(b, 1, DIR_SEND, " HTTP/1.1\r\n\r\n");
	bench__feed(b, 1, DIR_RECV, NOT_FOUND);
	b->now += MS;
	bench__feed(b, 1, DIR_SEND, GET);
	bench__feed(b, 1, DIR_RECV, RESPONSE);
	assert_int_equal(b->ledger.count[LEDGER_CONNECTIONS_NO_MEMORY], 0);
	assert_int_equal(b->count, 1);
	assert_int_equal(b->seen[0].status, 200);
}

/* Greedy peers leave room for others, and what they hold is bounded. */
static void test_held_bytes_are_bounded(void **state)
{
	static char head[4000];
	struct bench *b = *state;

	snprintf(head, sizeof(head), "GET /%03900d HTTP/1.1\r\n\r\n", 7);
	b->config.max_held_bytes = 256 * 1024;
	bench__start(b);
	bench__feed_conn(b, 1, ROLE_CLIENT, 0);
	bench__feed_conn(b, 2, ROLE_CLIENT, 0);
	bench__feed_conn(b, 3, ROLE_CLIENT, 0);
	for (int i = 0; i < 100; i++)
		bench__feed(b, 1, DIR_SEND, head);
	for (int i = 0; i < 100; i++)
		bench__feed(b, 2, DIR_SEND, head);
	assert_true(pipeline__in_flight(b->pipeline) > 20);
	assert_true(pipeline__in_flight(b->pipeline) < 60);
	assert_int_equal(b->ledger.count[LEDGER_REQUESTS_REFUSED],
			 200 - pipeline__in_flight(b->pipeline));
	bench__feed(b, 3, DIR_SEND, head);
	bench__feed(b, 3, DIR_RECV, RESPONSE);
	assert_int_equal(b->count, 1);
	assert_false(b->seen[0].incomplete);
	for (int i = 0; i < 100; i++)
		bench__feed(b, 1, DIR_RECV, RESPONSE);
	assert_int_equal(b->ledger.count[LEDGER_RESPONSES_UNMATCHED] + b->count - 1, 100);
}

/* ---- what is not told of --------------------------------------------------------------- */

/* Whole requests that went by without a record are no gap. */
static void test_traffic_goes_on_without_us(void **state)
{
	struct bench *b = *state;

	bench__start(b);
	bench__feed_conn(b, 1, ROLE_CLIENT, 0);
	bench__feed(b, 1, DIR_SEND, GET);
	bench__feed(b, 1, DIR_RECV, RESPONSE);
	b->pos[1][DIR_SEND] += 1000;
	b->pos[1][DIR_RECV] += 2000;
	b->flags = DATA_RESUMED | DATA_TURN | DATA_SAMPLED;
	bench__feed(b, 1, DIR_SEND, GET);
	bench__feed(b, 1, DIR_RECV, NOT_FOUND);
	assert_int_equal(b->count, 2);
	assert_int_equal(b->seen[1].status, 404);
	assert_false(b->seen[1].incomplete);
	assert_int_equal(b->ledger.count[LEDGER_BYTES_GAP], 0);
}

/* What was open then is not answered by what comes later. */
static void test_what_was_open_has_no_answer(void **state)
{
	struct bench *b = *state;

	bench__start(b);
	bench__feed_conn(b, 1, ROLE_CLIENT, 0);
	bench__feed(b, 1, DIR_SEND, GET);
	b->pos[1][DIR_RECV] += 2000;
	b->flags = DATA_RESUMED | DATA_TURN | DATA_SAMPLED;
	bench__feed(b, 1, DIR_SEND, GET);
	bench__feed(b, 1, DIR_RECV, NOT_FOUND);
	assert_int_equal(b->count, 2);
	assert_true(b->seen[0].incomplete);
	assert_int_equal(b->seen[0].status, 0);
	assert_int_equal(b->seen[1].status, 404);
}

/* The whole send is of one trace, which is not sampled: so is each of its requests. */
static void test_all_of_a_send_is_not_sampled(void **state)
{
	struct bench *b = *state;

	bench__start(b);
	bench__feed_conn(b, 1, ROLE_CLIENT, 0);
	b->flags = DATA_TURN | DATA_UNSAMPLED;
	bench__feed(b, 1, DIR_SEND, GET GET);
	bench__feed(b, 1, DIR_RECV, RESPONSE RESPONSE);
	assert_int_equal(b->count, 0);
	assert_int_equal(b->ledger.count[LEDGER_SAMPLED_OUT], 2);
}

/* ---- time ------------------------------------------------------------------------------- */

/* The answer to what was given up is nobody else's. */
static void test_request_without_answer_is_given_up(void **state)
{
	struct bench *b = *state;
	uint64_t timeout = b->config.response_timeout_ns;

	bench__start(b);
	bench__feed_conn(b, 1, ROLE_CLIENT, 0);
	bench__feed(b, 1, DIR_SEND, GET);
	b->now += timeout / 2;
	bench__feed(b, 1, DIR_SEND, GET);
	pipeline__tick(b->pipeline, START + timeout - 1);
	assert_int_equal(b->count, 0);
	pipeline__tick(b->pipeline, START + timeout + SECOND);
	assert_int_equal(b->count, 1);
	assert_true(b->seen[0].incomplete);
	assert_string_equal(b->seen[0].error, "");
	assert_int_equal(b->seen[0].end_ns, START + timeout);
	b->now += timeout / 2 + 2 * SECOND;
	bench__feed(b, 1, DIR_RECV, NOT_FOUND);
	assert_int_equal(b->count, 1);
	bench__feed(b, 1, DIR_RECV, RESPONSE);
	assert_int_equal(b->count, 2);
	assert_int_equal(b->seen[1].status, 200);
	assert_false(b->seen[1].incomplete);
}

/* A body that is still being sent has no answer yet, nor is one under way given up. */
static void test_long_messages_are_not_given_up(void **state)
{
	struct bench *b = *state;

	b->config.idle_timeout_ns = 10 * b->config.response_timeout_ns;
	bench__start(b);
	bench__feed_conn(b, 1, ROLE_CLIENT, 0);
	bench__feed(b, 1, DIR_SEND, "POST / HTTP/1.1\r\nContent-Length: 8\r\n\r\nhalf");
	b->now += 2 * b->config.response_timeout_ns;
	pipeline__tick(b->pipeline, b->now);
	bench__feed(b, 1, DIR_SEND, "half");
	bench__feed(b, 1, DIR_RECV, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf");
	b->now += 2 * b->config.response_timeout_ns;
	pipeline__tick(b->pipeline, b->now);
	assert_int_equal(b->count, 0);
	bench__feed(b, 1, DIR_RECV, "half");
	assert_int_equal(b->count, 1);
	assert_false(b->seen[0].incomplete);
	assert_int_equal(b->seen[0].end_ns, b->now);
}

/* The connections of a pool. */
static void test_quiet_connection_stays_known(void **state)
{
	struct bench *b = *state;

	bench__start(b);
	bench__feed_conn(b, 1, ROLE_CLIENT, 0);
	bench__feed(b, 1, DIR_SEND, GET);
	bench__feed(b, 1, DIR_RECV, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha");
	b->now += 2 * b->config.idle_timeout_ns;
	pipeline__tick(b->pipeline, b->now);
	pipeline__tick(b->pipeline, b->now + 2 * SECOND);
	assert_int_equal(b->ledger.count[LEDGER_CONNECTIONS_IDLE], 1);
	assert_int_equal(b->count, 1);
	assert_true(b->seen[0].incomplete);
	bench__feed(b, 1, DIR_RECV, "lf");
	bench__feed(b, 1, DIR_SEND, GET);
	bench__feed(b, 1, DIR_RECV, RESPONSE);
	assert_int_equal(b->count, 2);
	assert_int_equal(b->seen[1].status, 200);
	assert_false(b->seen[1].incomplete);
}

/* The client has said that it will send no more; the server takes its time. */
static void test_half_closed_client_is_answered_late(void **state)
{
	struct bench *b = *state;

	bench__start(b);
	bench__feed_conn(b, 1, ROLE_SERVER, 0);
	bench__feed(b, 1, DIR_RECV, GET);
	bench__feed_close(b, 1, CLOSE_PEER_EOF);
	b->now += 50 * SECOND;
	pipeline__tick(b->pipeline, b->now);
	bench__feed(b, 1, DIR_SEND, RESPONSE);
	assert_int_equal(b->count, 1);
	assert_int_equal(b->seen[0].status, 200);
	assert_string_equal(b->seen[0].error, "");
	b->now += 50 * SECOND;
	pipeline__tick(b->pipeline, b->now);
	assert_int_equal(pipeline__connections(b->pipeline), 0);
}

static void test_evicted_connection_is_ignored(void **state)
{
	struct bench *b = *state;

	b->config.max_connections = 1;
	bench__start(b);
	bench__feed_conn(b, 1, ROLE_CLIENT, 0);
	bench__feed(b, 1, DIR_SEND, GET);
	bench__feed_conn(b, 2, ROLE_CLIENT, 0);
	assert_int_equal(b->ignored, 1);
	assert_int_equal(b->count, 1);
	assert_true(b->seen[0].incomplete);
}

/* The send that was announced never comes, and other bytes go on coming. */
static void test_hold_ends_in_time(void **state)
{
	struct bench *b = *state;

	bench__start(b);
	bench__feed_conn(b, 1, ROLE_CLIENT, 0);
	bench__feed(b, 1, DIR_SEND, GET);
	b->flags = DATA_SEND_PENDING;
	bench__feed(b, 1, DIR_RECV, RESPONSE);
	assert_int_equal(b->count, 0);
	b->now += 60 * MS;
	b->flags = DATA_SEND_PENDING;
	bench__feed(b, 1, DIR_RECV, "HTTP/1.1 100 Continue\r\n\r\n");
	pipeline__tick(b->pipeline, START + 99 * MS);
	assert_int_equal(b->count, 0);
	pipeline__tick(b->pipeline, START + 120 * MS);
	assert_int_equal(b->count, 1);
	assert_int_equal(b->seen[0].end_ns, START);
}

/* Where nothing that is sent is a message, each byte of it alone must not cost a search from
 * each of those before it. */
static void test_lost_bytes_one_by_one(void **state)
{
	struct bench *b = *state;

	b->proto = PROTO_POSTGRES;
	bench__start(b);
	bench__feed_conn(b, 1, ROLE_CLIENT, 0);
	b->pos[1][DIR_RECV] = 100;
	for (int i = 0; i < 100000; i++)
		bench__feed(b, 1, DIR_RECV, "x");
	assert_int_equal(b->ledger.count[LEDGER_PARSE_ERRORS], 0);
	assert_true(b->ledger.count[LEDGER_BYTES_DROPPED] >= 100000 - 256);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_positions_do_not_wrap, bench__setup,
						bench__teardown),
		cmocka_unit_test_setup_teardown(test_requests_are_refused_in_order, bench__setup,
						bench__teardown),
		cmocka_unit_test_setup_teardown(test_held_bytes_are_bounded, bench__setup,
						bench__teardown),
		cmocka_unit_test_setup_teardown(test_traffic_goes_on_without_us, bench__setup,
						bench__teardown),
		cmocka_unit_test_setup_teardown(test_what_was_open_has_no_answer, bench__setup,
						bench__teardown),
		cmocka_unit_test_setup_teardown(test_all_of_a_send_is_not_sampled, bench__setup,
						bench__teardown),
		cmocka_unit_test_setup_teardown(test_many_pieces_do_not_end_a_connection,
						bench__setup, bench__teardown),
		cmocka_unit_test_setup_teardown(test_request_without_answer_is_given_up,
						bench__setup, bench__teardown),
		cmocka_unit_test_setup_teardown(test_long_messages_are_not_given_up, bench__setup,
						bench__teardown),
		cmocka_unit_test_setup_teardown(test_quiet_connection_stays_known, bench__setup,
						bench__teardown),
		cmocka_unit_test_setup_teardown(test_half_closed_client_is_answered_late,
						bench__setup, bench__teardown),
		cmocka_unit_test_setup_teardown(test_evicted_connection_is_ignored, bench__setup,
						bench__teardown),
		cmocka_unit_test_setup_teardown(test_hold_ends_in_time, bench__setup,
						bench__teardown),
		cmocka_unit_test_setup_teardown(test_lost_bytes_one_by_one, bench__setup,
						bench__teardown),
		cmocka_unit_test_setup_teardown(test_records_of_no_connection_are_counted,
						bench__setup, bench__teardown),
		cmocka_unit_test_setup_teardown(test_error_of_the_socket_is_the_calls, bench__setup,
						bench__teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
