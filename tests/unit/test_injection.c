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

#include "bpf/event.h"
#include "user/flow/pipeline.h"
#include "user/flow/resource.h"
#include "user/flow/span.h"

#define GET	 "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
#define RESPONSE "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define CLIENT	 1 /* conn_id */
#define SERVER	 2

struct scene {
	struct pipeline *pipeline;
	struct flow_config config;
	struct ledger ledger;
	struct resource *resource;
	uint64_t pos[3][2];
	uint64_t now;
	size_t spans, joins, proven, left;
	uint8_t trace_id[16], span_id[8], parent_id[8];
	char link[16];
	char state[64];
};

static void on_span(void *ctx, struct span *span)
{
	const struct attribute *link = span__find(span, "spanloom.link");
	struct scene *s = ctx;

	s->spans++;
	if (span->kind == SPAN_CLIENT) {
		memcpy(s->trace_id, span->trace_id, sizeof(s->trace_id));
		memcpy(s->span_id, span->span_id, sizeof(s->span_id));
		memcpy(s->parent_id, span->parent_id, sizeof(s->parent_id));
		snprintf(s->link, sizeof(s->link), "%.*s", (int)link->string.len,
			 link->string.data);
		snprintf(s->state, sizeof(s->state), "%.*s", (int)span->trace_state.len,
			 span->trace_state.data);
	}
	span__free(span);
}

static struct resource *on_resource(void *ctx, uint32_t tgid, const char *comm)
{
	return resource__get(((struct scene *)ctx)->resource);
}

static void on_join(void *ctx, uint64_t conn_id)
{
	assert_int_equal(conn_id, CLIENT);
	((struct scene *)ctx)->joins++;
}

static void on_proven(void *ctx, uint64_t conn_id)
{
	assert_int_equal(conn_id, CLIENT);
	((struct scene *)ctx)->proven++;
}

static void on_leave(void *ctx, uint64_t conn_id)
{
	((struct scene *)ctx)->left++;
}

static int setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct pipeline_callbacks callbacks = {
		.span = on_span,
		.resource = on_resource,
		.join = on_join,
		.proven = on_proven,
		.leave = on_leave,
		.ctx = s,
	};

	if (!s)
		return -1;
	flow_config__defaults(&s->config);
	s->resource = resource__new(1);
	s->now = 1000000000;
	s->pipeline = pipeline__new(&s->config, &callbacks, &s->ledger);
	*state = s;
	return s->pipeline ? 0 : -1;
}

static int teardown(void **state)
{
	struct scene *s = *state;

	pipeline__free(s->pipeline);
	resource__put(s->resource);
	free(s);
	return 0;
}

static void feed_conn(struct scene *s, uint64_t id, enum conn_role role, uint8_t flags)
{
	struct event_conn event = {
		.hdr = { EVENT_CONN, sizeof(event), s->now, id },
		.tgid = 1,
		.role = (uint8_t)role,
		.flags = flags,
	};

	assert_int_equal(pipeline__record(s->pipeline, &event, sizeof(event)), 0);
}

static void feed(struct scene *s, uint64_t id, enum event_dir dir, const char *bytes)
{
	size_t len = strlen(bytes);
	struct event_data *data = calloc(1, sizeof(*data) + len);

	s->now += 1000;
	data->hdr = (struct event_hdr){ EVENT_DATA, (uint32_t)(sizeof(*data) + len), s->now, id };
	data->start_ns = s->now;
	data->pos = s->pos[id][dir];
	data->size = data->captured = (uint32_t)len;
	data->flags = DATA_EXACT_START | DATA_TURN | DATA_SAMPLED;
	data->dir = (uint8_t)dir;
	data->proto = PROTO_HTTP1;
	data->match = dir == DIR_SEND ? MATCH_REQUEST : MATCH_RESPONSE;
	memcpy(data->payload, bytes, len);
	assert_int_equal(pipeline__record(s->pipeline, data, sizeof(*data) + len), 0);
	free(data);
	s->pos[id][dir] += len;
}

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
	assert_int_equal(pipeline__record(s->pipeline, &event, sizeof(event)), 0);
}

static void feed_head(struct scene *s, uint64_t pos)
{
	struct event_head event = { .hdr = { EVENT_HEAD, sizeof(event), s->now, CLIENT },
				    .pos = pos };

	assert_int_equal(pipeline__record(s->pipeline, &event, sizeof(event)), 0);
}

static void feed_leave(struct scene *s, enum leave_reason reason)
{
	struct event_leave event = { .hdr = { EVENT_LEAVE, sizeof(event), s->now, CLIENT },
				     .reason = reason };

	assert_int_equal(pipeline__record(s->pipeline, &event, sizeof(event)), 0);
}

static void call(struct scene *s)
{
	feed(s, CLIENT, DIR_SEND, GET);
	feed(s, CLIENT, DIR_RECV, RESPONSE);
}

static void assert_filled(const uint8_t *id, size_t len, uint8_t with)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(id[i], with);
}

/* ---- what was sent ---------------------------------------------------------------------- */

/* A request in the trace that is sent on. */
static void feed_request(struct scene *s)
{
	feed_conn(s, SERVER, ROLE_SERVER, CONN_FRESH);
	feed(s, SERVER, DIR_RECV,
	     "GET / HTTP/1.1\r\nTraceparent: 00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-dddddddddddddddd-"
	     "03\r\nTracestate: k=v\r\n\r\n");
}

static void test_span_is_what_was_sent(void **state)
{
	struct scene *s = *state;

	feed_request(s);
	feed_conn(s, CLIENT, ROLE_CLIENT, CONN_FRESH);
	feed_context(s, 0, REF_THREAD);
	call(s);
	assert_int_equal(s->spans, 1);
	assert_filled(s->trace_id, 16, 0xaa);
	assert_filled(s->span_id, 8, 0xbb);
	assert_filled(s->parent_id, 8, 0xcc);
	assert_string_equal(s->link, "thread");
}

/* The second of a pipeline, too. */
static void test_each_request_has_its_own(void **state)
{
	struct scene *s = *state;

	feed_conn(s, CLIENT, ROLE_CLIENT, CONN_FRESH);
	feed_context(s, strlen(GET), REF_NONE);
	feed(s, CLIENT, DIR_SEND, GET GET);
	feed(s, CLIENT, DIR_RECV, RESPONSE);
	assert_int_not_equal(s->trace_id[0], 0xaa);
	feed(s, CLIENT, DIR_RECV, RESPONSE);
	assert_int_equal(s->spans, 2);
	assert_filled(s->trace_id, 16, 0xaa);
	assert_filled(s->parent_id, 8, 0);
	assert_string_equal(s->link, "none");
}

static void test_other_requests_are_not_touched(void **state)
{
	struct scene *s = *state;

	feed_conn(s, CLIENT, ROLE_CLIENT, CONN_FRESH);
	feed_context(s, 5, REF_THREAD);
	call(s);
	assert_int_equal(s->spans, 1);
	assert_int_not_equal(s->trace_id[0], 0xaa);
}

static void test_state_is_the_parents(void **state)
{
	struct scene *s = *state;

	feed_request(s);
	feed_conn(s, CLIENT, ROLE_CLIENT, CONN_FRESH);
	feed_context(s, 0, REF_THREAD);
	call(s);
	assert_string_equal(s->state, "k=v");
	assert_filled(s->parent_id, 8, 0xcc);
}

/* Whoever was told of nothing has nobody. */
static void test_a_hidden_parent_is_none(void **state)
{
	static const char *const health[] = { "/health", NULL };
	struct scene *s = *state;

	s->config.ignore_paths = health;
	feed_conn(s, SERVER, ROLE_SERVER, CONN_FRESH);
	feed_conn(s, CLIENT, ROLE_CLIENT, CONN_FRESH);
	feed(s, SERVER, DIR_RECV, "GET /health HTTP/1.1\r\n\r\n");
	feed_context(s, 0, REF_THREAD);
	call(s);
	assert_filled(s->trace_id, 16, 0xaa);
	assert_filled(s->parent_id, 8, 0);
	assert_string_equal(s->link, "none");
}

/* Nor has a call anybody whose request was lost here. */
static void test_a_lost_parent_is_none(void **state)
{
	struct scene *s = *state;

	feed_conn(s, CLIENT, ROLE_CLIENT, CONN_FRESH);
	feed_context(s, 0, REF_THREAD);
	call(s);
	assert_filled(s->trace_id, 16, 0xaa);
	assert_filled(s->parent_id, 8, 0);
	assert_string_equal(s->link, "none");
}

/* Contexts whose requests never come push out only one another, counted. */
static void test_contexts_are_bounded(void **state)
{
	struct scene *s = *state;

	feed_conn(s, CLIENT, ROLE_CLIENT, CONN_FRESH);
	for (uint64_t i = 1; i <= 10000; i++)
		feed_context(s, 1000 * i, REF_NONE);
	feed_context(s, 0, REF_THREAD);
	call(s);
	assert_filled(s->trace_id, 16, 0xaa);
	assert_int_equal(s->ledger.count[LEDGER_CONTEXTS_LOST], 10001 - 8192);
	assert_int_equal(s->ledger.count[LEDGER_RECORDS_CONTEXT], 10001);
}

/* ---- who joins -------------------------------------------------------------------------- */

static void test_fresh_connections_have_joined(void **state)
{
	struct scene *s = *state;

	feed_conn(s, CLIENT, ROLE_CLIENT, CONN_FRESH);
	call(s);
	assert_int_equal(s->joins, 0);
}

static void test_old_connections_join_once(void **state)
{
	struct scene *s = *state;

	feed_conn(s, CLIENT, ROLE_CLIENT, 0);
	call(s);
	call(s);
	assert_int_equal(s->joins, 1);
	assert_int_equal(s->proven, 0);
	feed_head(s, s->pos[CLIENT][DIR_SEND]);
	call(s);
	call(s);
	assert_int_equal(s->proven, 1);
	assert_int_equal(s->left, 0);
}

/* What looked like a request was a part of another one's body. */
static void test_a_false_beginning_is_found_out(void **state)
{
	struct scene *s = *state;

	feed_conn(s, CLIENT, ROLE_CLIENT, 0);
	call(s);
	feed(s, CLIENT, DIR_SEND, "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n");
	feed_head(s, s->pos[CLIENT][DIR_SEND]);
	feed(s, CLIENT, DIR_SEND, "GET /");
	feed(s, CLIENT, DIR_RECV, RESPONSE);
	call(s);
	assert_int_equal(s->proven, 0);
	assert_int_equal(s->left, 1);
}

static void test_who_left_joins_again(void **state)
{
	struct scene *s = *state;

	feed_conn(s, CLIENT, ROLE_CLIENT, CONN_FRESH);
	feed_leave(s, LEAVE_BULK);
	assert_int_equal(s->left, 1);
	call(s);
	assert_int_equal(s->joins, 1);
	feed_leave(s, LEAVE_LOST);
	call(s);
	assert_int_equal(s->joins, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
