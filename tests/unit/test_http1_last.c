// SPDX-License-Identifier: Apache-2.0
/*
 * Heads that come again are not read again: what is told of them must be what reading them gives.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "user/protocols/http1_last.h"
#include "user/protocols/protocol.h"

#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))
#define PARENT	  "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
#define LONG_NAME "a-name-of-a-host-that-is-rather-long.and-so-is-the-domain-that-it-is-in.example"

static const struct {
	enum direction dir;
	const char *head;
} heads[] = {
	{ TO_SERVER, "GET / HTTP/1.1\r\nHost: a:80\r\n\r\n" },
	{ TO_SERVER, "GET / HTTP/1.1\r\nHost: b:80\r\n\r\n" }, /* as long */
	{ TO_SERVER, "GET /a b?c HTTP/1.0\n\n" },
	{ TO_SERVER, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 17\r\n\r\n" },
	{ TO_SERVER, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18\r\n\r\n" },
	{ TO_SERVER, "PUT / HTTP/1.1\r\nUser-Agent: a\r\n b\r\nForwarded: for=c\r\n\r\n" },
	{ TO_SERVER, "GET / HTTP/1.1\r\n" PARENT "\r\n" },
	{ TO_SERVER, "GET / HTTP/1.1\r\n" PARENT PARENT "\r\n" },
	{ TO_SERVER, "GET / HTTP/1.1\r\ntracestate: a=1\r\ntracestate: b=2\r\n\r\n" },
	{ TO_SERVER, "GET / HTTP/1.1\r\nHost: " LONG_NAME "\r\nX-Forwarded-For: " LONG_NAME
		     "\r\nX-Forwarded-Host: " LONG_NAME "\r\n\r\n" },
	{ TO_CLIENT, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" },
	{ TO_CLIENT, "HTTP/1.1 404 No\r\nContent-Length: 3\r\n\r\n" },
	{ TO_CLIENT, "HTTP/1.1 204 No Content\r\n\r\n" },
	{ TO_CLIENT, "HTTP/1.1 100 Continue\r\n\r\n" },
	{ TO_CLIENT, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n" },
	{ TO_CLIENT, "HTTP/1.0 200 OK\r\nDate: Sat, 21 Nov 2026 04:00:00 GMT\r\n\r\n" },
	{ TO_CLIENT, "HTTP/1.1 503 \r\nTransfer-Encoding: identity\r\nContent-Length: 1\r\n\r\n" },
};

static ssize_t parse(void *state, size_t i, size_t len, struct message *out)
{
	const struct parse_input in = { .dir = heads[i].dir,
					.bytes = slice__of(heads[i].head, len) };

	message__init(out);
	return protocol_http1.parse(state, &in, out);
}

static void *state__new(void)
{
	void *state = calloc(1, protocol_http1.state_size);

	assert_non_null(state);
	return state;
}

static void check_same(const struct message *a, const struct message *b)
{
	struct message head = *a;

	head.alike = b->alike; /* says nothing of the head */
	assert_memory_equal(&head, b, offsetof(struct message, field));
	for (unsigned int i = 0; i < MESSAGE_FIELDS; i++)
		if (message__has(a, i))
			assert_true(slice__eq(a->field[i], b->field[i]));
}

/* Reads head @i in @state as in one that has seen nothing. */
static void check_head(void *state, size_t i, size_t len)
{
	void *fresh = state__new();
	struct message told, read;

	assert_int_equal(parse(state, i, len, &told), parse(fresh, i, len, &read));
	check_same(&told, &read);
	free(fresh);
}

static void test_same_as_read(void **unused)
{
	void *state = state__new();

	for (size_t i = 0; i < COUNT(heads); i++)
		for (int times = 0; times < 4; times++)
			check_head(state, i, strlen(heads[i].head));
	free(state);
}

/* The beginning of one that is kept says as little as that of any. */
static void test_beginning(void **unused)
{
	for (size_t i = 0; i < COUNT(heads); i++) {
		void *state = state__new();
		size_t len = strlen(heads[i].head);
		struct message told;

		for (int times = 0; times < 4; times++)
			parse(state, i, len, &told);
		while (--len)
			check_head(state, i, len);
		free(state);
	}
}

/* ---- what is kept ------------------------------------------------------------------------- */

static const struct http1_framing framing = { .length = 7 };

/* A head of @len bytes, all @fill, whose target is the third. */
static void keep(struct http1_last *last, char fill, size_t len, unsigned int more)
{
	char head[HTTP1_LAST_BYTES + 1];
	struct message message = { .type = MESSAGE_REQUEST };

	assert_in_range(len, 3, sizeof(head));
	memset(head, fill, len);
	message__set(&message, HTTP1_TARGET, slice__of(head + 2, 1));
	message__set(&message, more, slice__of(head, 1));
	message__number(&message, HTTP1_LENGTH, 7);
	http1_last__keep(last, slice__of(head, len), &framing, &message);
}

static bool is(const struct http1_last *last, char fill, size_t len)
{
	char in[2 * HTTP1_LAST_BYTES];

	memset(in, fill, len);
	return http1_last__is(last, slice__of(in, len));
}

static void test_second_is_kept(void **unused)
{
	struct http1_last last = { 0 };

	assert_false(is(&last, 'a', 9));
	keep(&last, 'a', 9, HTTP1_HOST);
	assert_false(is(&last, 'a', 9));
	keep(&last, 'b', 9, HTTP1_HOST);
	assert_true(is(&last, 'b', 9));
	assert_true(is(&last, 'b', 10)); /* with what follows */
	assert_false(is(&last, 'b', 8));
	assert_false(is(&last, 'a', 9));
	keep(&last, 'c', 8, HTTP1_HOST); /* once only */
	assert_true(is(&last, 'b', 9));
}

static void test_told(void **unused)
{
	static const char in[] = "bbbbbbbbb and what follows";
	struct http1_framing told_framing;
	struct http1_last last = { 0 };
	struct message told;

	keep(&last, 'b', 9, HTTP1_HOST);
	keep(&last, 'b', 9, HTTP1_HOST);
	message__init(&told);
	http1_last__tell(&last, SLICE(in), &told_framing, &told);
	assert_int_equal(told.type, MESSAGE_REQUEST);
	assert_int_equal(told.field_mask, 1u << HTTP1_TARGET | 1u << HTTP1_HOST);
	assert_ptr_equal(told.field[HTTP1_TARGET].data, in + 2);
	assert_ptr_equal(told.field[HTTP1_HOST].data, in);
	assert_int_equal(told.field[HTTP1_HOST].len, 1);
	assert_int_equal(told.number[HTTP1_LENGTH], 7);
	assert_int_equal(told_framing.length, 7);
}

static uint32_t number_of(const struct http1_last *last, const char *in)
{
	struct http1_framing told_framing;
	struct message told;

	message__init(&told);
	http1_last__tell(last, slice__str(in), &told_framing, &told);
	return told.alike;
}

/* Each that is kept has a number of its own, while there are any. */
static void test_numbers(void **unused)
{
	struct http1_last last = { 0 };
	uint32_t before;

	keep(&last, 'a', 9, HTTP1_HOST);
	keep(&last, 'a', 9, HTTP1_HOST);
	before = number_of(&last, "aaaaaaaaa");
	assert_int_not_equal(before, 0);
	assert_int_equal(number_of(&last, "aaaaaaaaa"), before);
	keep(&last, 'b', 9, HTTP1_HOST);
	assert_int_not_equal(number_of(&last, "bbbbbbbbb"), 0);
	assert_int_not_equal(number_of(&last, "bbbbbbbbb"), before);
	last.alike = UINT32_MAX - 1;
	for (int times = 0; times < 3; times++) {
		keep(&last, 'a', 9, HTTP1_HOST);
		assert_int_equal(number_of(&last, "aaaaaaaaa"), 0);
	}
}

static void test_not_kept(void **unused)
{
	struct http1_last last = { 0 };

	for (int times = 0; times < 3; times++)
		keep(&last, 'a', HTTP1_LAST_BYTES + 1, HTTP1_HOST);
	assert_false(is(&last, 'a', HTTP1_LAST_BYTES + 1));
	for (int times = 0; times < 3; times++)
		keep(&last, 'a', 9, HTTP1_TRACEPARENT);
	for (int times = 0; times < 3; times++)
		keep(&last, 'a', 9, HTTP1_TRACESTATE);
	assert_false(is(&last, 'a', 9));
	for (int times = 0; times < 2; times++)
		keep(&last, 'a', HTTP1_LAST_BYTES, HTTP1_HOST);
	assert_true(is(&last, 'a', HTTP1_LAST_BYTES));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_as_read),   cmocka_unit_test(test_beginning),
		cmocka_unit_test(test_second_is_kept), cmocka_unit_test(test_told),
		cmocka_unit_test(test_not_kept),       cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
