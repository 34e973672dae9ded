// SPDX-License-Identifier: Apache-2.0
/* The kernel's reader of request heads against the parser of user space, on random heads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/head_agreement.h"
#include "tests/unit/head_scene.h"
#include "user/base/arena.h"
#include "user/flow/tracestate.h"

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
		if (!work->head.done || head__is_contested(in))
			continue;
		done++;
		head__expect_offsets(in);
		head__expect_agreement(in);
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
