// SPDX-License-Identifier: Apache-2.0
/*
 * Why a span has no parent: each root is counted once, under one cause.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/call_scene.h"
#include "user/flow/pipeline.h"
#include "user/flow/resource.h"
#include "user/flow/root.h"

#define FORWARDED                                                                                  \
	"GET / HTTP/1.1\r\ntraceparent: "                                                          \
	"00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-dddddddddddddddd-03\r\n\r\n"

/* A call by a process that serves nobody. */
static int setup(void **state)
{
	if (scene__setup(state))
		return -1;
	scene__conn(*state, CLIENT, ROLE_CLIENT, CONN_FRESH);
	return 0;
}

/* The client is the server's process. */
static void serve(struct scene *s)
{
	scene__conn(s, SERVER, ROLE_SERVER, CONN_FRESH);
	scene__feed(s, SERVER, DIR_RECV, GET);
	scene__feed(s, SERVER, DIR_SEND, RESPONSE);
	assert_int_equal(s->server.spans, 1);
	assert_string_equal(s->server.root, "");
	assert_int_equal(s->ledger.count[LEDGER_ROOT_REQUEST], 1);
}

static void expect_sum(const struct scene *s, uint64_t roots)
{
	assert_int_equal(ledger__roots(&s->ledger), roots);
	assert_int_equal(s->ledger.count[LEDGER_ROOTS], roots);
}

static void expect_call(struct scene *s, uint64_t refusal, enum ledger_entry cause,
			const char *name)
{
	uint64_t before = s->ledger.count[cause];

	s->refusal = refusal;
	scene__call(s, GET);
	assert_string_equal(s->client.link, "none");
	assert_string_equal(s->client.root, name);
	assert_int_equal(s->ledger.count[cause], before + 1);
}

static void test_each_refusal(void **state)
{
	struct scene *s = *state;

	expect_call(s, REFUSED_SEVERAL, LEDGER_ROOT_SEVERAL, "several_requests");
	expect_call(s, REFUSED_BEHIND, LEDGER_ROOT_BEHIND, "behind_response");
	expect_call(s, REFUSED_APART, LEDGER_ROOT_APART, "apart");
	expect_call(s, REFUSED_UNSEEN, LEDGER_ROOT_UNSEEN, "unseen_requests");
	expect_call(s, REFUSED_RESTLESS, LEDGER_ROOT_RESTLESS, "not_silent");
	expect_call(s, REFUSED_CHILD, LEDGER_ROOT_CHILD, "child_process");
	expect_sum(s, REFUSALS - 1);
}

/* Whoever serves nobody has nothing that could be a parent. */
static void test_who_serves_nobody(void **state)
{
	struct scene *s = *state;

	expect_call(s, REFUSED_NOT, LEDGER_ROOT_IDLE, "");
	serve(s);
	expect_call(s, REFUSED_NOT, LEDGER_ROOT_APART, "apart");
	expect_sum(s, 3);
}

/* Nor has who waits for one; but who has one, unanswered yet. */
static void test_who_has_received_no_request(void **state)
{
	struct scene *s = *state;

	scene__conn(s, SERVER, ROLE_SERVER, CONN_FRESH);
	scene__feed(s, SERVER, DIR_RECV, "GET / HTT");
	expect_call(s, REFUSED_NOT, LEDGER_ROOT_IDLE, "");
	scene__feed(s, SERVER, DIR_RECV, "P/1.1\r\n\r\n");
	expect_call(s, REFUSED_NOT, LEDGER_ROOT_APART, "apart");
}

static void test_who_may_as_well_send_requests(void **state)
{
	struct scene *s = *state;

	scene__conn(s, OTHER_SERVER, ROLE_UNKNOWN, 0);
	scene__feed(s, OTHER_SERVER, DIR_RECV, GET);
	expect_call(s, REFUSED_NOT, LEDGER_ROOT_IDLE, "");
	scene__feed(s, OTHER_SERVER, DIR_SEND, RESPONSE);
	expect_call(s, REFUSED_NOT, LEDGER_ROOT_APART, "apart");
}

/* What is known of a process may be lost while its connections stay: an exec, or very many others. */
static void test_who_is_known_anew_serves_still(void **state)
{
	struct scene *s = *state;

	serve(s);
	s->resource->serves = false;
	expect_call(s, REFUSED_NOT, LEDGER_ROOT_IDLE, "");
	scene__feed(s, SERVER, DIR_RECV, GET);
	scene__feed(s, SERVER, DIR_SEND, RESPONSE);
	expect_call(s, REFUSED_NOT, LEDGER_ROOT_APART, "apart");
}

static void test_a_number_that_is_no_refusal(void **state)
{
	struct scene *s = *state;

	expect_call(s, REFUSALS, LEDGER_ROOT_IDLE, "");
	expect_call(s, UINT64_MAX, LEDGER_ROOT_IDLE, "");
	expect_call(s, 256 + REFUSED_CHILD, LEDGER_ROOT_IDLE, "");
	expect_sum(s, 3);
}

/* Its parent is whom the header names. */
static void test_no_root(void **state)
{
	struct scene *s = *state;

	s->refusal = REFUSED_SEVERAL;
	scene__call(s, FORWARDED);
	assert_string_equal(s->client.link, "header");
	assert_string_equal(s->client.root, "");
	expect_sum(s, 0);
}

/* The header that it went out with was made where it was refused. */
static void test_call_with_our_header(void **state)
{
	struct scene *s = *state;
	struct event_context event = {
		.hdr = { EVENT_CONTEXT, sizeof(event), s->now, CLIENT },
		.flags = 0x03,
		.ref_pos = REFUSED_UNSEEN,
	};

	memset(event.trace_id, 0xaa, sizeof(event.trace_id));
	memset(event.span_id, 0xbb, sizeof(event.span_id));
	scene__record(s, &event, sizeof(event));
	expect_call(s, REFUSED_SEVERAL, LEDGER_ROOT_UNSEEN, "unseen_requests");
	assert_filled(s->client.trace_id, 16, 0xaa);
	expect_sum(s, 1);
}

static void test_call_whose_parent_is_gone(void **state)
{
	struct scene *s = *state;
	struct event_context event = {
		.hdr = { EVENT_CONTEXT, sizeof(event), s->now, CLIENT },
		.flags = 0x03,
		.ref = REF_THREAD,
		.ref_conn = SERVER,
		.ref_pos = REFUSED_SEVERAL, /* a place */
	};

	scene__record(s, &event, sizeof(event));
	expect_call(s, REFUSED_NOT, LEDGER_PARENT_GONE, "");
	expect_sum(s, 1);
}

static void test_failed_connect(void **state)
{
	struct scene *s = *state;
	struct event_conn event = {
		.hdr = { EVENT_CONN_FAILED, sizeof(event), s->now, OTHER_SERVER },
		.role = ROLE_CLIENT,
		.error = 111,
		.ref_pos = REFUSED_RESTLESS,
	};

	scene__record(s, &event, sizeof(event));
	assert_string_equal(s->client.root, "not_silent");
	expect_sum(s, 1);
}

/* Once for each process and cause. */
static void test_what_is_told(void **state)
{
	struct scene *s = *state;

	for (int i = 0; i < 3; i++) {
		expect_call(s, REFUSED_NOT, LEDGER_ROOT_IDLE, "");
		expect_call(s, REFUSED_SEVERAL, LEDGER_ROOT_SEVERAL, "several_requests");
		expect_call(s, REFUSED_CHILD, LEDGER_ROOT_CHILD, "child_process");
	}
	assert_int_equal(s->roots_told, 2);
}

static void test_each_name_has_a_text(void **state)
{
	for (int i = 0; i < LEDGER_ENTRIES; i++)
		assert_int_equal(!root__name(i).len, !root__text(i)[0]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, scene__teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_each_refusal),
		TEST(test_who_serves_nobody),
		TEST(test_who_has_received_no_request),
		TEST(test_who_may_as_well_send_requests),
		TEST(test_who_is_known_anew_serves_still),
		TEST(test_a_number_that_is_no_refusal),
		TEST(test_no_root),
		TEST(test_call_with_our_header),
		TEST(test_call_whose_parent_is_gone),
		TEST(test_failed_connect),
		TEST(test_what_is_told),
		cmocka_unit_test(test_each_name_has_a_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
