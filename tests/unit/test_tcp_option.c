// SPDX-License-Identifier: Apache-2.0
/*
 * Contexts in TCP options as user space sees them: what a header says counts more, what the
 * sequence pair says counts less.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/call_scene.h"
#include "user/flow/pipeline.h"

#define WITH(line) "GET / HTTP/1.1\r\nHost: h\r\n" line "\r\n\r\n"
#define OWN_TRACE  "traceparent: 00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-dddddddddddddddd-03"
#define OTHER	   "traceparent: 00-eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee-dddddddddddddddd-03"

static int setup(void **state)
{
	if (scene__setup(state))
		return -1;
	scene__conn(*state, CLIENT, ROLE_CLIENT, CONN_FRESH);
	scene__conn(*state, SERVER, ROLE_SERVER, CONN_FRESH);
	return 0;
}

/* Trace aa.., and span bb.. of the client: as sent, or as received. */
static void feed_context(struct scene *s, enum event_dir dir, enum context_carrier carrier,
			 uint8_t flags)
{
	struct event_context event = {
		.hdr = { EVENT_CONTEXT, sizeof(event), s->now, dir == DIR_SEND ? CLIENT : SERVER },
		.flags = flags,
		.ref = dir == DIR_SEND ? REF_NONE : REF_OPTION,
		.dir = (uint8_t)dir,
		.carrier = (uint8_t)carrier,
	};

	memset(event.trace_id, carrier == CARRIER_HEADER ? 0x99 : 0xaa, sizeof(event.trace_id));
	memset(dir == DIR_SEND ? event.span_id : event.parent_id, 0xbb, sizeof(event.span_id));
	scene__record(s, &event, sizeof(event));
}

static void serve(struct scene *s, const char *request)
{
	scene__feed(s, SERVER, DIR_RECV, request);
	scene__feed(s, SERVER, DIR_SEND, RESPONSE);
	pipeline__tick(s->pipeline, s->now + SECOND);
	assert_int_equal(s->server.spans, 1);
}

/* ---- sent ------------------------------------------------------------------------------- */

static void test_client_is_what_was_sent(void **state)
{
	struct scene *s = *state;

	feed_context(s, DIR_SEND, CARRIER_OPTION, 0x03);
	scene__call(s, GET);
	assert_filled(s->client.trace_id, 16, 0xaa);
	assert_filled(s->client.span_id, 8, 0xbb);
	assert_string_equal(s->client.link, "none");
}

static void test_clients_own_header_counts_more(void **state)
{
	struct scene *s = *state;

	feed_context(s, DIR_SEND, CARRIER_OPTION, 0x03);
	scene__call(s, WITH(OTHER));
	assert_filled(s->client.trace_id, 16, 0xee);
	assert_filled(s->client.parent_id, 8, 0xdd);
	assert_int_not_equal(s->client.span_id[0], 0xbb);
	assert_string_equal(s->client.link, "header");
}

/* An option and a header of ours went out: in whichever order we are told. */
static void test_injected_header_counts_more(void **state)
{
	struct scene *s = *state;

	feed_context(s, DIR_SEND, CARRIER_HEADER, 0x03);
	feed_context(s, DIR_SEND, CARRIER_OPTION, 0x03);
	scene__call(s, GET);
	assert_filled(s->client.trace_id, 16, 0x99);
}

static void test_injected_header_replaces(void **state)
{
	struct scene *s = *state;

	feed_context(s, DIR_SEND, CARRIER_OPTION, 0x03);
	feed_context(s, DIR_SEND, CARRIER_HEADER, 0x03);
	scene__call(s, GET);
	assert_filled(s->client.trace_id, 16, 0x99);
}

/* ---- received --------------------------------------------------------------------------- */

static void test_server_continues(void **state)
{
	struct scene *s = *state;

	feed_context(s, DIR_RECV, CARRIER_OPTION, 0x03);
	serve(s, GET);
	assert_filled(s->server.trace_id, 16, 0xaa);
	assert_filled(s->server.parent_id, 8, 0xbb);
	assert_true(s->server.remote);
	assert_string_equal(s->server.link, "tcp-option");
}

static void test_unsampled_gives_no_span(void **state)
{
	struct scene *s = *state;

	feed_context(s, DIR_RECV, CARRIER_OPTION, 0x02);
	scene__feed(s, SERVER, DIR_RECV, GET);
	scene__feed(s, SERVER, DIR_SEND, RESPONSE);
	assert_int_equal(s->server.spans, 0);
	assert_int_equal(s->ledger.count[LEDGER_SAMPLED_OUT], 1);
}

static void test_header_counts_more(void **state)
{
	struct scene *s = *state;

	feed_context(s, DIR_RECV, CARRIER_OPTION, 0x03);
	serve(s, WITH(OTHER));
	assert_filled(s->server.trace_id, 16, 0xee);
	assert_filled(s->server.parent_id, 8, 0xdd);
	assert_string_equal(s->server.link, "header");
}

/* The sender has passed on the header that it was called with. */
static void test_sender_stands_between(void **state)
{
	struct scene *s = *state;

	feed_context(s, DIR_RECV, CARRIER_OPTION, 0x03);
	serve(s, WITH(OWN_TRACE));
	assert_filled(s->server.trace_id, 16, 0xaa);
	assert_filled(s->server.parent_id, 8, 0xbb);
	assert_string_equal(s->server.link, "tcp-option");
}

/* One that is not sampled gives no span to be a parent. */
static void test_unsampled_sender_does_not(void **state)
{
	struct scene *s = *state;

	feed_context(s, DIR_RECV, CARRIER_OPTION, 0x02);
	serve(s, WITH(OWN_TRACE));
	assert_filled(s->server.parent_id, 8, 0xdd);
	assert_string_equal(s->server.link, "header");
}

/* Both ends are on this host: the pair names the same span, and knows its tracestate. */
static void test_pair_agrees(void **state)
{
	struct scene *s = *state;

	s->config.sampler = SAMPLER_RATIO;
	s->config.sampler_threshold = 0x10000000000000;
	s->ref = REF_PEER;
	feed_context(s, DIR_SEND, CARRIER_OPTION, 0x03);
	feed_context(s, DIR_RECV, CARRIER_OPTION, 0x03);
	scene__call(s, GET);
	serve(s, GET);
	assert_string_equal(s->client.state, "ot=th:1");
	assert_string_equal(s->server.state, "ot=th:1");
	assert_filled(s->server.trace_id, 16, 0xaa);
	assert_filled(s->server.parent_id, 8, 0xbb);
	assert_string_equal(s->server.link, "tcp-option");
}

/* The pair's client is not known: as when another agent watches it. */
static void test_pair_never_comes(void **state)
{
	struct scene *s = *state;

	s->ref = REF_PEER;
	feed_context(s, DIR_RECV, CARRIER_OPTION, 0x03);
	serve(s, GET);
	assert_filled(s->server.parent_id, 8, 0xbb);
	assert_string_equal(s->server.link, "tcp-option");
}

static void test_other_requests_are_not_touched(void **state)
{
	struct scene *s = *state;

	s->pos[SERVER][DIR_RECV] = 1;
	feed_context(s, DIR_RECV, CARRIER_OPTION, 0x03);
	serve(s, GET);
	assert_int_not_equal(s->server.trace_id[0], 0xaa);
	assert_string_equal(s->server.link, "none");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, scene__teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_client_is_what_was_sent),
		TEST(test_clients_own_header_counts_more),
		TEST(test_injected_header_counts_more),
		TEST(test_injected_header_replaces),
		TEST(test_server_continues),
		TEST(test_unsampled_gives_no_span),
		TEST(test_header_counts_more),
		TEST(test_sender_stands_between),
		TEST(test_unsampled_sender_does_not),
		TEST(test_pair_agrees),
		TEST(test_pair_never_comes),
		TEST(test_other_requests_are_not_touched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
