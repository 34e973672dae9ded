// SPDX-License-Identifier: Apache-2.0
/*
 * A call that goes out with the header of a request: of that request, if it is the only one that
 * its process can have it from.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/call_scene.h"
#include "user/flow/intake.h"
#include "user/flow/pipeline.h"

#define TRACEPARENT  "traceparent: 00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-dddddddddddddddd-03\r\n"
#define STATE	     "tracestate: a=1 , b=2\r\n"
#define OTHER	     "traceparent: 00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-cccccccccccccccc-03\r\n"
#define WITH(fields) "GET / HTTP/1.1\r\nHost: h\r\n" fields "\r\n"

/* One process that is called and calls. */
static int setup(void **state)
{
	if (scene__setup(state))
		return -1;
	scene__conn(*state, CLIENT, ROLE_CLIENT, CONN_FRESH);
	scene__conn(*state, SERVER, ROLE_SERVER, CONN_FRESH);
	return 0;
}

static void feed_unread(struct scene *s, uint32_t tgid)
{
	struct event_unread event = {
		.hdr = { EVENT_UNREAD, sizeof(event), s->now, 0 },
		.tgid = tgid,
	};

	scene__record(s, &event, sizeof(event));
}

static void feed_exit(struct scene *s, uint32_t tgid)
{
	struct event_process event = {
		.hdr = { EVENT_PROCESS, sizeof(event), s->now, 0 },
		.tgid = tgid,
		.kind = PROCESS_EXIT,
	};

	scene__record(s, &event, sizeof(event));
}

/* A call with the header, and a tracestate, while @request is served, and its response. */
static void forward(struct scene *s, const char *request)
{
	scene__feed(s, SERVER, DIR_RECV, request);
	scene__call(s, WITH(TRACEPARENT STATE));
	scene__feed(s, SERVER, DIR_SEND, RESPONSE);
	pipeline__tick(s->pipeline, s->now + SECOND);
	assert_int_equal(s->client.spans, 1);
	assert_string_equal(s->client.link, "header");
	assert_filled(s->client.trace_id, 16, 0xaa);
	assert_string_equal(s->client.state, "a=1,b=2");
}

static void expect_found(const struct scene *s)
{
	assert_memory_equal(s->client.parent_id, s->server.span_id, 8);
}

/* It stays whom the header names. */
static void expect_not_found(const struct scene *s)
{
	assert_filled(s->client.parent_id, 8, 0xdd);
}

static void expect_counts(const struct scene *s, unsigned int several, unsigned int unseen)
{
	assert_int_equal(s->ledger.count[LEDGER_LINKS_SEVERAL], several);
	assert_int_equal(s->ledger.count[LEDGER_LINKS_UNSEEN], unseen);
	assert_int_equal(s->ledger.count[LEDGER_ROOTS], 0);
}

static void test_the_only_bearer(void **state)
{
	forward(*state, WITH(TRACEPARENT));
	expect_found(*state);
	expect_counts(*state, 0, 0);
}

static void test_bearer_of_another_header(void **state)
{
	forward(*state, WITH(OTHER));
	expect_not_found(*state);
	expect_counts(*state, 0, 0);
}

static void test_second_bearer(void **state)
{
	struct scene *s = *state;

	scene__feed(s, SERVER, DIR_RECV, WITH(TRACEPARENT));
	scene__feed(s, SERVER, DIR_SEND, RESPONSE);
	forward(s, WITH(TRACEPARENT));
	expect_not_found(s);
	expect_counts(s, 1, 0);
}

/* The process receives what nobody can read: TLS, say. */
static void test_bearer_may_be_unread(void **state)
{
	struct scene *s = *state;

	feed_unread(s, 0);
	s->now += 2 * s->config.response_timeout_ns;
	forward(s, WITH(TRACEPARENT));
	expect_not_found(s);
	expect_counts(s, 0, 1);
}

static void test_other_process_has_unread(void **state)
{
	struct scene *s = *state;

	feed_unread(s, 7);
	feed_unread(s, 0);
	feed_exit(s, 0);
	forward(s, WITH(TRACEPARENT));
	expect_found(s);
}

/* Two that came at once have one place: of those nothing is said, nor of what others bear. */
static void test_second_of_a_pipeline(void **state)
{
	struct scene *s = *state;

	scene__feed(s, SERVER, DIR_RECV, WITH(OTHER) WITH(TRACEPARENT));
	scene__feed(s, SERVER, DIR_SEND, RESPONSE RESPONSE);
	forward(s, WITH(TRACEPARENT));
	expect_not_found(s);
}

/* Which of the two the program passes on is its own business. */
static void test_one_of_two_headers(void **state)
{
	struct scene *s = *state;

	scene__feed(s, SERVER, DIR_RECV, WITH(TRACEPARENT OTHER));
	scene__feed(s, SERVER, DIR_SEND, RESPONSE);
	forward(s, WITH(TRACEPARENT));
	expect_not_found(s);
}

/* Bytes of a client went by without a record. */
static void test_gap(void **state)
{
	struct scene *s = *state;

	scene__feed(s, SERVER, DIR_RECV, WITH(OTHER));
	scene__feed(s, SERVER, DIR_SEND, RESPONSE);
	s->pos[SERVER][DIR_RECV] += 100;
	forward(s, WITH(TRACEPARENT));
	expect_not_found(s);
}

/* What follows is another protocol. */
static void test_upgrade(void **state)
{
	struct scene *s = *state;

	scene__conn(s, OTHER_SERVER, ROLE_SERVER, CONN_FRESH);
	scene__feed(s, OTHER_SERVER, DIR_RECV, WITH("Connection: upgrade\r\nUpgrade: x\r\n"));
	scene__feed(s, OTHER_SERVER, DIR_SEND, "HTTP/1.1 101 Switching Protocols\r\n\r\n");
	forward(s, WITH(TRACEPARENT));
	expect_not_found(s);
}

/* What left the host names the call's own span (aa.., bb..), below whom the header named. */
static void feed_sent(struct scene *s)
{
	struct event_context event = {
		.hdr = { EVENT_CONTEXT, sizeof(event), s->now, CLIENT },
		.flags = 0x03,
		.ref = REF_HEADER,
		.dir = DIR_SEND,
		.carrier = CARRIER_HEADER,
	};

	memset(event.trace_id, 0xaa, sizeof(event.trace_id));
	memset(event.span_id, 0xbb, sizeof(event.span_id));
	memset(event.parent_id, 0xdd, sizeof(event.parent_id));
	scene__record(s, &event, sizeof(event));
}

static void test_what_was_sent_is_passed_on(void **state)
{
	struct scene *s = *state;

	feed_sent(s);
	forward(s, WITH(TRACEPARENT));
	assert_filled(s->client.span_id, 8, 0xbb);
	expect_found(s);
}

static void test_what_was_sent_is_whose_it_names(void **state)
{
	struct scene *s = *state;

	feed_sent(s);
	feed_unread(s, 0);
	forward(s, WITH(TRACEPARENT));
	assert_filled(s->client.span_id, 8, 0xbb);
	expect_not_found(s);
}

static void test_missed_for_some_time(void **state)
{
	uint64_t lost_ns = 0;
	struct flow_config config = { .response_timeout_ns = 1000, .lost_ns = &lost_ns };
	struct intake intake;

	intake__init(&intake, &config);
	assert_true(intake__is_whole(&intake, 1, 5000));
	intake__miss(&intake, 1, 5000);
	assert_false(intake__is_whole(&intake, 1, 4000));
	assert_false(intake__is_whole(&intake, 1, 5999));
	assert_true(intake__is_whole(&intake, 1, 6000));
	assert_true(intake__is_whole(&intake, 2, 5000));
	intake__miss_any(&intake, 6000);
	assert_false(intake__is_whole(&intake, 2, 6000));
	assert_true(intake__is_whole(&intake, 2, 7000));
	lost_ns = INTAKE_ALL_ALONG;
	assert_false(intake__is_whole(&intake, 2, 7000));
	intake__reset(&intake);
}

/* Of more processes than can be remembered none is taken to be known whole. */
static void test_too_many_processes(void **state)
{
	struct flow_config config = { .response_timeout_ns = 1 };
	struct intake intake;

	intake__init(&intake, &config);
	for (uint32_t tgid = 1; tgid <= 32768; tgid++)
		intake__miss(&intake, tgid, 1);
	assert_true(intake__is_whole(&intake, 40000, 1000));
	intake__miss(&intake, 32769, 1);
	assert_false(intake__is_whole(&intake, 40000, 1000));
	intake__reset(&intake);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, scene__teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_only_bearer),
		TEST(test_bearer_of_another_header),
		TEST(test_second_bearer),
		TEST(test_bearer_may_be_unread),
		TEST(test_other_process_has_unread),
		TEST(test_second_of_a_pipeline),
		TEST(test_one_of_two_headers),
		TEST(test_gap),
		TEST(test_upgrade),
		TEST(test_what_was_sent_is_passed_on),
		TEST(test_what_was_sent_is_whose_it_names),
		cmocka_unit_test(test_missed_for_some_time),
		cmocka_unit_test(test_too_many_processes),
	};

	return cmocka_run_group_tests_name("bearer", tests, NULL, NULL);
}
