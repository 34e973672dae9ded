// SPDX-License-Identifier: Apache-2.0
#include "user/export/console_json.h"

#include <errno.h>
#include <jansson.h>

#include "user/flow/resource.h"
#include "user/flow/span.h"

/* ASCII only: no byte of the network can move a terminal. */
#define DUMP_FLAGS (JSON_COMPACT | JSON_ENSURE_ASCII)

static void console_json__forget(struct console_json *j)
{
	free(j->text);
	resource__put(j->resource);
	j->text = NULL;
	j->resource = NULL;
}

void console_json__reset(struct console_json *j)
{
	console_json__forget(j);
	free(j->line);
	*j = (struct console_json){ 0 };
}

static json_t *string_of(struct slice text)
{
	return json_stringn(text.len ? text.data : "", text.len);
}

static json_t *hex_of(const uint8_t *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	char text[32];

	for (size_t i = 0; i < len; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 0x0f];
	}
	return json_stringn_nocheck(text, 2 * len);
}

static json_t *value_of(const struct attribute *attribute)
{
	switch (attribute->type) {
	case ATTRIBUTE_STRING:
		return string_of(attribute->string);
	case ATTRIBUTE_INT:
		return json_integer(attribute->integer);
	case ATTRIBUTE_BOOL:
		return json_boolean(attribute->boolean);
	case ATTRIBUTE_NONE:
		break;
	}
	return json_null();
}

static json_t *attributes_of(const struct attributes *attributes)
{
	json_t *object = json_object();
	struct attribute attribute;

	for (size_t at = 0; attributes__next(attributes, &at, &attribute);)
		if (json_object_setn_new(object, attribute.key.data, attribute.key.len,
					 value_of(&attribute))) {
			json_decref(object);
			return NULL;
		}
	return object;
}

/* The resource as an object, valid until the next call; NULL: no memory. */
static const char *resource_text(struct console_json *j, struct resource *resource)
{
	json_t *attributes;

	if (!resource)
		return "{}";
	if (j->resource == resource)
		return j->text;
	console_json__forget(j);
	attributes = attributes_of(&resource->attributes);
	j->text = json_dumps(attributes, DUMP_FLAGS);
	json_decref(attributes);
	if (j->text)
		j->resource = resource__get(resource);
	return j->text;
}

static json_t *kind_of(enum span_kind kind)
{
	static const char *const names[] = {
		"UNSPECIFIED",
		[SPAN_INTERNAL] = "INTERNAL",
		[SPAN_SERVER] = "SERVER",
		[SPAN_CLIENT] = "CLIENT",
		[SPAN_PRODUCER] = "PRODUCER",
		[SPAN_CONSUMER] = "CONSUMER",
	};

	return json_string_nocheck(names[kind]);
}

static json_t *status_of(enum span_status status)
{
	static const char *const names[] = {
		[STATUS_UNSET] = "UNSET",
		[STATUS_OK] = "OK",
		[STATUS_ERROR] = "ERROR",
	};

	return json_string_nocheck(names[status]);
}

static json_t *parent_of(const struct span *span)
{
	static const uint8_t none[sizeof(span->parent_id)];

	if (memcmp(span->parent_id, none, sizeof(none)) == 0)
		return json_string_nocheck("");
	return hex_of(span->parent_id, sizeof(span->parent_id));
}

/* All but the resource.  NULL: no memory. */
static json_t *object_of(const struct span *span)
{
	uint64_t duration_ns = span->end_unix_ns > span->start_unix_ns
				       ? span->end_unix_ns - span->start_unix_ns
				       : 0;
	const struct {
		const char *key;
		json_t *value;
	} members[] = {
		{ "trace_id", hex_of(span->trace_id, sizeof(span->trace_id)) },
		{ "span_id", hex_of(span->span_id, sizeof(span->span_id)) },
		{ "parent_span_id", parent_of(span) },
		{ "parent_remote", json_boolean(span->parent_remote) },
		{ "flags", json_integer(span->trace_flags) },
		{ "trace_state", string_of(span->trace_state) },
		{ "name", string_of(span->name) },
		{ "kind", kind_of(span->kind) },
		{ "start_unix_ns", json_integer((json_int_t)span->start_unix_ns) },
		{ "end_unix_ns", json_integer((json_int_t)span->end_unix_ns) },
		{ "duration_ns", json_integer((json_int_t)duration_ns) },
		{ "status", status_of(span->status) },
		{ "status_message", string_of(span->status_message) },
		{ "attributes", attributes_of(&span->attributes) },
		{ "dropped_attributes", json_integer(span->dropped_attributes) },
		{ "scope", json_string(span->scope ? span->scope : "") },
	};
	json_t *object = json_object();
	bool failed = !object;

	/* takes every value, also when it fails */
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		failed |=
			json_object_set_new_nocheck(object, members[i].key, members[i].value) != 0;
	if (failed) {
		json_decref(object);
		return NULL;
	}
	return object;
}

/* The members of @object into j->line: their length, 0: no memory. */
static size_t console_json__dump(struct console_json *j, const json_t *object)
{
	size_t len = json_dumpb(object, j->line, j->room, DUMP_FLAGS | JSON_EMBED);
	char *line;

	if (len <= j->room)
		return len;
	line = realloc(j->line, len);
	if (!line)
		return 0;
	j->line = line;
	j->room = len;
	return json_dumpb(object, j->line, j->room, DUMP_FLAGS | JSON_EMBED);
}

int console_json__print(struct console_json *j, FILE *out, const struct span *span)
{
	const char *resource = resource_text(j, span->resource);
	json_t *object = resource ? object_of(span) : NULL;
	size_t len;

	if (!object)
		return -ENOMEM;
	len = console_json__dump(j, object);
	json_decref(object);
	if (!len)
		return -ENOMEM;
	fprintf(out, "{%.*s,\"resource\":%s}\n", (int)len, j->line, resource);
	return ferror(out) ? -EIO : 0;
}
