// SPDX-License-Identifier: Apache-2.0
#include "user/flow/resource.h"

#define ATTRIBUTES_FIELD 1	     /* of Resource in proto/otlp.proto */
#define TEXT_LIMIT_BYTES (64 * 1024) /* of its attributes, and of its other strings */

struct resource *resource__new(uint32_t pid)
{
	struct resource *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->refs = 1;
	r->pid = pid;
	attributes__init(&r->attributes, ATTRIBUTES_FIELD, TEXT_LIMIT_BYTES);
	arena__init(&r->text, TEXT_LIMIT_BYTES);
	return r;
}

void resource__put(struct resource *r)
{
	if (!r || --r->refs)
		return;
	attributes__free(&r->attributes);
	arena__reset(&r->text);
	free(r);
}

static bool resource__takes(const struct resource *r, struct slice key)
{
	return r->attributes.count < RESOURCE_ATTRIBUTES &&
	       attributes__find(&r->attributes, key).type == ATTRIBUTE_NONE;
}

void resource__add(struct resource *r, const char *key, struct slice value)
{
	if (value.len && resource__takes(r, slice__str(key)))
		attributes__add_string(&r->attributes, slice__str(key), value);
}

void resource__add_int(struct resource *r, const char *key, int64_t value)
{
	if (resource__takes(r, slice__str(key)))
		attributes__add_int(&r->attributes, slice__str(key), value);
}
