// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/pipeline_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "user/flow/span.h"
#include "user/protocols/protocol.h"

static void on_span(void *ctx, struct span *span)
{
	const struct attribute status = span__find(span, "http.response.status_code");
	const struct attribute error = span__find(span, "error.type");
	struct bench *b = ctx;

	if (b->count < SPANS) {
		struct seen *seen = &b->seen[b->count];

		seen->status = status.type == ATTRIBUTE_INT ? status.integer : 0;
		seen->incomplete = span__find(span, "spanloom.incomplete").type;
		if (error.type == ATTRIBUTE_STRING)
			snprintf(seen->error, sizeof(seen->error), "%.*s", (int)error.string.len,
				 error.string.data);
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

void bench__start(struct bench *b)
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

int bench__setup(void **state)
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

int bench__teardown(void **state)
{
	struct bench *b = *state;

	pipeline__free(b->pipeline);
	resource__put(b->resource);
	free(b);
	return 0;
}

int bench__feed_conn(struct bench *b, uint64_t id, enum conn_role role, uint64_t pos)
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

int bench__feed(struct bench *b, uint64_t id, enum event_dir dir, const char *bytes)
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

void bench__feed_close(struct bench *b, uint64_t id, enum close_kind kind)
{
	struct event_close event = {
		.hdr = { EVENT_CLOSE, sizeof(event), b->now, id },
		.kind = kind,
	};

	pipeline__record(b->pipeline, &event, sizeof(event));
}
