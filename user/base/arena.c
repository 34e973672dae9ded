// SPDX-License-Identifier: Apache-2.0
#include "user/base/arena.h"

#include <stdarg.h>

struct arena_chunk {
	struct arena_chunk *older;
	char bytes[];
};

#define CHUNK_BYTES 4096

void arena__init(struct arena *a, size_t limit_bytes)
{
	a->chunks = NULL;
	a->next = a->inline_bytes;
	a->left = limit_bytes < sizeof(a->inline_bytes) ? limit_bytes : sizeof(a->inline_bytes);
	a->given_bytes = a->left;
	a->heap_bytes = 0;
	a->limit_bytes = limit_bytes;
	a->failed = false;
}

void arena__reset(struct arena *a)
{
	while (a->chunks) {
		struct arena_chunk *older = a->chunks->older;

		free(a->chunks);
		a->chunks = older;
	}
	arena__init(a, a->limit_bytes);
}

static bool arena__add_chunk(struct arena *a, size_t len)
{
	size_t bytes = len > CHUNK_BYTES ? len : CHUNK_BYTES, used = arena__used(a);
	struct arena_chunk *chunk;

	if (used > a->limit_bytes || len > a->limit_bytes - used)
		return false;
	if (bytes > a->limit_bytes - used) /* what could not be used would be lost */
		bytes = a->limit_bytes - used;
	chunk = malloc(sizeof(*chunk) + bytes);
	if (!chunk)
		return false;
	a->heap_bytes += sizeof(*chunk) + bytes;
	chunk->older = a->chunks;
	a->chunks = chunk;
	a->next = chunk->bytes;
	a->left = bytes;
	a->given_bytes = used + bytes;
	return true;
}

bool arena__grow(struct arena *a, size_t len)
{
	bool grown = arena__add_chunk(a, len);

	a->failed |= !grown;
	return grown;
}

char *arena__extend(struct arena *a, struct slice old, size_t more)
{
	char *out;

	if (old.data + old.len == a->next && arena__has(a, more)) {
		arena__alloc(a, more);
		return (char *)old.data;
	}
	/* What moves once is likely to grow again. */
	out = arena__alloc(a, old.len + more);
	if (out)
		memcpy(out, old.data, old.len);
	return out;
}

struct slice arena__printf(struct arena *a, const char *format, ...)
{
	va_list args;
	char *out;
	int len;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	out = len > 0 ? arena__alloc(a, (size_t)len + 1) : NULL;
	if (!out)
		return slice__of("", 0);
	va_start(args, format);
	vsnprintf(out, (size_t)len + 1, format, args);
	va_end(args);
	return slice__of(out, (size_t)len);
}
