// SPDX-License-Identifier: Apache-2.0
/*
 * Header injection as user space sees it: contexts that were sent are those of the spans, and
 * only connections whose requests begin where the kernel took them to begin get headers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/call_scene.h"
#include "user/flow/pipeline.h"

static void feed_context(struct scene *s, uint64_t pos, uint8_t ref)
{
	struct event_context event = {
		.hdr = { EVENT_CONTEXT, sizeof(event), s->now, CLIENT },
		.pos = pos,
		.flags = 0x03,
		.ref = ref,
		.ref_conn = ref ? SERVER : 0,
	};

	memset(event.trace_id, 0xaa, sizeof(event.trace_id));
	memset(event.span_id, 0xbb, sizeof(event.span_id));
	memset(event.parent_id, ref ? 0xcc : 0, sizeof(event.parent_id));
	scene__record(s, &event, sizeof(event));
}

static void feed_head(struct scene *s, uint64_t pos)
{
	struct event_head event = { .hdr = { EVENT_HEAD, sizeof(event), s->now, CLIENT },
				    .pos = pos };

	scene__record(s, &event, sizeof(event));
}

static void feed_leave(struct scene *s, enum leave_reason reason)
{
	struct event_leave event = { .hdr = { EVENT_LEAVE, sizeof(event), s->now, CLIENT },
				     .reason = reason };

	scene__record(s, &event, sizeof(event));
}

/* ---- what was sent ---------------------------------------------------------------------- */

/* A request in the trace that is sent on. */
static void feed_request(struct scene *s)
{
	scene__conn(s, SERVER, ROLE_SERVER, CONN_FRESH);
	scene__feed(s, SERVER, DIR_RECV,
		    "GET / HTTP/1.1\r\nTraceparent: "
		    "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-dddddddddddddddd-"
		    "03\r\nTracestate: k=v\r\n\r\n");
}

static void test_span_is_what_was_sent(void **state)
{
	struct scene *s = *state;

	feed_request(s);
	scene__conn(s, CLIENT, ROLE_CLIENT, CONN_FRESH);
	feed_context(s, 0, REF_THREAD);
	scene__call(s, GET);
	assert_int_equal(s->client.spans, 1);
	assert_filled(s->client.trace_id, 16, 0xaa);
	assert_filled(s->client.span_id, 8, 0xbb);
	assert_filled(s->client.parent_id, 8, 0xcc);
	assert_string_equal(s->client.link, "thread");
}

/* The second of a pipeline, too. */
static void test_each_request_has_its_own(void **state)
{
	struct scene *s = *state;

	scene__conn(s, CLIENT, ROLE_CLIENT, CONN_FRESH);
	feed_context(s, strlen(GET), REF_NONE);
	scene__feed(s, CLIENT, DIR_SEND, GET GET);
	scene__feed(s, CLIENT, DIR_RECV, RESPONSE);
	assert_int_not_equal(s->client.trace_id[0], 0xaa);
	scene__feed(s, CLIENT, DIR_RECV, RESPONSE);
	assert_int_equal(s->client.spans, 2);
	assert_filled(s->client.trace_id, 16, 0xaa);
	assert_filled(s->client.parent_id, 8, 0);
	assert_string_equal(s->client.link, "none");
	assert_int_equal(s->ledger.count[LEDGER_ROOTS], 2);
	assert_int_equal(s->ledger.count[LEDGER_PARENT_GONE], 0);
}

static void test_other_requests_are_not_touched(void **state)
{
	struct scene *s = *state;

	scene__conn(s, CLIENT, ROLE_CLIENT, CONN_FRESH);
	feed_context(s, 5, REF_THREAD);
	scene__call(s, GET);
	assert_int_equal(s->client.spans, 1);
	assert_int_not_equal(s->client.trace_id[0], 0xaa);
}

static void test_state_is_the_parents(void **state)
{
	struct scene *s = *state;

	feed_request(s);
	scene__conn(s, CLIENT, ROLE_CLIENT, CONN_FRESH);
	feed_context(s, 0, REF_THREAD);
	scene__call(s, GET);
	assert_string_equal(s->client.state, "k=v");
	assert_filled(s->client.parent_id, 8, 0xcc);
}

/* Whoever was told of nothing has nobody. */
static void test_a_hidden_parent_is_none(void **state)
{
	static const char *const health[] = { "/health", NULL };
	struct scene *s = *state;

	s->config.ignore_paths = health;
	scene__conn(s, SERVER, ROLE_SERVER, CONN_FRESH);
	scene__conn(s, CLIENT, ROLE_CLIENT, CONN_FRESH);
	scene__feed(s, SERVER, DIR_RECV, "GET /health HTTP/1.1\r\n\r\n");
	feed_context(s, 0, REF_THREAD);
	scene__call(s, GET);
	assert_filled(s->client.trace_id, 16, 0xaa);
	assert_filled(s->client.parent_id, 8, 0);
	assert_string_equal(s->client.link, "none");
}

/* Nor has a call anybody whose request was lost here. */
static void test_a_lost_parent_is_none(void **state)
{
	struct scene *s = *state;

	scene__conn(s, CLIENT, ROLE_CLIENT, CONN_FRESH);
	feed_context(s, 0, REF_THREAD);
	scene__call(s, GET);
	assert_filled(s->client.trace_id, 16, 0xaa);
	assert_filled(s->client.parent_id, 8, 0);
	assert_string_equal(s->client.link, "none");
	assert_int_equal(s->ledger.count[LEDGER_ROOTS], 1);
	assert_int_equal(s->ledger.count[LEDGER_PARENT_GONE], 1);
}

/* Contexts whose requests never come push out only one another, counted. */
static void test_contexts_are_bounded(void **state)
{
	struct scene *s = *state;

	scene__conn(s, CLIENT, ROLE_CLIENT, CONN_FRESH);
	for (uint64_t i = 1; i <= 10000; i++)
		feed_context(s, 1000 * i, REF_NONE);
	feed_context(s, 0, REF_THREAD);
	scene__call(s, GET);
	assert_filled(s->client.trace_id, 16, 0xaa);
	assert_int_equal(s->ledger.count[LEDGER_CONTEXTS_LOST], 10001 - 8192);
	assert_int_equal(s->ledger.count[LEDGER_RECORDS_CONTEXT], 10001);
}

/* ---- who joins -------------------------------------------------------------------------- */

static void test_fresh_connections_have_joined(void **state)
{
	struct scene *s = *state;

	scene__conn(s, CLIENT, ROLE_CLIENT, CONN_FRESH);
	scene__call(s, GET);
	assert_int_equal(s->joins, 0);
}

static void test_old_connections_join_once(void **state)
{
	struct scene *s = *state;

	scene__conn(s, CLIENT, ROLE_CLIENT, 0);
	scene__call(s, GET);
	scene__call(s, GET);
	assert_int_equal(s->joins, 1);
	assert_int_equal(s->proven, 0);
	feed_head(s, s->pos[CLIENT][DIR_SEND]);
	scene__call(s, GET);
	scene__call(s, GET);
	assert_int_equal(s->proven, 1);
	assert_int_equal(s->left, 0);
}

/* What looked like a request was a part of another one's body. */
static void test_a_false_beginning_is_found_out(void **state)
{
	struct scene *s = *state;

	scene__conn(s, CLIENT, ROLE_CLIENT, 0);
	scene__call(s, GET);
	scene__feed(s, CLIENT, DIR_SEND, "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n");
	feed_head(s, s->pos[CLIENT][DIR_SEND]);
	scene__feed(s, CLIENT, DIR_SEND, "GET /");
	scene__feed(s, CLIENT, DIR_RECV, RESPONSE);
	scene__call(s, GET);
	assert_int_equal(s->proven, 0);
	assert_int_equal(s->left, 1);
}

static void test_who_left_joins_again(void **state)
{
	struct scene *s = *state;

	scene__conn(s, CLIENT, ROLE_CLIENT, CONN_FRESH);
	feed_leave(s, LEAVE_BULK);
	assert_int_equal(s->left, 1);
	scene__call(s, GET);
	assert_int_equal(s->joins, 1);
	feed_leave(s, LEAVE_NOT_TRACED);
	assert_int_equal(s->joins, 1);
	scene__call(s, GET); /* it is traced again */
	assert_int_equal(s->joins, 2);
	feed_leave(s, LEAVE_ZEROCOPY);
	scene__call(s, GET);
	assert_int_equal(s->joins, 2);
}

/* Some runs of the kernel's programs may be missed; a socket that several write to stays out. */
static void test_who_is_lost_joins_again_some_times(void **state)
{
	struct scene *s = *state;

	scene__conn(s, CLIENT, ROLE_CLIENT, CONN_FRESH);
	for (int i = 0; i < 20; i++) {
		feed_leave(s, LEAVE_LOST);
		scene__call(s, GET);
	}
	assert_int_equal(s->left, 20);
	assert_int_equal(s->joins, 4);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scene__setup, scene__teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_span_is_what_was_sent),
		TEST(test_each_request_has_its_own),
		TEST(test_other_requests_are_not_touched),
		TEST(test_state_is_the_parents),
		TEST(test_a_hidden_parent_is_none),
		TEST(test_a_lost_parent_is_none),
		TEST(test_contexts_are_bounded),
		TEST(test_fresh_connections_have_joined),
		TEST(test_old_connections_join_once),
		TEST(test_a_false_beginning_is_found_out),
		TEST(test_who_left_joins_again),
		TEST(test_who_is_lost_joins_again_some_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
