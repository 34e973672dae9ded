// SPDX-License-Identifier: Apache-2.0
/* The header lines that are looked at, one by one. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "user/protocols/http1_head.h"

#define LINE_MAX_BYTES 256
#define COUNT(a)       (sizeof(a) / sizeof((a)[0]))

static const struct {
	const char *name;
	enum http1_field field;
} fields[] = {
	{ "Host", HTTP1_HOST },
	{ "User-Agent", HTTP1_USER_AGENT },
	{ "traceparent", HTTP1_TRACEPARENT },
	{ "tracestate", HTTP1_TRACESTATE },
	{ "Forwarded", HTTP1_FORWARDED },
	{ "X-Forwarded-For", HTTP1_FORWARDED_FOR },
	{ "X-Forwarded-Proto", HTTP1_FORWARDED_PROTO },
	{ "X-Forwarded-Host", HTTP1_FORWARDED_HOST },
	{ "Upgrade", HTTP1_UPGRADE },
};

struct outcome {
	struct http1_join join;
	struct http1_framing framing;
	struct message message;
	char text[LINE_MAX_BYTES]; /* what the message points into */
};

/* A request whose header lines are @before, @name (each letter as @letter gives it) with @value. */
static void read_line(struct outcome *o, const char *before, const char *name, int (*letter)(int),
		      const char *value)
{
	size_t at = strlen(before);
	struct slice rest;
	int len;

	memset(o, 0, sizeof(*o));
	o->message.type = MESSAGE_REQUEST;
	len = snprintf(o->text, sizeof(o->text), "%s%s: %s\r\n\r\n", before, name, value);
	assert_in_range(len, 1, sizeof(o->text) - 1);
	for (size_t i = 0; i < strlen(name); i++)
		o->text[at + i] = (char)letter((unsigned char)name[i]);
	rest = slice__of(o->text, (size_t)len);
	assert_int_equal(http1_head__fields(&rest, &o->join, &o->framing, &o->message), 1);
	assert_int_equal(rest.len, 0);
}

static void check_field(const char *before, size_t i, int (*letter)(int))
{
	struct outcome o;
	struct slice got;

	read_line(&o, before, fields[i].name, letter, "a value");
	got = o.message.field[fields[i].field];
	if (!slice__eq(got, SLICE("a value")))
		fail_msg("%s gives \"%.*s\"", fields[i].name, (int)got.len, got.data);
	assert_int_equal(o.message.field_mask, 1u << fields[i].field);
}

static void check_framing(const char *before, int (*letter)(int))
{
	struct outcome o;

	read_line(&o, before, "Content-Length", letter, "12");
	assert_int_equal(o.framing.length, 12);
	assert_int_equal(o.message.number[HTTP1_LENGTH], 12);
	read_line(&o, before, "Transfer-Encoding", letter, "chunked");
	assert_int_equal(o.framing.coding, HTTP1_CHUNKED);
}

static int same(int c)
{
	return c;
}

/* In whatever letters, and behind a line that nobody asks for. */
static void test_each_is_found(void **unused)
{
	static int (*const letters[])(int) = { same, tolower, toupper };
	static const char *const before[] = { "", "Accept: x\r\n", "If-Match: x\r\n\ty\r\n z\r\n" };

	for (size_t l = 0; l < COUNT(letters); l++) {
		for (size_t b = 0; b < COUNT(before); b++) {
			for (size_t i = 0; i < COUNT(fields); i++)
				check_field(before[b], i, letters[l]);
			check_framing(before[b], letters[l]);
		}
	}
}

/* A folded line belongs to the one before it, whatever it looks like. */
static void test_folded_is_no_line(void **unused)
{
	static const char *const before[] = {
		"Accept: x\r\n ",	   "Accept: x\r\n\t",	 "If-Match: x\r\n\t",
		"If-Match: x\r\n i\r\n\t", "Via: x\r\n\ti\r\n ",
	};

	for (size_t b = 0; b < COUNT(before); b++) {
		for (size_t i = 0; i < COUNT(fields); i++) {
			struct outcome o;

			read_line(&o, before[b], fields[i].name, same, "a value");
			assert_int_equal(o.message.field_mask, 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_is_found),
		cmocka_unit_test(test_folded_is_no_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
