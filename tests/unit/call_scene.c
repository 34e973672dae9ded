// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/call_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "user/flow/pipeline.h"
#include "user/flow/resource.h"

static void on_span(void *ctx, struct span *span)
{
	const struct attribute link = span__find(span, "spanloom.link");
	const struct attribute root = span__find(span, "spanloom.root");
	struct scene *s = ctx;
	struct seen *seen = span->kind == SPAN_CLIENT ? &s->client : &s->server;

	seen->spans++;
	memcpy(seen->trace_id, span->trace_id, sizeof(seen->trace_id));
	memcpy(seen->span_id, span->span_id, sizeof(seen->span_id));
	memcpy(seen->parent_id, span->parent_id, sizeof(seen->parent_id));
	seen->remote = span->parent_remote;
	snprintf(seen->link, sizeof(seen->link), "%.*s", (int)link.string.len, link.string.data);
	snprintf(seen->root, sizeof(seen->root), "%.*s", (int)root.string.len, root.string.data);
	snprintf(seen->state, sizeof(seen->state), "%.*s", (int)span->trace_state.len,
		 span->trace_state.data);
	span__free(span);
}

static struct resource *on_resource(void *ctx, uint32_t tgid, const char *comm)
{
	return resource__get(((struct scene *)ctx)->resource);
}

static void on_root(void *ctx, const struct resource *process, enum ledger_entry cause)
{
	((struct scene *)ctx)->roots_told++;
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

int scene__setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct pipeline_callbacks callbacks = {
		.span = on_span,
		.resource = on_resource,
		.root = on_root,
		.join = on_join,
		.proven = on_proven,
		.leave = on_leave,
		.ctx = s,
	};

	if (!s)
		return -1;
	flow_config__defaults(&s->config);
	s->resource = resource__new(1);
	s->now = SECOND;
	s->pipeline = pipeline__new(&s->config, &callbacks, &s->ledger);
	*state = s;
	return s->pipeline ? 0 : -1;
}

int scene__teardown(void **state)
{
	struct scene *s = *state;

	pipeline__free(s->pipeline);
	resource__put(s->resource);
	free(s);
	return 0;
}

void scene__record(struct scene *s, const void *record, size_t len)
{
	assert_int_equal(pipeline__record(s->pipeline, record, len), 0);
}

void scene__conn(struct scene *s, uint64_t id, enum conn_role role, uint8_t flags)
{
	struct event_conn event = {
		.hdr = { EVENT_CONN, sizeof(event), s->now, id },
		.tgid = (uint32_t)id,
		.role = (uint8_t)role,
		.flags = flags,
	};

	scene__record(s, &event, sizeof(event));
}

void scene__feed(struct scene *s, uint64_t id, enum event_dir dir, const char *bytes)
{
	bool request = dir == (id == CLIENT ? DIR_SEND : DIR_RECV);
	size_t len = strlen(bytes);
	struct event_data *data = calloc(1, sizeof(*data) + len);

	assert_non_null(data);
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
	data->ref_pos = id == CLIENT && request ? s->refusal : 0;
	memcpy(data->payload, bytes, len);
	scene__record(s, data, sizeof(*data) + len);
	free(data);
	s->pos[id][dir] += len;
}

void scene__call(struct scene *s, const char *request)
{
	scene__feed(s, CLIENT, DIR_SEND, request);
	scene__feed(s, CLIENT, DIR_RECV, RESPONSE);
}

void assert_filled(const uint8_t *id, size_t len, uint8_t with)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(id[i], with);
}
