// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/replay_print.h"

#include "user/flow/span.h"

#define US 1000ULL

static void print__text(FILE *out, struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (c < 0x20 || c == 0x7f)
			fprintf(out, "\\x%02x", c);
		else
			fputc(c, out);
	}
}

static const char *print__kind(enum span_kind kind)
{
	return kind == SPAN_SERVER ? "SERVER" : kind == SPAN_CLIENT ? "CLIENT" : "OTHER";
}

static void print__attribute(FILE *out, const struct attribute *attribute)
{
	fprintf(out, "  %.*s = ", (int)attribute->key.len, attribute->key.data);
	if (attribute->type == ATTRIBUTE_INT)
		fprintf(out, "%lld", (long long)attribute->integer);
	else if (attribute->type == ATTRIBUTE_BOOL)
		fputs(attribute->boolean ? "true" : "false", out);
	else
		print__text(out, attribute->string);
	fputc('\n', out);
}

static void print__hex(FILE *out, const char *name, const uint8_t *bytes, size_t len)
{
	fprintf(out, "  %s ", name);
	for (size_t i = 0; i < len; i++)
		fprintf(out, "%02x", bytes[i]);
	fputc('\n', out);
}

void replay__print(FILE *out, const struct span *span)
{
	static const uint8_t none[8];
	struct attribute attribute;

	fprintf(out, "%s ", print__kind(span->kind));
	print__text(out, span->name);
	fprintf(out, " %llu..%llu%s\n", (unsigned long long)(span->start_unix_ns / US),
		(unsigned long long)(span->end_unix_ns / US),
		span->status == STATUS_ERROR ? " ERROR" : "");
	if (memcmp(span->parent_id, none, sizeof(none)) != 0) {
		print__hex(out, "trace", span->trace_id, sizeof(span->trace_id));
		print__hex(out, "parent", span->parent_id, sizeof(span->parent_id));
		fprintf(out, "  flags %02x\n", span->trace_flags);
	}
	if (span->trace_state.len) {
		fputs("  state ", out);
		print__text(out, span->trace_state);
		fputc('\n', out);
	}
	for (size_t at = 0; attributes__next(&span->attributes, &at, &attribute);)
		print__attribute(out, &attribute);
}
