// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proto/otlp.pb-c.h"
#include "user/export/batch.h"
#include "user/export/otlp.h"
#include "user/flow/resource.h"
#include "user/flow/span.h"

#define SCHEMA_URL "https://opentelemetry.io/schemas/1.44.0"
#define MIB	   (1024 * 1024)

static struct span *make_span(struct resource *resource, const char *scope, uint8_t id)
{
	struct span *span = span__new();

	assert_non_null(span);
	memset(span->trace_id, id, sizeof(span->trace_id));
	memset(span->span_id, id, sizeof(span->span_id));
	span->kind = SPAN_SERVER;
	span->start_unix_ns = 1700000000000000000ull + id;
	span->end_unix_ns = span->start_unix_ns + 1000;
	span->scope = scope;
	span->resource = resource ? resource__get(resource) : NULL;
	span__set_name(span, SLICE("GET /"));
	return span;
}

static void free_spans(struct span **spans, size_t count)
{
	for (size_t i = 0; i < count; i++)
		span__free(spans[i]);
}

/* The pieces of the request as one; the caller frees @memory. */
static void join(struct batch *batch, void **memory, struct slice *request)
{
	struct body_cursor cursor = { 0 };
	struct body body;

	assert_int_equal(batch__encode(batch, &body), 0);
	*memory = malloc(body.len);
	assert_non_null(*memory);
	*request = slice__of(*memory, body__read(&body, &cursor, *memory, body.len));
	assert_int_equal(request->len, body.len);
	assert_int_equal(body__read(&body, &cursor, *memory, 1), 0);
}

static void encode(struct span *const *spans, size_t count, void **memory, struct slice *request)
{
	struct batch *batch = batch__new();

	assert_non_null(batch);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(batch__add(batch, spans[i]), 0);
	assert_int_equal(batch->spans, count);
	join(batch, memory, request);
	assert_true(request->len <= batch->bytes);
	batch__free(batch);
}

/* The request as protobuf-c reads it, which would write the very same bytes; the caller frees
 * it. */
static Otlp__Request *round_trip(struct span *const *spans, size_t count)
{
	Otlp__Request *request;
	struct slice bytes;
	uint8_t *again;
	void *memory;

	encode(spans, count, &memory, &bytes);
	request = otlp__request__unpack(NULL, bytes.len, (const uint8_t *)bytes.data);
	assert_non_null(request);
	assert_int_equal(otlp__request__get_packed_size(request), bytes.len);
	again = malloc(bytes.len);
	assert_non_null(again);
	otlp__request__pack(request, again);
	assert_memory_equal(again, bytes.data, bytes.len);
	free(again);
	free(memory);
	return request;
}

static void assert_text(ProtobufCBinaryData data, const char *text)
{
	assert_int_equal(data.len, strlen(text));
	assert_memory_equal(data.data, text, data.len);
}

/* Of a request with a single span. */
static const Otlp__Span *only_span(const Otlp__Request *request)
{
	assert_int_equal(request->n_resource_spans, 1);
	assert_int_equal(request->resource_spans[0]->n_scope_spans, 1);
	assert_int_equal(request->resource_spans[0]->scope_spans[0]->n_spans, 1);
	return request->resource_spans[0]->scope_spans[0]->spans[0];
}

static const Otlp__AnyValue *value_of(const Otlp__Span *span, const char *key)
{
	for (size_t i = 0; i < span->n_attributes; i++) {
		ProtobufCBinaryData name = span->attributes[i]->key;

		if (name.len == strlen(key) && memcmp(name.data, key, name.len) == 0)
			return span->attributes[i]->value;
	}
	fail_msg("no attribute %s", key);
	return NULL;
}

/* A span that uses every field; also what tests/live/check_proto.py expects. */
static struct span *full_span(struct resource *resource)
{
	struct span *span = make_span(resource, "spanloom/http1", 0x11);

	memset(span->parent_id, 0x33, sizeof(span->parent_id));
	span->parent_remote = true;
	span->trace_flags = 3;
	span->trace_state = SLICE("vendor=1,other=2");
	span__set_name(span, SLICE("GET /caf\xc3\xa9"));
	span__add(span, "url.path", SLICE("/caf\xc3\xa9"));
	span__add(span, "nul", SLICE("a\0b"));
	span__add_int(span, "http.response.status_code", 503);
	span__add_int(span, "zero", 0);
	span__add_int(span, "negative", INT64_MIN);
	span__add_bool(span, "yes", true);
	span__add_bool(span, "no", false);
	span->dropped_attributes = 7;
	span__fail(span, SLICE("503"));
	span->status_message = SLICE("upstream is gone");
	return span;
}

static struct resource *make_resource(const char *name)
{
	struct resource *resource = resource__new(1);

	assert_non_null(resource);
	resource__add(resource, "service.name", slice__str(name));
	resource__add_int(resource, "process.pid", 4711);
	return resource;
}

/* For a reader that shares no code with us. */
static void dump(struct span *const *spans, size_t count)
{
	const char *path = getenv("SPANLOOM_OTLP_DUMP");
	struct slice bytes;
	void *memory;
	FILE *file;

	if (!path)
		return;
	encode(spans, count, &memory, &bytes);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes.data, 1, bytes.len, file), bytes.len);
	assert_int_equal(fclose(file), 0);
	free(memory);
}

static void test_every_field(void **state)
{
	struct resource *resource = make_resource("shop");
	struct span *span = full_span(resource);
	Otlp__Request *request = round_trip(&span, 1);
	const Otlp__Span *out = only_span(request);
	const Otlp__AnyValue *value;

	dump(&span, 1);
	assert_int_equal(out->trace_id.len, 16);
	assert_memory_equal(out->trace_id.data, span->trace_id, 16);
	assert_int_equal(out->span_id.len, 8);
	assert_memory_equal(out->span_id.data, span->span_id, 8);
	assert_int_equal(out->parent_span_id.len, 8);
	assert_memory_equal(out->parent_span_id.data, span->parent_id, 8);
	assert_text(out->trace_state, "vendor=1,other=2");
	assert_text(out->name, "GET /caf\xc3\xa9");
	assert_int_equal(out->kind, OTLP__SPAN__KIND__SERVER);
	assert_int_equal(out->start_time_unix_nano, 1700000000000000017ull);
	assert_int_equal(out->end_time_unix_nano, 1700000000000001017ull);
	assert_int_equal(out->flags, 0x303);
	assert_int_equal(out->dropped_attributes_count, 7);
	assert_int_equal(out->status->code, OTLP__STATUS__CODE__ERROR);
	assert_text(out->status->message, "upstream is gone");
	assert_int_equal(out->n_attributes, 8);
	assert_text(value_of(out, "url.path")->string_value, "/caf\xc3\xa9");
	assert_int_equal(value_of(out, "nul")->string_value.len, 3);
	assert_int_equal(value_of(out, "http.response.status_code")->int_value, 503);
	value = value_of(out, "zero");
	assert_int_equal(value->value_case, OTLP__ANY_VALUE__VALUE_INT_VALUE);
	assert_int_equal(value->int_value, 0);
	assert_true(value_of(out, "negative")->int_value == INT64_MIN);
	assert_true(value_of(out, "yes")->bool_value);
	value = value_of(out, "no");
	assert_int_equal(value->value_case, OTLP__ANY_VALUE__VALUE_BOOL_VALUE);
	assert_false(value->bool_value);
	assert_text(value_of(out, "error.type")->string_value, "503");
	otlp__request__free_unpacked(request, NULL);
	span__free(span);
	resource__put(resource);
}

static void test_root(void **state)
{
	struct span *span = make_span(NULL, "spanloom/redis", 1);
	Otlp__Request *request;
	const Otlp__Span *out;

	span->trace_flags = 1;
	span->parent_remote = true; /* means nothing without a parent */
	span->status_message = SLICE("only an error has one");
	request = round_trip(&span, 1);
	out = only_span(request);
	assert_int_equal(out->parent_span_id.len, 0);
	assert_int_equal(out->flags, 0x101);
	assert_null(out->status);
	assert_int_equal(out->n_attributes, 0);
	assert_int_equal(request->resource_spans[0]->resource->n_attributes, 0);
	otlp__request__free_unpacked(request, NULL);
	span__free(span);
}

static void test_local_parent_and_ok(void **state)
{
	struct span *span = make_span(NULL, "spanloom/redis", 1);
	Otlp__Request *request;
	const Otlp__Span *out;

	span->parent_id[7] = 1; /* a zero byte is not a zero id */
	span->status = STATUS_OK;
	span->status_message = SLICE("only an error has one");
	request = round_trip(&span, 1);
	out = only_span(request);
	assert_int_equal(out->parent_span_id.len, 8);
	assert_int_equal(out->flags, 0x100);
	assert_int_equal(out->status->code, OTLP__STATUS__CODE__OK);
	assert_int_equal(out->status->message.len, 0);
	otlp__request__free_unpacked(request, NULL);
	span__free(span);
}

/* The length of a span takes one byte, two or three; that of its status, likewise. */
static void test_lengths(void **state)
{
	static const struct {
		size_t from, to;
	} ranges[] = { { 1, 140 }, { 16150, 16390 } };
	char *text = malloc(16390);

	assert_non_null(text);
	memset(text, 'x', 16390);
	for (int status = STATUS_UNSET; status <= STATUS_ERROR; status++) {
		for (size_t i = 0; i < 2; i++) {
			for (size_t len = ranges[i].from; len < ranges[i].to; len++) {
				struct span *span = make_span(NULL, "spanloom/redis", 1);
				Otlp__Request *request;

				span->status = (enum span_status)status;
				span->status_message = slice__of(text, len);
				span__set_name(span, slice__of(text, len));
				request = round_trip(&span, 1);
				assert_int_equal(only_span(request)->name.len, len);
				otlp__request__free_unpacked(request, NULL);
				span__free(span);
			}
		}
	}
	free(text);
}

static const Otlp__ResourceSpans *resource_of(const Otlp__Request *request, const char *service)
{
	for (size_t i = 0; i < request->n_resource_spans; i++) {
		const Otlp__Resource *resource = request->resource_spans[i]->resource;
		ProtobufCBinaryData name = resource->attributes[0]->value->string_value;

		if (name.len == strlen(service) && memcmp(name.data, service, name.len) == 0)
			return request->resource_spans[i];
	}
	fail_msg("no resource %s", service);
	return NULL;
}

static void test_groups(void **state)
{
	/* equal text at another address is the same scope */
	char http_again[] = "spanloom/http1";
	struct resource *shop = make_resource("shop");
	struct resource *cart = make_resource("cart");
	struct span *spans[] = {
		make_span(shop, "spanloom/http1", 1), make_span(cart, "spanloom/http1", 2),
		make_span(shop, "spanloom/redis", 3), make_span(cart, http_again, 4),
		make_span(shop, http_again, 5),	      make_span(cart, "spanloom/http1", 6),
	};
	Otlp__Request *request = round_trip(spans, 6);
	const Otlp__ResourceSpans *out;

	assert_int_equal(request->n_resource_spans, 2);
	out = resource_of(request, "cart");
	assert_text(out->schema_url, SCHEMA_URL);
	assert_int_equal(out->resource->n_attributes, 2);
	assert_int_equal(out->resource->attributes[1]->value->int_value, 4711);
	assert_int_equal(out->n_scope_spans, 1);
	assert_text(out->scope_spans[0]->schema_url, SCHEMA_URL);
	assert_text(out->scope_spans[0]->scope->name, "spanloom/http1");
	assert_text(out->scope_spans[0]->scope->version, SPANLOOM_VERSION);
	assert_int_equal(out->scope_spans[0]->n_spans, 3);
	for (uint8_t i = 0; i < 3; i++) /* in the order they came in */
		assert_int_equal(out->scope_spans[0]->spans[i]->span_id.data[0], 2 * i + 2);
	out = resource_of(request, "shop");
	assert_int_equal(out->n_scope_spans, 2);
	assert_int_equal(out->scope_spans[0]->n_spans + out->scope_spans[1]->n_spans, 3);
	otlp__request__free_unpacked(request, NULL);
	free_spans(spans, 6);
	resource__put(shop);
	resource__put(cart);
}

/* More resources than buckets, and more bytes of one than a chunk has. */
static void test_many_groups(void **state)
{
	enum { RESOURCES = 200, SPANS = 1000 };
	struct resource *resources[RESOURCES];
	struct span *spans[SPANS];
	Otlp__Request *request;

	for (int i = 0; i < RESOURCES; i++)
		resources[i] = make_resource("shop");
	for (int i = 0; i < SPANS; i++)
		spans[i] = make_span(resources[i % 2 ? 0 : i % RESOURCES], "a", (uint8_t)(i + 1));
	request = round_trip(spans, SPANS);
	assert_int_equal(request->n_resource_spans, RESOURCES / 2);
	for (size_t i = 0; i < request->n_resource_spans; i++) {
		const Otlp__ScopeSpans *scope = request->resource_spans[i]->scope_spans[0];

		assert_int_equal(request->resource_spans[i]->n_scope_spans, 1);
		assert_true(scope->n_spans == 5 || scope->n_spans == 505);
	}
	otlp__request__free_unpacked(request, NULL);
	free_spans(spans, SPANS);
	for (int i = 0; i < RESOURCES; i++)
		resource__put(resources[i]);
}

/* All kinds and sizes of values, and more of them than were guessed. */
static void test_many(void **state)
{
	static const char text[300] = "x";
	char key[200] = "";
	struct resource *resource = make_resource("shop");
	struct span *spans[40];
	uint32_t seed = 1;

	memset(key, 'k', sizeof(key) - 1);
	for (int i = 0; i < 40; i++) {
		spans[i] = make_span(i % 3 ? resource : NULL, i % 2 ? "a" : "b", (uint8_t)(i + 1));
		for (int k = 0; k < i + 8; k++) {
			seed = seed * 1664525 + 1013904223;
			if (seed >> 30 == 0)
				span__add_int(spans[i], "i", INT64_MIN);
			else if (seed >> 30 == 1)
				span__add_bool(spans[i], key, true);
			else
				span__add(spans[i], "s", slice__of(text, seed >> 16 & 0xff));
		}
	}
	for (size_t count = 1; count <= 40; count++)
		otlp__request__free_unpacked(round_trip(spans, count), NULL);
	free_spans(spans, 40);
	resource__put(resource);
}

static int add_text_of(struct batch *batch, const char *text, size_t len)
{
	struct span *span = make_span(NULL, "spanloom/http1", 1);
	int err;

	span->name = slice__of(text, len);
	err = batch__add(batch, span);
	span__free(span);
	return err;
}

static void test_too_large(void **state)
{
	struct batch *batch = batch__new();
	char *text = calloc(1, 65 * MIB);
	struct slice request;
	void *memory;

	assert_non_null(batch);
	assert_non_null(text);
	assert_int_equal(add_text_of(batch, text, 65 * MIB), -E2BIG);
	assert_int_equal(add_text_of(batch, text, 64 * MIB), -E2BIG);
	assert_int_equal(batch->spans, 0);
	assert_int_equal(add_text_of(batch, text, 64 * MIB - 2048), 0);
	assert_int_equal(add_text_of(batch, text, 2048), -E2BIG);
	assert_int_equal(add_text_of(batch, text, 1), 0); /* there is room for a small one */
	assert_int_equal(batch->spans, 2);
	join(batch, &memory, &request);
	assert_true(request.len > 64 * MIB - 2048 && request.len <= 64 * MIB);
	free(memory);
	batch__free(batch);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_field),
		cmocka_unit_test(test_root),
		cmocka_unit_test(test_local_parent_and_ok),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_many_groups),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
