// SPDX-License-Identifier: Apache-2.0
/*
 * What a .case cannot say of the pipeline: bounds, timers, records that no kernel sends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bpf/event.h"
#include "user/flow/pipeline.h"
#include "user/flow/resource.h"
#include "user/flow/span.h"
#include "user/protocols/protocol.h"

#define SPANS	  64
#define MS	  1000000ULL
#define SECOND	  (1000 * MS)
#define START	  (1000 * SECOND) /* of all times here */
#define GET	  "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
#define RESPONSE  "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define NOT_FOUND "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"

struct seen {
	int64_t status; /* of HTTP; 0: none */
	bool incomplete;
	char error[32];
	uint64_t start_ns, end_ns;
};

struct bench {
	struct pipeline *pipeline;
	struct flow_config config;
	struct ledger ledger;
	struct resource *resource;
	uint64_t pos[4][2];
	uint64_t now;
	uint8_t proto;
	uint16_t flags; /* of the next data */
	size_t ignored; /* verdicts */
	size_t count;
	struct seen seen[SPANS];
};

static void on_span(void *ctx, struct span *span)
{
	const struct attribute *status = span__find(span, "http.response.status_code");
	const struct attribute *error = span__find(span, "error.type");
	struct bench *b = ctx;

	if (b->count < SPANS) {
		struct seen *seen = &b->seen[b->count];

		seen->status = status ? status->integer : 0;
		seen->incomplete = span__find(span, "spanloom.incomplete");
		if (error)
			snprintf(seen->error, sizeof(seen->error), "%.*s", (int)error->string.len,
				 error->string.data);
		seen->start_ns = span->start_unix_ns;
		seen->end_ns = span->end_unix_ns;
	}
	b->count++;
	span__free(span);
}

static struct resource *on_resource(void *ctx, uint32_t tgid, const char *comm)
{
	return resource__get(((struct bench *)ctx)->resource);
}

static void on_ignore(void *ctx, uint64_t conn_id)
{
	((struct bench *)ctx)->ignored++;
}

static void bench__start(struct bench *b)
{
	struct pipeline_callbacks callbacks = {
		.span = on_span,
		.resource = on_resource,
		.ignore = on_ignore,
		.ctx = b,
	};

	b->pipeline = pipeline__new(&b->config, &callbacks, &b->ledger);
	assert_non_null(b->pipeline);
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	if (!b)
		return -1;
	flow_config__defaults(&b->config);
	b->resource = resource__new(1);
	b->now = START;
	b->proto = PROTO_HTTP1;
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	pipeline__free(b->pipeline);
	resource__put(b->resource);
	free(b);
	return 0;
}

static int feed_conn(struct bench *b, uint64_t id, enum conn_role role, uint64_t pos)
{
	struct event_conn event = {
		.hdr = { EVENT_CONN, sizeof(event), b->now, id },
		.pos = { pos, pos },
		.tgid = 1,
		.role = (uint8_t)role,
		.flags = CONN_FRESH,
	};

	b->pos[id][DIR_SEND] = b->pos[id][DIR_RECV] = pos;
	return pipeline__record(b->pipeline, &event, sizeof(event));
}

static int feed(struct bench *b, uint64_t id, enum event_dir dir, const char *bytes)
{
	size_t len = strlen(bytes);
	struct event_data *data = calloc(1, sizeof(*data) + len);
	int err;

	data->hdr = (struct event_hdr){ EVENT_DATA, (uint32_t)(sizeof(*data) + len), b->now, id };
	data->start_ns = b->now;
	data->pos = b->pos[id][dir];
	data->size = data->captured = (uint32_t)len;
	data->flags = DATA_EXACT_START | b->flags;
	data->dir = (uint8_t)dir;
	data->proto = b->proto;
	data->match = MATCH_REQUEST;
	memcpy(data->payload, bytes, len);
	err = pipeline__record(b->pipeline, data, sizeof(*data) + len);
	free(data);
	b->pos[id][dir] += len;
	b->flags = 0;
	return err;
}

static void feed_close(struct bench *b, uint64_t id, enum close_kind kind)
{
	struct event_close event = {
		.hdr = { EVENT_CLOSE, sizeof(event), b->now, id },
		.kind = kind,
	};

	pipeline__record(b->pipeline, &event, sizeof(event));
}

/* ---- records that no kernel sends ------------------------------------------------------- */

static void test_positions_do_not_wrap(void **state)
{
	struct bench *b = *state;

	bench__start(b);
	assert_int_equal(feed_conn(b, 1, ROLE_CLIENT, UINT64_MAX - 4), -EBADMSG);
	assert_int_equal(feed_conn(b, 1, ROLE_CLIENT, 0), 0);
	assert_int_equal(feed(b, 1, DIR_SEND, GET), 0);
	b->pos[1][DIR_SEND] = INT64_MAX;
	assert_int_equal(feed(b, 1, DIR_SEND, GET), -EBADMSG);
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
	assert_int_equal(feed(b, 1, DIR_SEND, GET), 0);
	feed_close(b, 1, CLOSE_DONE);
	assert_int_equal(b->ledger.count[LEDGER_RECORDS_NO_CONN], 2);
	assert_int_equal(pipeline__record(b->pipeline, &process, sizeof(process)), 0);
	assert_int_equal(b->ledger.count[LEDGER_RECORDS_PROCESS], 1);
	feed_conn(b, 1, ROLE_CLIENT, 0);
	feed_conn(b, 1, ROLE_SERVER, 0); /* it is announced but once */
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
	feed_conn(b, 1, ROLE_CLIENT, 0);
	feed(b, 1, DIR_SEND, GET);
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
	feed_conn(b, 1, ROLE_CLIENT, 0);
	feed_conn(b, 2, ROLE_CLIENT, 0);
	for (int i = 0; i < 4; i++)
		feed(b, 1, DIR_SEND, GET);
	assert_int_equal(b->ledger.count[LEDGER_REQUESTS_REFUSED], 2);
	feed(b, 2, DIR_SEND, GET); /* there is room for others */
	assert_int_equal(b->ledger.count[LEDGER_REQUESTS_REFUSED], 2);
	b->now += MS;
	feed(b, 1, DIR_RECV, RESPONSE);
	feed(b, 1, DIR_SEND, GET); /* behind two whose responses are to come */
	feed(b, 1, DIR_RECV, RESPONSE);
	feed(b, 1, DIR_RECV, NOT_FOUND);
	feed(b, 1, DIR_RECV, NOT_FOUND);
	assert_int_equal(b->count, 2);
	feed(b, 1, DIR_RECV, RESPONSE);
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
	feed_conn(b, 1, ROLE_CLIENT, 0);
	feed(b, 1, DIR_SEND, "GET /");
	for (int i = 0; i < 5000; i++)
		feed(b, 1, DIR_SEND, "a");
	feed(b, 1, DIR_SEND, " HTTP/1.1\r\n\r\n");
	feed(b, 1, DIR_RECV, NOT_FOUND);
	b->now += MS;
	feed(b, 1, DIR_SEND, GET);
	feed(b, 1, DIR_RECV, RESPONSE);
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
	feed_conn(b, 1, ROLE_CLIENT, 0);
	feed_conn(b, 2, ROLE_CLIENT, 0);
	feed_conn(b, 3, ROLE_CLIENT, 0);
	for (int i = 0; i < 100; i++)
		feed(b, 1, DIR_SEND, head);
	for (int i = 0; i < 100; i++)
		feed(b, 2, DIR_SEND, head);
	assert_true(pipeline__in_flight(b->pipeline) > 20);
	assert_true(pipeline__in_flight(b->pipeline) < 60);
	assert_int_equal(b->ledger.count[LEDGER_REQUESTS_REFUSED],
			 200 - pipeline__in_flight(b->pipeline));
	feed(b, 3, DIR_SEND, head);
	feed(b, 3, DIR_RECV, RESPONSE);
	assert_int_equal(b->count, 1);
	assert_false(b->seen[0].incomplete);
	for (int i = 0; i < 100; i++)
		feed(b, 1, DIR_RECV, RESPONSE);
	assert_int_equal(b->ledger.count[LEDGER_RESPONSES_UNMATCHED] + b->count - 1, 100);
}

/* ---- what is not told of --------------------------------------------------------------- */

/* Whole requests that went by without a record are no gap. */
static void test_traffic_goes_on_without_us(void **state)
{
	struct bench *b = *state;

	bench__start(b);
	feed_conn(b, 1, ROLE_CLIENT, 0);
	feed(b, 1, DIR_SEND, GET);
	feed(b, 1, DIR_RECV, RESPONSE);
	b->pos[1][DIR_SEND] += 1000;
	b->pos[1][DIR_RECV] += 2000;
	b->flags = DATA_RESUMED | DATA_TURN | DATA_SAMPLED;
	feed(b, 1, DIR_SEND, GET);
	feed(b, 1, DIR_RECV, NOT_FOUND);
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
	feed_conn(b, 1, ROLE_CLIENT, 0);
	feed(b, 1, DIR_SEND, GET);
	b->pos[1][DIR_RECV] += 2000;
	b->flags = DATA_RESUMED | DATA_TURN | DATA_SAMPLED;
	feed(b, 1, DIR_SEND, GET);
	feed(b, 1, DIR_RECV, NOT_FOUND);
	assert_int_equal(b->count, 2);
	assert_true(b->seen[0].incomplete);
	assert_int_equal(b->seen[0].status, 0);
	assert_int_equal(b->seen[1].status, 404);
}

/* ---- time ------------------------------------------------------------------------------- */

/* The answer to what was given up is nobody else's. */
static void test_request_without_answer_is_given_up(void **state)
{
	struct bench *b = *state;
	uint64_t timeout = b->config.response_timeout_ns;

	bench__start(b);
	feed_conn(b, 1, ROLE_CLIENT, 0);
	feed(b, 1, DIR_SEND, GET);
	b->now += timeout / 2;
	feed(b, 1, DIR_SEND, GET);
	pipeline__tick(b->pipeline, START + timeout - 1);
	assert_int_equal(b->count, 0);
	pipeline__tick(b->pipeline, START + timeout + SECOND);
	assert_int_equal(b->count, 1);
	assert_true(b->seen[0].incomplete);
	assert_string_equal(b->seen[0].error, "");
	assert_int_equal(b->seen[0].end_ns, START + timeout);
	b->now += timeout / 2 + 2 * SECOND;
	feed(b, 1, DIR_RECV, NOT_FOUND);
	assert_int_equal(b->count, 1);
	feed(b, 1, DIR_RECV, RESPONSE);
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
	feed_conn(b, 1, ROLE_CLIENT, 0);
	feed(b, 1, DIR_SEND, "POST / HTTP/1.1\r\nContent-Length: 8\r\n\r\nhalf");
	b->now += 2 * b->config.response_timeout_ns;
	pipeline__tick(b->pipeline, b->now);
	feed(b, 1, DIR_SEND, "half");
	feed(b, 1, DIR_RECV, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf");
	b->now += 2 * b->config.response_timeout_ns;
	pipeline__tick(b->pipeline, b->now);
	assert_int_equal(b->count, 0);
	feed(b, 1, DIR_RECV, "half");
	assert_int_equal(b->count, 1);
	assert_false(b->seen[0].incomplete);
	assert_int_equal(b->seen[0].end_ns, b->now);
}

/* The connections of a pool. */
static void test_quiet_connection_stays_known(void **state)
{
	struct bench *b = *state;

	bench__start(b);
	feed_conn(b, 1, ROLE_CLIENT, 0);
	feed(b, 1, DIR_SEND, GET);
	feed(b, 1, DIR_RECV, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha");
	b->now += 2 * b->config.idle_timeout_ns;
	pipeline__tick(b->pipeline, b->now);
	pipeline__tick(b->pipeline, b->now + 2 * SECOND);
	assert_int_equal(b->ledger.count[LEDGER_CONNECTIONS_IDLE], 1);
	assert_int_equal(b->count, 1);
	assert_true(b->seen[0].incomplete);
	feed(b, 1, DIR_RECV, "lf");
	feed(b, 1, DIR_SEND, GET);
	feed(b, 1, DIR_RECV, RESPONSE);
	assert_int_equal(b->count, 2);
	assert_int_equal(b->seen[1].status, 200);
	assert_false(b->seen[1].incomplete);
}

/* The client has said that it will send no more; the server takes its time. */
static void test_half_closed_client_is_answered_late(void **state)
{
	struct bench *b = *state;

	bench__start(b);
	feed_conn(b, 1, ROLE_SERVER, 0);
	feed(b, 1, DIR_RECV, GET);
	feed_close(b, 1, CLOSE_PEER_EOF);
	b->now += 50 * SECOND;
	pipeline__tick(b->pipeline, b->now);
	feed(b, 1, DIR_SEND, RESPONSE);
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
	feed_conn(b, 1, ROLE_CLIENT, 0);
	feed(b, 1, DIR_SEND, GET);
	feed_conn(b, 2, ROLE_CLIENT, 0);
	assert_int_equal(b->ignored, 1);
	assert_int_equal(b->count, 1);
	assert_true(b->seen[0].incomplete);
}

/* The send that was announced never comes, and other bytes go on coming. */
static void test_hold_ends_in_time(void **state)
{
	struct bench *b = *state;

	bench__start(b);
	feed_conn(b, 1, ROLE_CLIENT, 0);
	feed(b, 1, DIR_SEND, GET);
	b->flags = DATA_SEND_PENDING;
	feed(b, 1, DIR_RECV, RESPONSE);
	assert_int_equal(b->count, 0);
	b->now += 60 * MS;
	b->flags = DATA_SEND_PENDING;
	feed(b, 1, DIR_RECV, "HTTP/1.1 100 Continue\r\n\r\n");
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
	feed_conn(b, 1, ROLE_CLIENT, 0);
	b->pos[1][DIR_RECV] = 100;
	for (int i = 0; i < 100000; i++)
		feed(b, 1, DIR_RECV, "x");
	assert_int_equal(b->ledger.count[LEDGER_PARSE_ERRORS], 0);
	assert_true(b->ledger.count[LEDGER_BYTES_DROPPED] >= 100000 - 256);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_positions_do_not_wrap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_requests_are_refused_in_order, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_held_bytes_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_traffic_goes_on_without_us, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_was_open_has_no_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_pieces_do_not_end_a_connection, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_request_without_answer_is_given_up, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_long_messages_are_not_given_up, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_quiet_connection_stays_known, setup, teardown),
		cmocka_unit_test_setup_teardown(test_half_closed_client_is_answered_late, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_evicted_connection_is_ignored, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_hold_ends_in_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost_bytes_one_by_one, setup, teardown),
		cmocka_unit_test_setup_teardown(test_records_of_no_connection_are_counted, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_error_of_the_socket_is_the_calls, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
