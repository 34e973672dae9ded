// SPDX-License-Identifier: Apache-2.0
#include "user/export/batch.h"

#include <errno.h>

#include "user/base/pool.h"
#include "user/export/otlp.h"
#include "user/flow/resource.h"
#include "user/flow/span.h"

#define SCHEMA_URL	  "https://opentelemetry.io/schemas/1.44.0"
#define MAX_REQUEST_BYTES (64 * 1024 * 1024)
/* What most resources are smaller than. */
#define RESOURCE_GUESS_BYTES 1000
/* What stands around the spans of a group, at most, beside its resource. */
#define GROUP_BYTES 512
/* Most groups of most batches are small, a few are large. */
#define FIRST_CHUNK_BYTES 1000
#define CHUNK_BYTES	  (4096 - sizeof(struct chunk))

/* Field numbers of proto/otlp.proto. */
enum {
	REQUEST_RESOURCE_SPANS = 1,
	RESOURCE_SPANS_SCOPE_SPANS = 2,
	RESOURCE_SPANS_SCHEMA_URL = 3,
	SCOPE_SPANS_SCOPE = 1,
	SCOPE_SPANS_SCHEMA_URL = 3,
	SCOPE_NAME = 1,
	SCOPE_VERSION = 2,
};

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

static struct pool pool; /* of chunks of CHUNK_BYTES */

static struct chunk *chunk__new(struct chunk *older, size_t room)
{
	size_t size = sizeof(struct chunk) + room;
	struct chunk *chunk = room == CHUNK_BYTES ? pool__take(&pool, size) : malloc(size);

	if (chunk)
		*chunk = (struct chunk){ .older = older, .room = room };
	return chunk;
}

static void chunk__free(struct chunk *chunk)
{
	if (chunk->room == CHUNK_BYTES)
		pool__give(&pool, chunk);
	else
		free(chunk);
}

struct batch *batch__new(void)
{
	struct batch *b = calloc(1, sizeof(*b));

	if (!b || wire__init(&b->wire, RESOURCE_GUESS_BYTES, MAX_REQUEST_BYTES)) {
		free(b);
		return NULL;
	}
	return b;
}

static void scope_spans__free(struct scope_spans *scope)
{
	while (scope->chunks) {
		struct chunk *older = scope->chunks->older;

		chunk__free(scope->chunks);
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

void batch__free(struct batch *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < BATCH_BUCKETS; i++) {
		while (b->buckets[i]) {
			struct resource_spans *next = b->buckets[i]->next;

			resource_spans__free(b->buckets[i]);
			b->buckets[i] = next;
		}
	}
	wire__reset(&b->wire);
	free(b->pieces);
	free(b);
}

/* Where the group is, or belongs. */
static struct resource_spans **find_resource(struct batch *b, const struct resource *resource)
{
	uint64_t hash = (uintptr_t)resource * 0x9e3779b97f4a7c15ull;
	struct resource_spans **at = &b->buckets[(hash >> 32) % BATCH_BUCKETS];

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

/* Where @most bytes may be written behind the last span; NULL: no memory. */
static struct chunk *batch__chunk(struct batch *b, struct scope_spans *scope, size_t most)
{
	struct chunk *chunk = scope->chunks;
	size_t room = chunk ? CHUNK_BYTES : FIRST_CHUNK_BYTES;

	if (chunk && most <= chunk->room - chunk->len)
		return chunk;
	chunk = chunk__new(chunk, room > most ? room : most);
	if (!chunk)
		return NULL;
	scope->chunks = chunk;
	b->chunks++;
	return chunk;
}

/* The group of the resource of @span, which may take @most bytes.  0 or a negative errno. */
static int batch__resource(struct batch *b, const struct span *span, size_t most,
			   struct resource_spans **out)
{
	struct resource_spans **resource = find_resource(b, span->resource);
	struct slice bytes = slice__of("", 0);

	if (!*resource) {
		wire__rewind(&b->wire);
		otlp__write_resource(&b->wire, span->resource);
		bytes = wire__written(&b->wire);
		if (b->wire.err)
			return b->wire.err;
	}
	if (bytes.len + most + GROUP_BYTES > MAX_REQUEST_BYTES - b->bytes)
		return -E2BIG;
	if (!*resource) {
		*resource = resource_spans__new(span->resource, bytes);
		if (!*resource)
			return -ENOMEM;
		b->bytes += bytes.len;
	}
	*out = *resource;
	return 0;
}

static struct scope_spans *scope_spans__new(struct batch *b, const char *scope)
{
	struct scope_spans *out = calloc(1, sizeof(*out));

	if (!out)
		return NULL;
	out->scope = scope;
	b->scopes++;
	b->bytes += GROUP_BYTES;
	return out;
}

/* The group of @scope; NULL: no memory. */
static struct scope_spans *batch__scope(struct batch *b, struct resource_spans *resource,
					const char *scope)
{
	struct scope_spans **at = find_scope(resource, scope);

	if (!*at)
		*at = scope_spans__new(b, scope);
	return *at;
}

int batch__add(struct batch *b, const struct span *span)
{
	size_t most = otlp__span_bytes(span), len;
	struct resource_spans *resource;
	struct scope_spans *scope;
	struct chunk *chunk;
	int err = batch__resource(b, span, most, &resource);

	if (err)
		return err;
	scope = batch__scope(b, resource, span->scope);
	chunk = scope ? batch__chunk(b, scope, most) : NULL;
	if (!chunk)
		return -ENOMEM;
	len = (size_t)(otlp__put_span(chunk->bytes + chunk->len, span) - chunk->bytes) - chunk->len;
	chunk->len += len;
	b->bytes += len;
	b->spans++;
	return 0;
}

/* ---- the request -------------------------------------------------------------------------- */

/* What stands around the spans is written back to front into one piece of memory; the spans stay
 * where they are. */
struct frame {
	struct wire *wire;
	struct slice *first; /* piece of those there are; without data: of the wire's memory */
	size_t mark;	     /* of the wire's own bytes: they have their pieces */
};

/* What was written since becomes a piece. */
static void frame__cut(struct frame *f)
{
	size_t mark = wire__written(f->wire).len;

	*--f->first = slice__of(NULL, mark - f->mark);
	f->mark = mark;
}

static void write_spans(struct frame *f, const struct scope_spans *scope)
{
	frame__cut(f);
	for (const struct chunk *chunk = scope->chunks; chunk; chunk = chunk->older) {
		*--f->first = slice__of((const char *)chunk->bytes, chunk->len);
		wire__pass(f->wire, chunk->len);
	}
}

static void write_scope_spans(struct frame *f, const struct scope_spans *scope)
{
	size_t scope_spans = wire__mark(f->wire);
	size_t mark;

	wire__bytes(f->wire, SCOPE_SPANS_SCHEMA_URL, SLICE(SCHEMA_URL));
	write_spans(f, scope);
	mark = wire__mark(f->wire);
	wire__bytes(f->wire, SCOPE_VERSION, SLICE(SPANLOOM_VERSION));
	wire__bytes(f->wire, SCOPE_NAME, slice__str(scope->scope));
	wire__message(f->wire, SCOPE_SPANS_SCOPE, mark);
	wire__message(f->wire, RESOURCE_SPANS_SCOPE_SPANS, scope_spans);
}

static void write_resource_spans(struct frame *f, const struct resource_spans *resource)
{
	size_t resource_spans = wire__mark(f->wire);

	wire__bytes(f->wire, RESOURCE_SPANS_SCHEMA_URL, SLICE(SCHEMA_URL));
	for (const struct scope_spans *scope = resource->scopes; scope; scope = scope->next)
		write_scope_spans(f, scope);
	wire__copy(f->wire, resource->bytes, resource->len);
	wire__message(f->wire, REQUEST_RESOURCE_SPANS, resource_spans);
}

/* The memory of the wire does not move any more: where is each piece of it? */
static struct body frame__body(const struct frame *f, struct slice *end)
{
	struct body body = { .pieces = f->first, .count = (size_t)(end - f->first) };
	const char *at = wire__written(f->wire).data;

	for (struct slice *piece = f->first; piece < end; piece++) {
		body.len += piece->len;
		if (piece->data)
			continue;
		piece->data = at;
		at += piece->len;
	}
	return body;
}

int batch__encode(struct batch *b, struct body *request)
{
	size_t most = b->chunks + b->scopes + 1; /* around n scopes are n + 1 pieces */
	struct frame frame = { .wire = &b->wire };

	b->pieces = calloc(most, sizeof(*b->pieces));
	if (!b->pieces)
		return -ENOMEM;
	frame.first = b->pieces + most;
	wire__rewind(&b->wire);
	for (size_t i = 0; i < BATCH_BUCKETS; i++)
		for (const struct resource_spans *r = b->buckets[i]; r; r = r->next)
			write_resource_spans(&frame, r);
	frame__cut(&frame);
	if (b->wire.err)
		return b->wire.err;
	*request = frame__body(&frame, b->pieces + most);
	return 0;
}
