// SPDX-License-Identifier: Apache-2.0
#include "user/flow/resource.h"

#define TEXT_LIMIT_BYTES (64 * 1024)

struct resource *resource__new(uint32_t pid)
{
	struct resource *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->refs = 1;
	r->pid = pid;
	arena__init(&r->text, TEXT_LIMIT_BYTES);
	return r;
}

void resource__put(struct resource *r)
{
	if (!r || --r->refs)
		return;
	arena__reset(&r->text);
	free(r);
}

static struct attribute *resource__slot(struct resource *r, const char *key)
{
	struct attribute *attribute;

	for (size_t i = 0; i < r->count; i++)
		if (strcmp(r->attributes[i].key, key) == 0)
			return NULL;
	if (r->count == RESOURCE_ATTRIBUTES)
		return NULL;
	attribute = &r->attributes[r->count++];
	attribute->key = key;
	attribute->key_len = (unsigned int)strlen(key);
	return attribute;
}

void resource__add(struct resource *r, const char *key, struct slice value)
{
	struct attribute *attribute;

	value = value.len ? arena__copy(&r->text, value) : value;
	if (value.len == 0)
		return;
	attribute = resource__slot(r, key);
	if (!attribute)
		return;
	attribute->type = ATTRIBUTE_STRING;
	attribute->string = value;
}

void resource__add_int(struct resource *r, const char *key, int64_t value)
{
	struct attribute *attribute = resource__slot(r, key);

	if (!attribute)
		return;
	attribute->type = ATTRIBUTE_INT;
	attribute->integer = value;
}
