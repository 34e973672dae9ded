// SPDX-License-Identifier: Apache-2.0
#include "user/flow/span.h"

#include "user/base/pool.h"
#include "user/base/utf8.h"
#include "user/flow/resource.h"

static struct pool pool;

struct span *span__new(void)
{
	struct span *span = pool__take(&pool, sizeof(*span));

	if (!span)
		return NULL;
	/* neither the table of attributes nor the inline text needs zeroing */
	memset(span, 0, offsetof(struct span, attributes));
	span->attribute_limit = SPAN_ATTRIBUTES;
	arena__init(&span->text, SPAN_TEXT_BYTES);
	return span;
}

void span__free(struct span *span)
{
	if (!span)
		return;
	arena__reset(&span->text);
	resource__put(span->resource);
	pool__give(&pool, span);
}

static struct attribute *span__slot(struct span *span, struct slice key, enum attribute_type type)
{
	struct attribute *attribute;

	if (span->count >= span->attribute_limit) {
		span->dropped_attributes++;
		return NULL;
	}
	attribute = &span->attributes[span->count++];
	attribute->key = key.data;
	attribute->key_len = (unsigned int)key.len;
	attribute->type = type;
	return attribute;
}

void span__put(struct span *span, struct slice key, struct slice value)
{
	struct attribute *attribute;

	if (value.len == 0)
		return;
	value = utf8__copy(&span->text, value, span->value_limit_chars);
	if (value.len == 0) {
		span->dropped_attributes++;
		return;
	}
	attribute = span__slot(span, key, ATTRIBUTE_STRING);
	if (attribute)
		attribute->string = value;
}

void span__put_literal(struct span *span, struct slice key, struct slice value)
{
	struct attribute *attribute;

	if (value.len == 0)
		return;
	attribute = span__slot(span, key, ATTRIBUTE_STRING);
	if (!attribute)
		return;
	attribute->string = value;
	if (span->value_limit_chars)
		attribute->string = slice__head(value, span->value_limit_chars);
}

void span__put_int(struct span *span, struct slice key, int64_t value)
{
	struct attribute *attribute = span__slot(span, key, ATTRIBUTE_INT);

	if (attribute)
		attribute->integer = value;
}

void span__put_bool(struct span *span, struct slice key, bool value)
{
	struct attribute *attribute = span__slot(span, key, ATTRIBUTE_BOOL);

	if (attribute)
		attribute->boolean = value;
}

void span__set_name(struct span *span, struct slice name)
{
	span->name = utf8__copy(&span->text, name, 0);
}

void span__fail(struct span *span, struct slice type)
{
	if (span->status == STATUS_ERROR)
		return;
	span->status = STATUS_ERROR;
	span__add(span, "error.type", type);
}

const struct attribute *span__find(const struct span *span, const char *key)
{
	for (size_t i = 0; i < span->count; i++)
		if (strcmp(span->attributes[i].key, key) == 0)
			return &span->attributes[i];
	return NULL;
}
