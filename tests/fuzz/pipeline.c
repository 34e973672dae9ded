// SPDX-License-Identifier: Apache-2.0
/*
 * Kernel records in any order, of any length and with any gaps, of several connections; and the
 * spans, as the exporters write them.
 *
 *	input:	a byte of enum limits_flag, the protocol; then records: a byte of the type and the
 *		connection, how long after the one before, and what the type wants
 */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "proto/otlp.pb-c.h"
#include "user/export/batch.h"
#include "user/export/console_json.h"
#include "user/flow/conn.h"
#include "user/flow/pipeline.h"
#include "user/flow/resource.h"
#include "user/flow/span.h"

#define START_NS  3600000000000ULL
#define STEP_NS	  100000ULL
#define LEAP_NS	  10000000000ULL
#define PROCESSES 4
#define SPANS_MAX 64 /* that are written; the exporters are not what is slow to be seen here */

enum limits_flag {
	LIMITS_SMALL = 1 << 0, /* few connections, requests and bytes */
	LIMITS_SAMPLER = 1 << 1,
	LIMITS_CLIENTS_ONLY = 1 << 2,
	LIMITS_ATTRIBUTES = 1 << 3,
	LIMITS_SDK_IGNORE = 1 << 4,
};

enum record_kind {
	RECORD_DATA, /* to 5: the most of them */
	RECORD_CONN = 6,
	RECORD_FAILED,
	RECORD_CLOSE,
	RECORD_PROCESS,
	RECORD_CONTEXT,
	RECORD_HEAD,
	RECORD_LEAVE,
	RECORD_RAW,
	RECORD_TICK,
	RECORD_LEAP,
};

struct stage {
	struct pipeline *pipeline;
	struct resource *process[PROCESSES];
	struct ledger ledger;
	struct batch *batch;
	struct console_json json;
	unsigned int proto;
	uint64_t now_ns;
	uint64_t pos[16][2];
	uint64_t turn[16][2]; /* where a message began, that others may refer to */
	size_t written;
};

/* ---- out ---------------------------------------------------------------------------------- */

static void check_json(struct stage *s, const struct span *span)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	json_t *json;

	assert_non_null(out);
	assert_int_equal(console_json__print(&s->json, out, span), 0);
	fclose(out);
	json = json_loadb(text, len, JSON_ALLOW_NUL, NULL);
	assert_non_null(json);
	json_decref(json);
	free(text);
}

static void stage__on_span(void *ctx, struct span *span)
{
	struct stage *s = ctx;

	assert_true(span->end_unix_ns >= span->start_unix_ns);
	if (s->written++ < SPANS_MAX) {
		assert_int_equal(batch__add(s->batch, span), 0);
		check_json(s, span);
	}
	span__free(span);
}

static struct resource *stage__on_resource(void *ctx, uint32_t tgid, const char *comm)
{
	struct stage *s = ctx;

	fuzz__touch(slice__str(comm));
	if (tgid % (PROCESSES + 1) == PROCESSES) /* one is not traced */
		return NULL;
	return resource__get(s->process[tgid % (PROCESSES + 1)]);
}

static void stage__on_sdk(void *ctx, const struct resource *process, enum sdk_evidence evidence,
			  const struct endpoint *to)
{
	assert_true(evidence != SDK_NONE);
}

static void stage__on_conn(void *ctx, uint64_t conn_id)
{
}

/* ---- records ------------------------------------------------------------------------------ */

/* Where the stream goes on, or a little off. */
static uint64_t stage__place(struct stage *s, uint64_t conn, unsigned int dir, unsigned int off)
{
	uint64_t pos = s->pos[conn][dir];

	if (off & 0x80)
		return pos + (off & 0x7f) * 16;
	return pos > off ? pos - off : pos;
}

static void stage__data(struct stage *s, uint64_t conn, struct reader *r)
{
	unsigned int dir = (unsigned int)reader__be(r, 1) & 1;
	unsigned int flags = (unsigned int)reader__be(r, 2), off = (unsigned int)reader__be(r, 1);
	unsigned int ref = (unsigned int)reader__be(r, 1), other = reader__be(r, 1) & 15;
	unsigned int more = (unsigned int)reader__be(r, 1);
	size_t len = reader__be(r, 2);
	struct slice payload = slice__head(r->rest, len);
	struct event_data data = {
		.hdr = { EVENT_DATA, (uint32_t)(sizeof(data) + payload.len), s->now_ns, conn },
		.start_ns = s->now_ns - (ref & 3) * STEP_NS,
		.pos = stage__place(s, conn, dir, off),
		.size = (uint32_t)payload.len + more * more,
		.captured = (uint32_t)payload.len,
		.tgid = (uint32_t)(conn & 7),
		.tid = 1,
		.flags = (uint16_t)flags,
		.dir = (uint8_t)dir,
		.proto = (uint8_t)s->proto,
		.match = ref >> 6,
		.ref = ref >> 2 & 15,
		.ref_conn = other,
		.ref_pos = ref >> 2 & 15 ? s->turn[other][ref & 1] : other, /* or a refusal */
	};
	char *record = malloc(data.hdr.len);

	assert_non_null(record);
	r->rest = slice__skip(r->rest, payload.len);
	memcpy(record, &data, sizeof(data));
	if (payload.len)
		memcpy(record + sizeof(data), payload.data, payload.len);
	pipeline__record(s->pipeline, record, data.hdr.len);
	if (flags & DATA_TURN)
		s->turn[conn][dir] = data.pos;
	s->pos[conn][dir] = data.pos + data.size;
	free(record);
}

/* Lets what refers to a place of a stream refer to one that there is. */
static void stage__aim(const struct stage *s, char *record)
{
	struct event_context context;
	struct event_head head;

	memcpy(&head, record, sizeof(head));
	head.pos = s->pos[head.hdr.conn_id][DIR_SEND];
	if (head.hdr.type == EVENT_HEAD)
		memcpy(record, &head, sizeof(head));
	if (head.hdr.type != EVENT_CONTEXT)
		return;
	memcpy(&context, record, sizeof(context));
	context.pos = s->pos[head.hdr.conn_id][context.dir & 1];
	context.ref_conn &= 15;
	context.ref_pos = s->turn[context.ref_conn][context.ref_pos & 1];
	memcpy(record, &context, sizeof(context));
}

/* What the input has of a record, zeroes behind it, with a head that is right. */
static void stage__fixed(struct stage *s, uint64_t conn, uint32_t type, size_t size,
			 struct reader *r)
{
	struct slice body = slice__head(r->rest, size - sizeof(struct event_hdr));
	struct event_hdr hdr = { type, (uint32_t)size, s->now_ns, conn };
	char *record = calloc(1, size);

	assert_non_null(record);
	r->rest = slice__skip(r->rest, body.len);
	memcpy(record, &hdr, sizeof(hdr));
	if (body.len)
		memcpy(record + sizeof(hdr), body.data, body.len);
	stage__aim(s, record);
	pipeline__record(s->pipeline, record, size);
	free(record);
}

static void stage__raw(struct stage *s, struct reader *r)
{
	size_t len = reader__be(r, 1);
	struct slice record = slice__head(r->rest, len);
	char *copy = fuzz__copy(record);

	r->rest = slice__skip(r->rest, record.len);
	pipeline__record(s->pipeline, copy, record.len);
	free(copy);
}

static void stage__record(struct stage *s, struct reader *r)
{
	unsigned int byte = (unsigned int)reader__be(r, 1);
	uint64_t conn = byte >> 4;

	s->now_ns += reader__be(r, 1) * STEP_NS;
	switch (byte & 15) {
	case RECORD_CONN:
		stage__fixed(s, conn, EVENT_CONN, sizeof(struct event_conn), r);
		break;
	case RECORD_FAILED:
		stage__fixed(s, conn, EVENT_CONN_FAILED, sizeof(struct event_conn), r);
		break;
	case RECORD_CLOSE:
		stage__fixed(s, conn, EVENT_CLOSE, sizeof(struct event_close), r);
		break;
	case RECORD_PROCESS:
		stage__fixed(s, 0, EVENT_PROCESS, sizeof(struct event_process), r);
		break;
	case RECORD_CONTEXT:
		stage__fixed(s, conn, EVENT_CONTEXT, sizeof(struct event_context), r);
		break;
	case RECORD_HEAD:
		stage__fixed(s, conn, EVENT_HEAD, sizeof(struct event_head), r);
		break;
	case RECORD_LEAVE:
		stage__fixed(s, conn, EVENT_LEAVE, sizeof(struct event_leave), r);
		break;
	case RECORD_RAW:
		stage__raw(s, r);
		break;
	case RECORD_LEAP:
		s->now_ns += LEAP_NS;
		/* fall through */
	case RECORD_TICK:
		pipeline__tick(s->pipeline, s->now_ns);
		break;
	default:
		stage__data(s, conn, r);
		break;
	}
}

/* ---- what must hold ----------------------------------------------------------------------- */

static void stage__check(const struct stage *s)
{
	const uint64_t *n = s->ledger.count;

	assert_int_equal(n[LEDGER_RECORDS],
			 n[LEDGER_RECORDS_CONN] + n[LEDGER_RECORDS_DATA] + n[LEDGER_RECORDS_CLOSE] +
				 n[LEDGER_RECORDS_PROCESS] + n[LEDGER_RECORDS_CONTEXT] +
				 n[LEDGER_RECORDS_MALFORMED]);
	assert_int_equal(n[LEDGER_REQUESTS],
			 n[LEDGER_SPANS] + n[LEDGER_QUIET] + n[LEDGER_IGNORED] +
				 n[LEDGER_EXCLUDED] + n[LEDGER_SDK] + n[LEDGER_SAMPLED_OUT] +
				 n[LEDGER_SPANS_NO_MEMORY] + n[LEDGER_REQUESTS_REFUSED] +
				 n[LEDGER_REQUESTS_ABANDONED] + pipeline__in_flight(s->pipeline));
	assert_int_equal(n[LEDGER_ROOTS], ledger__roots(&s->ledger));
}

static void stage__check_request(const struct stage *s)
{
	struct body_cursor cursor = { 0 };
	Otlp__Request *request;
	struct body body;
	char *bytes;

	if (!s->batch->spans)
		return;
	assert_int_equal(batch__encode(s->batch, &body), 0);
	bytes = malloc(body.len);
	assert_non_null(bytes);
	assert_int_equal(body__read(&body, &cursor, bytes, body.len), body.len);
	request = otlp__request__unpack(NULL, body.len, (const uint8_t *)bytes);
	assert_non_null(request);
	otlp__request__free_unpacked(request, NULL);
	free(bytes);
}

static struct flow_config limits(unsigned int flags)
{
	struct flow_config config;

	flow_config__defaults(&config);
	config.db_server_spans = !(flags & LIMITS_CLIENTS_ONLY);
	config.sdk_adopt = !(flags & LIMITS_SDK_IGNORE);
	if (flags & LIMITS_SMALL) {
		config.max_connections = 3;
		config.max_transactions = 8;
		config.max_held_bytes = 32 * 1024;
		config.max_stream_bytes = 1024;
	}
	if (flags & LIMITS_SAMPLER) {
		config.sampler = SAMPLER_RATIO;
		config.sampler_threshold = 1ULL << 55;
	}
	if (flags & LIMITS_ATTRIBUTES) {
		config.attribute_count_limit = 5;
		config.attribute_value_limit = 7;
	}
	return config;
}

static void stage__open(struct stage *s, const struct flow_config *config)
{
	const struct pipeline_callbacks callbacks = {
		.span = stage__on_span,
		.resource = stage__on_resource,
		.sdk = stage__on_sdk,
		.ignore = stage__on_conn,
		.join = stage__on_conn,
		.proven = stage__on_conn,
		.leave = stage__on_conn,
		.ctx = s,
	};

	s->pipeline = pipeline__new(config, &callbacks, &s->ledger);
	s->batch = batch__new();
	assert_true(s->pipeline && s->batch);
	for (uint32_t i = 0; i < PROCESSES; i++) {
		s->process[i] = resource__new(i);
		assert_non_null(s->process[i]);
		resource__add(s->process[i], "service.name", SLICE("fuzz"));
	}
}

void fuzz_pipeline(struct slice in, unsigned int proto)
{
	struct reader r = reader__of(in);
	struct flow_config config = limits((unsigned int)reader__be(&r, 1));
	struct stage s = { .proto = (unsigned int)reader__be(&r, 1), .now_ns = START_NS };

	s.proto %= PROTO_COUNT + 1; /* one that is unknown, too */
	stage__open(&s, &config);
	while (r.rest.len && !r.bad) {
		stage__record(&s, &r);
		stage__check(&s);
	}
	pipeline__drain(s.pipeline);
	stage__check(&s);
	assert_int_equal(pipeline__in_flight(s.pipeline), 0);
	assert_int_equal(pipeline__connections(s.pipeline), 0);
	assert_int_equal(pipeline__held(s.pipeline), 0);
	assert_int_equal(s.ledger.count[LEDGER_BYTES],
			 s.ledger.count[LEDGER_BYTES_PARSED] + s.ledger.count[LEDGER_BYTES_GAP] +
				 s.ledger.count[LEDGER_BYTES_DROPPED]);
	stage__check_request(&s);
	pipeline__free(s.pipeline);
	batch__free(s.batch);
	console_json__reset(&s.json);
	for (size_t i = 0; i < PROCESSES; i++)
		resource__put(s.process[i]);
}

void fuzz_events(struct slice in, unsigned int proto)
{
	char *record = fuzz__copy(in);
	struct event_view view;

	memset(&view, 0xa5, sizeof(view));
	event__type(record, in.len);
	if (event__view(record, in.len, &view) == 0) {
		assert_true(view.hdr.len <= in.len);
		fuzz__touch(view.payload);
		if (view.hdr.type == EVENT_CONN || view.hdr.type == EVENT_CONN_FAILED) {
			assert_true(strnlen(view.conn.comm, EVENT_COMM_LEN) < EVENT_COMM_LEN);
			assert_true(strnlen(view.conn.path, EVENT_PATH_LEN) < EVENT_PATH_LEN);
		}
	}
	free(record);
}
