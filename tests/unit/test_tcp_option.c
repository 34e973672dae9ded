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

#include "bpf/event.h"
#include "user/flow/pipeline.h"
#include "user/flow/resource.h"
#include "user/flow/span.h"

#define GET	   "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
#define WITH(line) "GET / HTTP/1.1\r\nHost: h\r\n" line "\r\n\r\n"
#define OWN_TRACE  "traceparent: 00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-dddddddddddddddd-03"
#define OTHER	   "traceparent: 00-eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee-dddddddddddddddd-03"
#define RESPONSE   "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define SECOND	   1000000000ULL

enum { CLIENT = 1, SERVER = 2 }; /* conn_id */

struct seen {
	size_t spans;
	uint8_t trace_id[16], span_id[8], parent_id[8];
	bool remote;
	char link[16];
	char state[64];
};

struct scene {
	struct pipeline *pipeline;
	struct flow_config config;
	struct ledger ledger;
	struct resource *resource;
	uint64_t pos[3][2];
	uint64_t now;
	uint8_t ref; /* of the next data that the server receives */
	struct seen client, server;
};

static void on_span(void *ctx, struct span *span)
{
	const struct attribute *link = span__find(span, "spanloom.link");
	struct scene *s = ctx;
	struct seen *seen = span->kind == SPAN_CLIENT ? &s->client : &s->server;

	seen->spans++;
	memcpy(seen->trace_id, span->trace_id, sizeof(seen->trace_id));
	memcpy(seen->span_id, span->span_id, sizeof(seen->span_id));
	memcpy(seen->parent_id, span->parent_id, sizeof(seen->parent_id));
	seen->remote = span->parent_remote;
	snprintf(seen->link, sizeof(seen->link), "%.*s", (int)link->string.len, link->string.data);
	snprintf(seen->state, sizeof(seen->state), "%.*s", (int)span->trace_state.len,
		 span->trace_state.data);
	span__free(span);
}

static struct resource *on_resource(void *ctx, uint32_t tgid, const char *comm)
{
	return resource__get(((struct scene *)ctx)->resource);
}

static void feed_conn(struct scene *s, uint64_t id, enum conn_role role)
{
	struct event_conn event = {
		.hdr = { EVENT_CONN, sizeof(event), s->now, id },
		.tgid = (uint32_t)id,
		.role = (uint8_t)role,
		.flags = CONN_FRESH,
	};

	assert_int_equal(pipeline__record(s->pipeline, &event, sizeof(event)), 0);
}

static int setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct pipeline_callbacks callbacks = {
		.span = on_span,
		.resource = on_resource,
		.ctx = s,
	};

	if (!s)
		return -1;
	flow_config__defaults(&s->config);
	s->resource = resource__new(1);
	s->now = SECOND;
	s->pipeline = pipeline__new(&s->config, &callbacks, &s->ledger);
	*state = s;
	if (!s->pipeline)
		return -1;
	feed_conn(s, CLIENT, ROLE_CLIENT);
	feed_conn(s, SERVER, ROLE_SERVER);
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;

	pipeline__free(s->pipeline);
	resource__put(s->resource);
	free(s);
	return 0;
}

static void feed(struct scene *s, uint64_t id, enum event_dir dir, const char *bytes)
{
	bool request = dir == (id == CLIENT ? DIR_SEND : DIR_RECV);
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
	data->match = request ? MATCH_REQUEST : MATCH_RESPONSE;
	data->ref = id == SERVER && request ? s->ref : REF_NONE;
	data->ref_conn = data->ref ? CLIENT : 0;
	memcpy(data->payload, bytes, len);
	assert_int_equal(pipeline__record(s->pipeline, data, sizeof(*data) + len), 0);
	free(data);
	s->pos[id][dir] += len;
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
	assert_int_equal(pipeline__record(s->pipeline, &event, sizeof(event)), 0);
}

static void call(struct scene *s, const char *request)
{
	feed(s, CLIENT, DIR_SEND, request);
	feed(s, CLIENT, DIR_RECV, RESPONSE);
}

static void serve(struct scene *s, const char *request)
{
	feed(s, SERVER, DIR_RECV, request);
	feed(s, SERVER, DIR_SEND, RESPONSE);
	pipeline__tick(s->pipeline, s->now + SECOND);
	assert_int_equal(s->server.spans, 1);
}

static void assert_filled(const uint8_t *id, size_t len, uint8_t with)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(id[i], with);
}

/* ---- sent ------------------------------------------------------------------------------- */

static void test_client_is_what_was_sent(void **state)
{
	struct scene *s = *state;

	feed_context(s, DIR_SEND, CARRIER_OPTION, 0x03);
	call(s, GET);
	assert_filled(s->client.trace_id, 16, 0xaa);
	assert_filled(s->client.span_id, 8, 0xbb);
	assert_string_equal(s->client.link, "none");
}

static void test_clients_own_header_counts_more(void **state)
{
	struct scene *s = *state;

	feed_context(s, DIR_SEND, CARRIER_OPTION, 0x03);
	call(s, WITH(OTHER));
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
	call(s, GET);
	assert_filled(s->client.trace_id, 16, 0x99);
}

static void test_injected_header_replaces(void **state)
{
	struct scene *s = *state;

	feed_context(s, DIR_SEND, CARRIER_OPTION, 0x03);
	feed_context(s, DIR_SEND, CARRIER_HEADER, 0x03);
	call(s, GET);
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
	feed(s, SERVER, DIR_RECV, GET);
	feed(s, SERVER, DIR_SEND, RESPONSE);
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
	call(s, GET);
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
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
