// SPDX-License-Identifier: Apache-2.0
#include "user/export/otlp.h"

#include <errno.h>

#include "proto/otlp.pb-c.h"
#include "user/export/printable.h"
#include "user/flow/resource.h"
#include "user/flow/span.h"

#define SCHEMA_URL	  "https://opentelemetry.io/schemas/1.44.0"
#define MAX_REQUEST_BYTES (64 * 1024 * 1024)
#define MAX_ANSWER_BYTES  (4 * 1024 * 1024)
/* Memory for the structure of an answer, beside its text. */
#define ANSWER_OVERHEAD_BYTES (64 * 1024)

/* Span.flags above the eight W3C bits. */
#define FLAG_REMOTE_KNOWN 0x100
#define FLAG_REMOTE	  0x200

_Static_assert((int)OTLP__SPAN__KIND__INTERNAL == SPAN_INTERNAL, "kinds are sent as they are");
_Static_assert((int)OTLP__SPAN__KIND__SERVER == SPAN_SERVER, "kinds are sent as they are");
_Static_assert((int)OTLP__SPAN__KIND__CLIENT == SPAN_CLIENT, "kinds are sent as they are");
_Static_assert((int)OTLP__SPAN__KIND__PRODUCER == SPAN_PRODUCER, "kinds are sent as they are");
_Static_assert((int)OTLP__SPAN__KIND__CONSUMER == SPAN_CONSUMER, "kinds are sent as they are");
_Static_assert((int)OTLP__STATUS__CODE__OK == STATUS_OK, "codes are sent as they are");
_Static_assert((int)OTLP__STATUS__CODE__ERROR == STATUS_ERROR, "codes are sent as they are");

/*
 * The messages of one request.  A first pass over the spans counts them, one allocation holds
 * them all, and the second pass takes them from the front of each array: no allocation per
 * attribute.  They borrow every string from the spans.
 */
struct tally {
	size_t text_bytes;
	size_t spans;
	size_t key_values;
	size_t values; /* of attributes, and the items of arrays */
	size_t arrays;
	size_t resources;
	size_t scopes;
};

struct builder {
	Otlp__ResourceSpans *resource_spans;
	Otlp__Resource *resource;
	Otlp__ScopeSpans *scope_spans;
	Otlp__Scope *scope;
	Otlp__Span *span;
	Otlp__Status *status;
	Otlp__KeyValue *key_value;
	Otlp__AnyValue *value;
	Otlp__ArrayValue *array;
	/* what the repeated fields point to */
	Otlp__ResourceSpans **resource_spans_list;
	Otlp__ScopeSpans **scope_spans_list;
	Otlp__Span **span_list;
	Otlp__KeyValue **key_value_list;
	Otlp__AnyValue **value_list;
};

static void tally__strings(struct tally *tally, const struct slice *items, size_t count)
{
	tally->arrays++;
	tally->values += count;
	for (size_t i = 0; i < count; i++)
		tally->text_bytes += items[i].len;
}

static void tally__attributes(struct tally *tally, const struct attribute *attributes, size_t count)
{
	tally->key_values += count;
	tally->values += count;
	for (size_t i = 0; i < count; i++) {
		const struct attribute *attribute = &attributes[i];

		tally->text_bytes += strlen(attribute->key);
		if (attribute->type == ATTRIBUTE_STRING)
			tally->text_bytes += attribute->string.len;
		else if (attribute->type == ATTRIBUTE_STRINGS)
			tally__strings(tally, attribute->strings.item, attribute->strings.count);
	}
}

static void tally__span(struct tally *tally, const struct span *span)
{
	tally->spans++;
	tally->text_bytes += sizeof(span->trace_id) + sizeof(span->span_id) +
			     sizeof(span->parent_id) + span->trace_state.len + span->name.len +
			     span->status_message.len;
	tally__attributes(tally, span->attributes, span->count);
}

static bool same_scope(const struct span *a, const struct span *b)
{
	return a->scope == b->scope || strcmp(a->scope, b->scope) == 0;
}

/* @spans are in order of resource and scope. */
static void tally__spans(struct tally *tally, const struct span *const *spans, size_t count)
{
	const struct span *last = NULL;

	for (size_t i = 0; i < count; i++) {
		const struct span *span = spans[i];
		bool new_resource = !last || last->resource != span->resource;

		if (new_resource) {
			tally->resources++;
			tally->text_bytes += strlen(SCHEMA_URL);
			if (span->resource)
				tally__attributes(tally, span->resource->attributes,
						  span->resource->count);
		}
		if (new_resource || !same_scope(last, span)) {
			tally->scopes++;
			tally->text_bytes +=
				strlen(SCHEMA_URL) + strlen(span->scope) + strlen(SPANLOOM_VERSION);
		}
		tally__span(tally, span);
		last = span;
	}
}

/* At most what @count messages take on the wire beside the text in them: for each of its fields,
 * and for the field that it is itself, a tag of two bytes and a number of ten. */
static size_t overhead(size_t count, const ProtobufCMessageDescriptor *type)
{
	return count * (type->n_fields + 1) * (2 + 10);
}

/* At least what the request will take, without the cost of asking protobuf-c, which would visit
 * every field once more to tell exactly. */
static size_t tally__packed_bytes(const struct tally *tally)
{
	return tally->text_bytes + overhead(tally->resources, &otlp__resource_spans__descriptor) +
	       overhead(tally->resources, &otlp__resource__descriptor) +
	       overhead(tally->scopes, &otlp__scope_spans__descriptor) +
	       overhead(tally->scopes, &otlp__scope__descriptor) +
	       overhead(tally->spans, &otlp__span__descriptor) +
	       overhead(tally->spans, &otlp__status__descriptor) +
	       overhead(tally->key_values, &otlp__key_value__descriptor) +
	       overhead(tally->values, &otlp__any_value__descriptor) +
	       overhead(tally->arrays, &otlp__array_value__descriptor);
}

/* The next array out of @at.  All messages and pointers are aligned to 8 bytes. */
static void *carve(char **at, size_t count, size_t item_bytes)
{
	char *out = *at;

	*at += count * item_bytes;
	return out;
}

/* The memory of @b, which the caller frees; NULL: there is none. */
static void *builder__init(struct builder *b, const struct tally *tally)
{
	size_t bytes =
		tally->resources * (sizeof(*b->resource_spans) + sizeof(*b->resource) +
				    sizeof(*b->resource_spans_list)) +
		tally->scopes * (sizeof(*b->scope_spans) + sizeof(*b->scope) +
				 sizeof(*b->scope_spans_list)) +
		tally->spans * (sizeof(*b->span) + sizeof(*b->status) + sizeof(*b->span_list)) +
		tally->key_values * (sizeof(*b->key_value) + sizeof(*b->key_value_list)) +
		tally->values * (sizeof(*b->value) + sizeof(*b->value_list)) +
		tally->arrays * sizeof(*b->array);
	char *memory = malloc(bytes);
	char *at = memory;

	if (!memory)
		return NULL;
	b->resource_spans = carve(&at, tally->resources, sizeof(*b->resource_spans));
	b->resource = carve(&at, tally->resources, sizeof(*b->resource));
	b->resource_spans_list = carve(&at, tally->resources, sizeof(*b->resource_spans_list));
	b->scope_spans = carve(&at, tally->scopes, sizeof(*b->scope_spans));
	b->scope = carve(&at, tally->scopes, sizeof(*b->scope));
	b->scope_spans_list = carve(&at, tally->scopes, sizeof(*b->scope_spans_list));
	b->span = carve(&at, tally->spans, sizeof(*b->span));
	b->status = carve(&at, tally->spans, sizeof(*b->status));
	b->span_list = carve(&at, tally->spans, sizeof(*b->span_list));
	b->key_value = carve(&at, tally->key_values, sizeof(*b->key_value));
	b->key_value_list = carve(&at, tally->key_values, sizeof(*b->key_value_list));
	b->value = carve(&at, tally->values, sizeof(*b->value));
	b->value_list = carve(&at, tally->values, sizeof(*b->value_list));
	b->array = carve(&at, tally->arrays, sizeof(*b->array));
	return memory;
}

static ProtobufCBinaryData borrow(struct slice in)
{
	return (ProtobufCBinaryData){ in.len, (uint8_t *)in.data };
}

/* Trace and span ids: all zero is "none", which OTLP writes as an empty field. */
static ProtobufCBinaryData borrow_id(const uint8_t *id, size_t len)
{
	static const uint8_t none[16];

	return (ProtobufCBinaryData){ memcmp(id, none, len) ? len : 0, (uint8_t *)id };
}

static Otlp__ArrayValue *builder__array(struct builder *b, const struct slice *items, size_t count)
{
	Otlp__ArrayValue *array = b->array++;

	otlp__array_value__init(array);
	array->n_values = count;
	array->values = b->value_list;
	b->value_list += count;
	for (size_t i = 0; i < count; i++) {
		Otlp__AnyValue *value = b->value++;

		otlp__any_value__init(value);
		value->value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
		value->string_value = borrow(items[i]);
		array->values[i] = value;
	}
	return array;
}

static Otlp__AnyValue *builder__value(struct builder *b, const struct attribute *attribute)
{
	Otlp__AnyValue *value = b->value++;

	otlp__any_value__init(value);
	switch (attribute->type) {
	case ATTRIBUTE_STRING:
		value->value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
		value->string_value = borrow(attribute->string);
		break;
	case ATTRIBUTE_INT:
		value->value_case = OTLP__ANY_VALUE__VALUE_INT_VALUE;
		value->int_value = attribute->integer;
		break;
	case ATTRIBUTE_BOOL:
		value->value_case = OTLP__ANY_VALUE__VALUE_BOOL_VALUE;
		value->bool_value = attribute->boolean;
		break;
	case ATTRIBUTE_STRINGS:
		value->value_case = OTLP__ANY_VALUE__VALUE_ARRAY_VALUE;
		value->array_value =
			builder__array(b, attribute->strings.item, attribute->strings.count);
		break;
	}
	return value;
}

static Otlp__KeyValue **builder__attributes(struct builder *b, const struct attribute *attributes,
					    size_t count)
{
	Otlp__KeyValue **list = b->key_value_list;

	b->key_value_list += count;
	for (size_t i = 0; i < count; i++) {
		Otlp__KeyValue *pair = b->key_value++;

		otlp__key_value__init(pair);
		pair->key = borrow(slice__str(attributes[i].key));
		pair->value = builder__value(b, &attributes[i]);
		list[i] = pair;
	}
	return list;
}

static uint32_t span_flags(const struct span *span, bool root)
{
	uint32_t flags = FLAG_REMOTE_KNOWN | span->trace_flags;

	return span->parent_remote && !root ? flags | FLAG_REMOTE : flags;
}

static Otlp__Status *builder__status(struct builder *b, const struct span *span)
{
	Otlp__Status *status;

	if (span->status == STATUS_UNSET)
		return NULL;
	status = b->status++;
	otlp__status__init(status);
	status->code = (Otlp__Status__Code)span->status;
	if (span->status == STATUS_ERROR)
		status->message = borrow(span->status_message);
	return status;
}

static void builder__span(struct builder *b, const struct span *span)
{
	Otlp__Span *out = b->span++;

	otlp__span__init(out);
	out->trace_id = borrow_id(span->trace_id, sizeof(span->trace_id));
	out->span_id = borrow_id(span->span_id, sizeof(span->span_id));
	out->parent_span_id = borrow_id(span->parent_id, sizeof(span->parent_id));
	out->trace_state = borrow(span->trace_state);
	out->name = borrow(span->name);
	out->kind = (Otlp__Span__Kind)span->kind;
	out->start_time_unix_nano = span->start_unix_ns;
	out->end_time_unix_nano = span->end_unix_ns;
	out->n_attributes = span->count;
	out->attributes = builder__attributes(b, span->attributes, span->count);
	out->dropped_attributes_count = span->dropped_attributes;
	out->status = builder__status(b, span);
	out->flags = span_flags(span, out->parent_span_id.len == 0);
	*b->span_list++ = out;
}

static Otlp__ScopeSpans *builder__scope(struct builder *b, const char *name)
{
	Otlp__ScopeSpans *scope_spans = b->scope_spans++;

	otlp__scope_spans__init(scope_spans);
	scope_spans->scope = b->scope++;
	scope_spans->schema_url = borrow(SLICE(SCHEMA_URL));
	scope_spans->spans = b->span_list;
	otlp__scope__init(scope_spans->scope);
	scope_spans->scope->name = borrow(slice__str(name));
	scope_spans->scope->version = borrow(SLICE(SPANLOOM_VERSION));
	*b->scope_spans_list++ = scope_spans;
	return scope_spans;
}

static Otlp__ResourceSpans *builder__resource(struct builder *b, const struct resource *resource)
{
	Otlp__ResourceSpans *resource_spans = b->resource_spans++;

	otlp__resource_spans__init(resource_spans);
	resource_spans->resource = b->resource++;
	resource_spans->schema_url = borrow(SLICE(SCHEMA_URL));
	resource_spans->scope_spans = b->scope_spans_list;
	otlp__resource__init(resource_spans->resource);
	if (resource) {
		resource_spans->resource->n_attributes = resource->count;
		resource_spans->resource->attributes =
			builder__attributes(b, resource->attributes, resource->count);
	}
	*b->resource_spans_list++ = resource_spans;
	return resource_spans;
}

/* @spans are in order of resource and scope. */
static void builder__request(struct builder *b, const struct span *const *spans, size_t count,
			     Otlp__Request *request)
{
	Otlp__ResourceSpans *resource_spans = NULL;
	Otlp__ScopeSpans *scope_spans = NULL;
	const struct span *last = NULL;

	otlp__request__init(request);
	request->resource_spans = b->resource_spans_list;
	for (size_t i = 0; i < count; i++) {
		const struct span *span = spans[i];

		if (!last || last->resource != span->resource) {
			resource_spans = builder__resource(b, span->resource);
			request->n_resource_spans++;
			scope_spans = NULL;
		}
		if (!scope_spans || !same_scope(last, span)) {
			scope_spans = builder__scope(b, span->scope);
			resource_spans->n_scope_spans++;
		}
		builder__span(b, span);
		scope_spans->n_spans++;
		last = span;
	}
}

static int compare_spans(const void *left, const void *right)
{
	const struct span *a = *(const struct span *const *)left;
	const struct span *b = *(const struct span *const *)right;

	if (a->resource != b->resource)
		return (uintptr_t)a->resource < (uintptr_t)b->resource ? -1 : 1;
	return a->scope == b->scope ? 0 : strcmp(a->scope, b->scope);
}

/* Packs into @room bytes and gives back what it did not need. */
static int request__pack(const Otlp__Request *request, size_t room, uint8_t **bytes, size_t *len)
{
	uint8_t *packed = malloc(room);
	size_t size;

	if (!packed)
		return -ENOMEM;
	size = otlp__request__pack(request, packed);
	if (size > MAX_REQUEST_BYTES) {
		free(packed);
		return -E2BIG;
	}
	*len = size;
	*bytes = realloc(packed, size);
	if (!*bytes)
		*bytes = packed;
	return 0;
}

int otlp__encode(struct span *const *spans, size_t count, uint8_t **bytes, size_t *len)
{
	const struct span **sorted = malloc(count * sizeof(struct span *));
	struct tally tally = { 0 };
	struct builder builder;
	Otlp__Request request;
	void *memory = NULL;
	int err = -ENOMEM;

	if (!sorted)
		return -ENOMEM;
	memcpy(sorted, spans, count * sizeof(struct span *));
	qsort(sorted, count, sizeof(struct span *), compare_spans);
	tally__spans(&tally, sorted, count);
	err = -E2BIG;
	if (tally.text_bytes > MAX_REQUEST_BYTES)
		goto out;
	err = -ENOMEM;
	memory = builder__init(&builder, &tally);
	if (!memory)
		goto out;
	builder__request(&builder, sorted, count, &request);
	err = request__pack(&request, tally__packed_bytes(&tally), bytes, len);
out:
	free(memory);
	free(sorted);
	return err;
}

/*
 * protobuf-c's allocator for an answer, which is hostile: what one unpack may allocate in sum is
 * bounded, so that a body of millions of tiny fields fails instead of growing without end.
 */
static void *budget__alloc(void *ctx, size_t len)
{
	size_t *budget = ctx;

	if (len > *budget)
		return NULL;
	*budget -= len;
	return malloc(len);
}

static void budget__free(void *ctx, void *memory)
{
	free(memory);
}

int otlp__decode_answer(struct slice body, struct otlp_answer *answer)
{
	size_t budget = body.len + ANSWER_OVERHEAD_BYTES;
	ProtobufCAllocator allocator = { budget__alloc, budget__free, &budget };
	Otlp__Response *response;

	*answer = (struct otlp_answer){ 0 };
	if (body.len > MAX_ANSWER_BYTES)
		return -EBADMSG;
	response = otlp__response__unpack(&allocator, body.len, (const uint8_t *)body.data);
	if (!response)
		return -EBADMSG;
	if (response->partial_success) {
		const ProtobufCBinaryData *text = &response->partial_success->error_message;

		answer->rejected_spans = response->partial_success->rejected_spans;
		printable__copy(answer->message, sizeof(answer->message),
				slice__of((const char *)text->data, text->len));
	}
	otlp__response__free_unpacked(response, &allocator);
	return 0;
}
