// SPDX-License-Identifier: Apache-2.0
#include "user/export/batch.h"

#include <errno.h>

#include "user/export/otlp.h"
#include "user/export/wire.h"
#include "user/flow/resource.h"
#include "user/flow/span.h"

#define SCHEMA_URL	  "https://opentelemetry.io/schemas/1.44.0"
#define MAX_REQUEST_BYTES (64 * 1024 * 1024)
/* What most spans are smaller than. */
#define SPAN_GUESS_BYTES 1000
/* What stands around the spans of a group, at most, beside its resource. */
#define GROUP_BYTES 512
/* Most groups of most batches are small, a few are large. */
#define MIN_CHUNK_BYTES 1000
#define MAX_CHUNK_BYTES (32 * 1024)

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

struct batch *batch__new(void)
{
	return calloc(1, sizeof(struct batch));
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
static int batch__append(struct batch *b, const struct span *span, struct wire *w)
{
	struct resource_spans **resource = find_resource(b, span->resource);
	size_t span_len = wire__mark(w);
	struct scope_spans **scope;
	struct slice bytes;

	if (!*resource)
		otlp__write_resource(w, span->resource);
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

int batch__add(struct batch *b, const struct span *span)
{
	struct wire wire;
	int err = wire__init(&wire, SPAN_GUESS_BYTES, MAX_REQUEST_BYTES);

	if (err)
		return err;
	otlp__write_span(&wire, span);
	err = batch__append(b, span, &wire);
	if (!err)
		b->spans++;
	wire__reset(&wire);
	return err;
}

/* ---- the request -------------------------------------------------------------------------- */

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

int batch__encode(const struct batch *b, void **memory, struct slice *request)
{
	const struct resource_spans *resource;
	struct wire wire;
	int err = wire__init(&wire, b->bytes, MAX_REQUEST_BYTES);

	if (err)
		return err;
	for (size_t i = 0; i < BATCH_BUCKETS; i++)
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
