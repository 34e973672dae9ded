// SPDX-License-Identifier: Apache-2.0
/* The kernel's reader of request heads against the parser of user space, on random heads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/head_scene.h"
#include "user/flow/tracestate.h"
#include "user/protocols/http1_head.h"

static uint32_t seed;

static uint32_t draw(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

struct draft {
	char bytes[2 * HEAD_WINDOW];
	size_t len;
};

static void draft__add(struct draft *d, const char *text)
{
	size_t len = strlen(text);

	if (len > sizeof(d->bytes) - d->len)
		return;
	memcpy(d->bytes + d->len, text, len);
	d->len += len;
}

static void draft__state(struct draft *d)
{
	static const char *const good[] = {
		"foo=1", "bar=2", "x=" Z64, "foo=3", "a=1,b=2,c=3", "n=v ", "\ta@b=c d", "",
	};
	static const char *const bad[] = {
		"k=", "=", "\t", "Z=1", "0", "_=1", Z16, "~", "\x7f", "a b=1", "a=1\t2",
	};

	for (uint32_t n = draw(12); n > 0; n--) {
		draft__add(d, draw(40) ? good[draw(COUNT(good))] : bad[draw(COUNT(bad))]);
		if (draw(40))
			draft__add(d, draw(4) ? "," : " , ");
	}
}

static void draft__line(struct draft *d)
{
	static const char *const lines[] = {
		"Host: a.example",
		"Accept: */*",
		"Cookie: a=b; c=d",
		"User-Agent: x",
		"Content-Length: 3",
		"Cache-Control: no-cache",
		"Content-Type: text/plain",
		"Connection: close",
		"TE: trailers",
		"traceparent: cc-" T "-" P "-01-more",
		"Cookie: " Z256,
		"Upgrade-Insecure-Requests: 1",
	};

	switch (draw(6)) {
	case 0:
		draft__add(d, draw(2) ? "traceparent: " : "TraceParent:");
		draft__add(d, draw(4) ? PARENT : OTHER " \t");
		break;
	case 1:
	case 2:
		draft__add(d, draw(4) ? "tracestate: " : "TRACESTATE:\t");
		draft__state(d);
		break;
	default:
		draft__add(d, lines[draw(COUNT(lines))]);
		break;
	}
	draft__add(d, draw(8) ? "\r\n" : "\n");
}

static void draft__mutate(struct draft *d)
{
	static const char bytes[] = "\r\n \t:,=-\0\x80tT0a";
	size_t at = draw((uint32_t)d->len);

	switch (draw(3)) {
	case 0:
		d->bytes[at] = bytes[draw(sizeof(bytes) - 1)];
		break;
	case 1:
		memmove(d->bytes + at, d->bytes + at + 1, d->len - at - 1);
		d->len--;
		break;
	default:
		memmove(d->bytes + at + 1, d->bytes + at, d->len - at);
		d->bytes[at] = bytes[draw(sizeof(bytes) - 1)];
		d->len++;
		break;
	}
}

static void draft__write(struct draft *d)
{
	d->len = 0;
	draft__add(d, draw(10) ? "POST /some/where?a=b HTTP/1.1\r\n" : "\r\nGET / HTTP/1.0\n");
	for (uint32_t n = draw(10); n > 0; n--)
		draft__line(d);
	draft__add(d, "\r\n");
	if (draw(2))
		draft__mutate(d);
}

/* What the two take differently on purpose: folded lines, blanks around names, control characters
 * in targets, CR in a line. */
static bool is_contested(struct slice in)
{
	struct slice line = SLICE("");

	while (line.len == 0 && http1_head__line(&in, &line))
		;
	for (size_t i = 0; i < line.len; i++)
		if ((unsigned char)line.data[i] < ' ')
			return true;
	while (http1_head__line(&in, &line)) {
		struct slice name = slice__head(line, slice__find(line, ':'));

		if (slice__trim(name).len != name.len || memchr(line.data, '\r', line.len))
			return true;
	}
	return false;
}

static bool parse(struct slice in, struct http1_join *join, struct message *out)
{
	struct http1_framing framing;
	struct slice line = SLICE("");

	memset(out, 0, sizeof(*out));
	while (line.len == 0)
		if (!http1_head__line(&in, &line))
			return false;
	return http1_head__request_line(line, out) == 0 &&
	       http1_head__fields(&in, join, &framing, out) == 1;
}

static void expect_agreement(struct slice in)
{
	struct traceparent ours, theirs;
	struct http1_join join;
	struct message m;
	struct slice value;
	struct arena arena;
	int valid;

	if (!parse(in, &join, &m))
		fail_msg("done: \"%.*s\"", (int)in.len, in.data);
	value = m.field[HTTP1_TRACEPARENT];
	valid = m.number[HTTP1_TRACEPARENTS] == 1 &&
		traceparent_parse(value.data, (unsigned int)value.len, &theirs);
	if (head__context(&work->head, &ours) != valid)
		fail_msg("traceparent of \"%.*s\"", (int)in.len, in.data);
	if (valid)
		assert_memory_equal(&ours, &theirs, sizeof(ours));
	if (work->head.state_cut || work->head.state_len > HTTP1_JOIN_BYTES)
		return; /* of too long a list user space keeps what it can */
	arena__init(&arena, 64 * 1024);
	value = tracestate__normalise(&arena, m.field[HTTP1_TRACESTATE]);
	head__normalise(work);
	if (!slice__eq(slice__of(work->head.tracestate, work->head.state_len), value))
		fail_msg("tracestate of \"%.*s\"", (int)in.len, in.data);
	arena__reset(&arena);
}

/* A line put in at end_at, and a value put in place of the one at parent_at, are found. */
static void expect_offsets(struct slice in)
{
	static const char line[] = "traceparent: " OTHER "\r\n";
	struct head h = work->head;
	struct traceparent out;
	struct http1_join join;
	struct message m;
	char text[3 * HEAD_WINDOW];
	size_t len = sizeof(line) - 1;

	memcpy(text, in.data, h.end_at);
	memcpy(text + h.end_at, line, len);
	memcpy(text + h.end_at + len, in.data + h.end_at, in.len - h.end_at);
	assert_true(parse(slice__of(text, in.len + len), &join, &m));
	assert_int_equal(m.number[HTTP1_TRACEPARENTS], h.count[HEAD_PARENT] + 1);
	assert_true(slice__eq(m.field[HTTP1_TRACEPARENT], SLICE(OTHER)));
	if (!head__context(&h, &out) || h.parent_len != TRACEPARENT_LEN)
		return;
	memcpy(text, in.data, in.len);
	memcpy(text + h.parent_at, OTHER, sizeof(OTHER) - 1);
	assert_true(parse(slice__of(text, in.len), &join, &m));
	assert_true(slice__eq(m.field[HTTP1_TRACEPARENT], SLICE(OTHER)));
}

static void test_random_heads(void **unused)
{
	uint32_t done = 0;

	for (uint32_t i = 0; i < 5000; i++) {
		struct draft d;
		struct slice in;
		struct head want;
		size_t step, used;

		seed = i;
		draft__write(&d);
		in = slice__of(d.bytes, d.len);
		step = 1 + draw(200);
		used = feed(in, step, step);
		want = visible();
		expect_same(in, &want, used, "itself");
		used = feed_whole(in);
		expect_same(in, &want, used, "whole");
		in = slice__head(in, used);
		if (!work->head.done || is_contested(in))
			continue;
		done++;
		expect_offsets(in);
		expect_agreement(in);
	}
	assert_true(done > 2000);
}

static void test_random_states(void **unused)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < 20000; i++) {
		struct arena arena;
		struct slice want;
		struct draft d;

		seed = i;
		d.len = 0;
		draft__state(&d);
		for (uint32_t n = draw(3); n > 0 && d.len; n--)
			draft__mutate(&d);
		if (d.len > HEAD_STATE_MAX)
			continue;
		memset(&work->head, 0, sizeof(work->head));
		memset(work->head.tracestate, 'x', sizeof(work->head.tracestate));
		memcpy(work->head.tracestate, d.bytes, d.len);
		work->head.state_len = (uint16_t)d.len;
		d.bytes[d.len] = '\0';
		arena__init(&arena, 64 * 1024);
		want = tracestate__normalise(&arena, slice__of(d.bytes, d.len));
		head__normalise(work);
		if (!slice__eq(slice__of(work->head.tracestate, work->head.state_len), want))
			fail_msg("\"%.*s\"", (int)d.len, d.bytes);
		kept += want.len > 0;
		arena__reset(&arena);
	}
	assert_true(kept > 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_heads),
		cmocka_unit_test(test_random_states),
	};

	return cmocka_run_group_tests(tests, head_scene__map, NULL);
}
