// SPDX-License-Identifier: Apache-2.0
#include "user/export/otlp.h"

#include <errno.h>

#include "proto/otlp.pb-c.h"
#include "user/export/printable.h"
#include "user/export/wire.h"
#include "user/flow/resource.h"
#include "user/flow/span.h"

#define SCHEMA_URL	  "https://opentelemetry.io/schemas/1.44.0"
#define MAX_REQUEST_BYTES (64 * 1024 * 1024)
#define MAX_ANSWER_BYTES  (4 * 1024 * 1024)
/* Memory for the structure of an answer, beside its text. */
#define ANSWER_OVERHEAD_BYTES (64 * 1024)
/* What most spans are smaller than. */
#define SPAN_GUESS_BYTES 1000
/* What stands around the spans of a group, at most, beside its resource. */
#define GROUP_BYTES 512
/* Most groups of most batches are small, a few are large. */
#define MIN_CHUNK_BYTES 1000
#define MAX_CHUNK_BYTES (32 * 1024)

/* Span.flags above the eight W3C bits. */
#define FLAG_REMOTE_KNOWN 0x100
#define FLAG_REMOTE	  0x200

/*
 * Field numbers of proto/otlp.proto.  Requests are written by hand: protobuf-c, which reads the
 * answers, takes 10,200 instructions for a span of 14 attributes, this 3,100.  The unit test
 * holds the bytes of both against each other.
 */
enum {
	REQUEST_RESOURCE_SPANS = 1,
	RESOURCE_SPANS_RESOURCE = 1,
	RESOURCE_SPANS_SCOPE_SPANS = 2,
	RESOURCE_SPANS_SCHEMA_URL = 3,
	RESOURCE_ATTRIBUTES_FIELD = 1,
	SCOPE_SPANS_SCOPE = 1,
	SCOPE_SPANS_SPANS = 2,
	SCOPE_SPANS_SCHEMA_URL = 3,
	SCOPE_NAME = 1,
	SCOPE_VERSION = 2,
	SPAN_TRACE_ID = 1,
	SPAN_SPAN_ID = 2,
	SPAN_TRACE_STATE = 3,
	SPAN_PARENT_SPAN_ID = 4,
	SPAN_NAME = 5,
	SPAN_KIND = 6,
	SPAN_START_TIME = 7,
	SPAN_END_TIME = 8,
	SPAN_ATTRIBUTES_FIELD = 9,
	SPAN_DROPPED_ATTRIBUTES = 10,
	SPAN_STATUS = 15,
	SPAN_FLAGS = 16,
	STATUS_MESSAGE = 2,
	STATUS_CODE = 3,
	KEY_VALUE_KEY = 1,
	KEY_VALUE_VALUE = 2,
	ANY_VALUE_STRING = 1,
	ANY_VALUE_BOOL = 2,
	ANY_VALUE_INT = 3,
	ANY_VALUE_ARRAY = 5,
	ARRAY_VALUE_VALUES = 1,
};

_Static_assert((int)OTLP__SPAN__KIND__INTERNAL == SPAN_INTERNAL, "kinds are sent as they are");
_Static_assert((int)OTLP__SPAN__KIND__SERVER == SPAN_SERVER, "kinds are sent as they are");
_Static_assert((int)OTLP__SPAN__KIND__CLIENT == SPAN_CLIENT, "kinds are sent as they are");
_Static_assert((int)OTLP__SPAN__KIND__PRODUCER == SPAN_PRODUCER, "kinds are sent as they are");
_Static_assert((int)OTLP__SPAN__KIND__CONSUMER == SPAN_CONSUMER, "kinds are sent as they are");
_Static_assert((int)OTLP__STATUS__CODE__OK == STATUS_OK, "codes are sent as they are");
_Static_assert((int)OTLP__STATUS__CODE__ERROR == STATUS_ERROR, "codes are sent as they are");

/* ---- one span, each message from its last field to its first ----------------------------- */

static void write_array(struct wire *w, const struct slice *items, size_t count)
{
	size_t array = wire__mark(w);

	while (count--) {
		size_t value = wire__mark(w);

		wire__any_bytes(w, ANY_VALUE_STRING, items[count]);
		wire__message(w, ARRAY_VALUE_VALUES, value);
	}
	wire__message(w, ANY_VALUE_ARRAY, array);
}

/* A value is one of several fields, so it is written even when it is zero or empty. */
static void write_value(struct wire *w, const struct attribute *attribute)
{
	switch (attribute->type) {
	case ATTRIBUTE_STRING:
		wire__any_bytes(w, ANY_VALUE_STRING, attribute->string);
		break;
	case ATTRIBUTE_INT:
		wire__any_uint(w, ANY_VALUE_INT, (uint64_t)attribute->integer);
		break;
	case ATTRIBUTE_BOOL:
		wire__any_uint(w, ANY_VALUE_BOOL, attribute->boolean);
		break;
	case ATTRIBUTE_STRINGS:
		write_array(w, attribute->strings.item, attribute->strings.count);
		break;
	}
}

static void write_attributes(struct wire *w, uint32_t field, const struct attribute *attributes,
			     size_t count)
{
	while (count--) {
		size_t pair = wire__mark(w);

		write_value(w, &attributes[count]);
		wire__message(w, KEY_VALUE_VALUE, pair);
		wire__bytes(w, KEY_VALUE_KEY, slice__str(attributes[count].key));
		wire__message(w, field, pair);
	}
}

static void write_status(struct wire *w, const struct span *span)
{
	size_t status = wire__mark(w);

	if (span->status == STATUS_UNSET)
		return;
	wire__uint(w, STATUS_CODE, span->status);
	if (span->status == STATUS_ERROR)
		wire__bytes(w, STATUS_MESSAGE, span->status_message);
	wire__message(w, SPAN_STATUS, status);
}

/* All zero is "none", which is written as an empty field. */
static struct slice id(const uint8_t *bytes, size_t len)
{
	static const uint8_t none[16];

	return slice__of((const char *)bytes, memcmp(bytes, none, len) ? len : 0);
}

static void write_span(struct wire *w, const struct span *span)
{
	struct slice parent = id(span->parent_id, sizeof(span->parent_id));
	uint32_t flags = FLAG_REMOTE_KNOWN | span->trace_flags;
	size_t mark = wire__mark(w);

	if (parent.len && span->parent_remote)
		flags |= FLAG_REMOTE;
	wire__fixed32(w, SPAN_FLAGS, flags);
	write_status(w, span);
	wire__uint(w, SPAN_DROPPED_ATTRIBUTES, span->dropped_attributes);
	write_attributes(w, SPAN_ATTRIBUTES_FIELD, span->attributes, span->count);
	wire__fixed64(w, SPAN_END_TIME, span->end_unix_ns);
	wire__fixed64(w, SPAN_START_TIME, span->start_unix_ns);
	wire__uint(w, SPAN_KIND, span->kind);
	wire__bytes(w, SPAN_NAME, span->name);
	wire__bytes(w, SPAN_PARENT_SPAN_ID, parent);
	wire__bytes(w, SPAN_TRACE_STATE, span->trace_state);
	wire__bytes(w, SPAN_SPAN_ID, id(span->span_id, sizeof(span->span_id)));
	wire__bytes(w, SPAN_TRACE_ID, id(span->trace_id, sizeof(span->trace_id)));
	wire__message(w, SCOPE_SPANS_SPANS, mark);
}

static void write_resource(struct wire *w, const struct resource *resource)
{
	size_t mark = wire__mark(w);

	if (resource)
		write_attributes(w, RESOURCE_ATTRIBUTES_FIELD, resource->attributes,
				 resource->count);
	wire__message(w, RESOURCE_SPANS_RESOURCE, mark);
}

/* ---- a batch ------------------------------------------------------------------------------ */

/* Encoded spans of one group, one after the other. */
struct chunk {
	struct chunk *older;
	size_t len;
	size_t room;
	uint8_t bytes[];
};

struct scope_spans {
	struct scope_spans *next;
	const char *scope;
	struct chunk *chunks; /* newest first, as they will be written */
};

struct resource_spans {
	struct resource_spans *next;
	struct resource *resource; /* a reference, so that the address stays its own */
	struct scope_spans *scopes;
	size_t len;
	uint8_t bytes[]; /* the encoded resource */
};

struct otlp_batch *otlp_batch__new(void)
{
	return calloc(1, sizeof(struct otlp_batch));
}

static void scope_spans__free(struct scope_spans *scope)
{
	while (scope->chunks) {
		struct chunk *older = scope->chunks->older;

		free(scope->chunks);
		scope->chunks = older;
	}
	free(scope);
}

static void resource_spans__free(struct resource_spans *resource)
{
	while (resource->scopes) {
		struct scope_spans *next = resource->scopes->next;

		scope_spans__free(resource->scopes);
		resource->scopes = next;
	}
	resource__put(resource->resource);
	free(resource);
}

void otlp_batch__free(struct otlp_batch *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < OTLP_BATCH_BUCKETS; i++) {
		while (b->buckets[i]) {
			struct resource_spans *next = b->buckets[i]->next;

			resource_spans__free(b->buckets[i]);
			b->buckets[i] = next;
		}
	}
	free(b);
}

/* Where the group is, or belongs. */
static struct resource_spans **find_resource(struct otlp_batch *b, const struct resource *resource)
{
	uint64_t hash = (uintptr_t)resource * 0x9e3779b97f4a7c15ull;
	struct resource_spans **at = &b->buckets[(hash >> 32) % OTLP_BATCH_BUCKETS];

	while (*at && (*at)->resource != resource)
		at = &(*at)->next;
	return at;
}

static struct scope_spans **find_scope(struct resource_spans *resource, const char *scope)
{
	struct scope_spans **at = &resource->scopes;

	while (*at && (*at)->scope != scope && strcmp((*at)->scope, scope) != 0)
		at = &(*at)->next;
	return at;
}

static struct resource_spans *resource_spans__new(struct resource *resource, struct slice bytes)
{
	struct resource_spans *out = malloc(sizeof(*out) + bytes.len);

	if (!out)
		return NULL;
	*out = (struct resource_spans){ .len = bytes.len };
	out->resource = resource ? resource__get(resource) : NULL;
	memcpy(out->bytes, bytes.data, bytes.len);
	return out;
}

static int scope_spans__append(struct scope_spans *scope, struct slice span)
{
	struct chunk *chunk = scope->chunks;

	if (!chunk || span.len > chunk->room - chunk->len) {
		size_t room = chunk ? chunk->room * 2 : MIN_CHUNK_BYTES;

		room = room < MAX_CHUNK_BYTES ? room : MAX_CHUNK_BYTES;
		room = room > span.len ? room : span.len;
		chunk = malloc(sizeof(*chunk) + room);
		if (!chunk)
			return -ENOMEM;
		*chunk = (struct chunk){ .older = scope->chunks, .room = room };
		scope->chunks = chunk;
	}
	memcpy(chunk->bytes + chunk->len, span.data, span.len);
	chunk->len += span.len;
	return 0;
}

/* @w holds the span, and is where its resource is encoded when it is new to the batch. */
static int batch__append(struct otlp_batch *b, const struct span *span, struct wire *w)
{
	struct resource_spans **resource = find_resource(b, span->resource);
	size_t span_len = wire__mark(w);
	struct scope_spans **scope;
	struct slice bytes;

	if (!*resource)
		write_resource(w, span->resource);
	bytes = wire__written(w);
	if (w->err)
		return w->err;
	if (bytes.len + GROUP_BYTES > MAX_REQUEST_BYTES - b->bytes)
		return -E2BIG;
	b->bytes += bytes.len;
	if (!*resource) {
		*resource = resource_spans__new(span->resource,
						slice__head(bytes, bytes.len - span_len));
		if (!*resource)
			return -ENOMEM;
	}
	scope = find_scope(*resource, span->scope);
	if (!*scope) {
		*scope = calloc(1, sizeof(**scope));
		if (!*scope)
			return -ENOMEM;
		(*scope)->scope = span->scope;
		b->bytes += GROUP_BYTES;
	}
	return scope_spans__append(*scope, slice__skip(bytes, bytes.len - span_len));
}

int otlp_batch__add(struct otlp_batch *b, const struct span *span)
{
	struct wire wire;
	int err = wire__init(&wire, SPAN_GUESS_BYTES, MAX_REQUEST_BYTES);

	if (err)
		return err;
	write_span(&wire, span);
	err = batch__append(b, span, &wire);
	if (!err)
		b->spans++;
	wire__reset(&wire);
	return err;
}

/* ---- a batch's request ------------------------------------------------------------------- */

static void write_scope_spans(struct wire *w, const struct scope_spans *scope)
{
	size_t scope_spans = wire__mark(w);
	size_t mark;

	wire__bytes(w, SCOPE_SPANS_SCHEMA_URL, SLICE(SCHEMA_URL));
	for (const struct chunk *chunk = scope->chunks; chunk; chunk = chunk->older)
		wire__copy(w, chunk->bytes, chunk->len);
	mark = wire__mark(w);
	wire__bytes(w, SCOPE_VERSION, SLICE(SPANLOOM_VERSION));
	wire__bytes(w, SCOPE_NAME, slice__str(scope->scope));
	wire__message(w, SCOPE_SPANS_SCOPE, mark);
	wire__message(w, RESOURCE_SPANS_SCOPE_SPANS, scope_spans);
}

static void write_resource_spans(struct wire *w, const struct resource_spans *resource)
{
	size_t resource_spans = wire__mark(w);

	wire__bytes(w, RESOURCE_SPANS_SCHEMA_URL, SLICE(SCHEMA_URL));
	for (const struct scope_spans *scope = resource->scopes; scope; scope = scope->next)
		write_scope_spans(w, scope);
	wire__copy(w, resource->bytes, resource->len);
	wire__message(w, REQUEST_RESOURCE_SPANS, resource_spans);
}

int otlp_batch__encode(const struct otlp_batch *b, void **memory, struct slice *request)
{
	const struct resource_spans *resource;
	struct wire wire;
	int err = wire__init(&wire, b->bytes, MAX_REQUEST_BYTES);

	if (err)
		return err;
	for (size_t i = 0; i < OTLP_BATCH_BUCKETS; i++)
		for (resource = b->buckets[i]; resource; resource = resource->next)
			write_resource_spans(&wire, resource);
	err = wire.err;
	if (err) {
		wire__reset(&wire);
		return err;
	}
	*memory = wire.start;
	*request = wire__written(&wire);
	return 0;
}

/* ---- the answer -------------------------------------------------------------------------- */

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
