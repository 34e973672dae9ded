// SPDX-License-Identifier: Apache-2.0
#include "user/flow/span.h"

#include "user/base/pool.h"
#include "user/base/utf8.h"
#include "user/flow/resource.h"

#define SPAN_ATTRIBUTES_FIELD 9 /* of Span in proto/otlp.proto */

static struct pool pool;

struct span *span__new(void)
{
	struct span *span = pool__take(&pool, sizeof(*span));

	if (!span)
		return NULL;
	memset(span, 0, offsetof(struct span, attributes));
	span->attribute_limit = SPAN_ATTRIBUTES;
	attributes__init(&span->attributes, SPAN_ATTRIBUTES_FIELD, SPAN_TEXT_BYTES);
	arena__init(&span->text, SPAN_TEXT_BYTES);
	return span;
}

void span__free(struct span *span)
{
	if (!span)
		return;
	attributes__free(&span->attributes);
	arena__reset(&span->text);
	resource__put(span->resource);
	pool__give(&pool, span);
}

void span__put(struct span *span, struct slice key, struct slice value)
{
	if (value.len == 0)
		return;
	value = utf8__copy(&span->text, value, span->value_limit_chars);
	if (value.len == 0 || !span__has_place(span) ||
	    !attributes__add_string(&span->attributes, key, value))
		span->dropped_attributes++;
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
