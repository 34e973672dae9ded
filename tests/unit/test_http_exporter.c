// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/export_scene.h"
#include "user/base/loop.h"
#include "user/export/retry.h"

#define MIB (1024 * 1024)

/* ---- what is sent ----------------------------------------------------------------------- */

static void assert_header(const struct scene *s, const char *line)
{
	if (!strstr(s->collector.last_head, line))
		fail_msg("no \"%s\" in:\n%s", line, s->collector.last_head);
}

static void test_request(void **state)
{
	static const struct answer script[] = { OK_ANSWER };
	char tenant[] = "X-Tenant: seven";
	char *headers[] = { tenant, NULL };
	struct scene s;

	scene__prepare(&s, script, COUNT(script), true);
	s.options.headers = headers;
	scene__start(&s);
	scene__push(&s, 3);
	scene__settle(&s, 1);
	assert_int_equal(scene__counts(&s)->exported, 3);
	assert_int_equal(s.collector.requests, 1); /* the delay gathered them */
	assert_int_equal(s.collector.spans, 3);
	assert_header(&s, "POST /v1/traces HTTP/1.1\r\n");
	assert_header(&s, "\r\nContent-Type: application/x-protobuf\r\n");
	assert_header(&s, "\r\nUser-Agent: spanloom/" SPANLOOM_VERSION
			  " OTel-OTLP-Exporter-C/" SPANLOOM_VERSION "\r\n");
	assert_header(&s, "\r\nX-Tenant: seven\r\n");
	assert_null(strstr(s.collector.last_head, "Content-Encoding"));
	assert_null(strstr(s.collector.last_head, "Expect"));
	scene__close(&s);
}

static void test_gzip_and_localhost(void **state)
{
	static const struct answer script[] = { OK_ANSWER };
	struct scene s;

	scene__prepare(&s, script, COUNT(script), true);
	/* IPv6 comes first, where nobody listens */
	snprintf(s.url, sizeof(s.url), "http://localhost:%u/", s.collector.port);
	s.options.gzip = true;
	scene__start(&s);
	scene__push(&s, 5);
	scene__settle(&s, 1);
	assert_int_equal(scene__counts(&s)->exported, 5);
	assert_int_equal(s.collector.spans, 5);
	assert_header(&s, "POST / HTTP/1.1\r\n");
	assert_header(&s, "\r\nContent-Encoding: gzip\r\n");
	scene__close(&s);
}

static void test_full_batches_on_one_connection(void **state)
{
	static const struct answer script[] = { OK_ANSWER };
	struct scene s;

	scene__prepare(&s, script, COUNT(script), true);
	s.options.schedule_delay_ms = 60000; /* a full batch does not wait for it */
	scene__start(&s);
	scene__push(&s, 50);
	scene__run_until(&s, 2);
	assert_int_equal(scene__counts(&s)->exported, 48);
	assert_int_equal(http_exporter__pending(s.exporter), 2);
	assert_int_equal(s.collector.requests, 3);
	assert_int_equal(s.collector.connections, 1);
	scene__close(&s);
}

static void test_large_ones_are_split(void **state)
{
	static const struct answer script[] = { OK_ANSWER };
	char *text = calloc(1, 65 * MIB);
	struct scene s;

	assert_non_null(text);
	scene__open(&s, script, COUNT(script));
	scene__push_text(&s, slice__of(text, 65 * MIB));
	scene__push_text(&s, slice__of(text, 33 * MIB));
	scene__push_text(&s, slice__of(text, 33 * MIB));
	scene__settle(&s, 1);
	assert_int_equal(scene__counts(&s)->too_large, 1);
	assert_int_equal(scene__counts(&s)->exported, 2);
	assert_int_equal(s.collector.requests, 2);
	assert_true(s.collector.body_bytes > 66 * MIB);
	scene__close(&s);
	free(text);
}

/* ---- the end ---------------------------------------------------------------------------- */

static void on_flushed(void *ctx)
{
	int *calls = ctx;

	(*calls)++;
	loop__stop(scene__loop());
}

static void test_flush(void **state)
{
	static const struct answer script[] = { OK_ANSWER };
	int calls = 0;
	struct scene s;

	scene__prepare(&s, script, COUNT(script), true);
	s.options.schedule_delay_ms = 60000;
	scene__start(&s);
	scene__push(&s, 40);
	http_exporter__flush(s.exporter, 5000, on_flushed, &calls);
	assert_int_equal(calls, 0); /* from the loop, not from the call */
	assert_int_equal(loop__run(scene__loop()), 0);
	assert_int_equal(calls, 1);
	assert_int_equal(scene__counts(&s)->exported, 40);
	/* nothing to send */
	http_exporter__flush(s.exporter, 5000, on_flushed, &calls);
	assert_int_equal(loop__run(scene__loop()), 0);
	assert_int_equal(calls, 2);
	scene__close(&s);
}

static void test_flush_in_vain(void **state)
{
	static const struct answer script[] = { SILENT };
	struct scene s[2]; /* one is silent, one is down */

	for (size_t i = 0; i < COUNT(s); i++) {
		int calls = 0;

		scene__prepare(&s[i], script, COUNT(script), i == 0);
		scene__start(&s[i]);
		scene__push(&s[i], 40);
		scene__run(&s[i], 20);
		http_exporter__flush(s[i].exporter, 30, on_flushed, &calls);
		assert_int_equal(loop__run(scene__loop()), 0);
		assert_int_equal(calls, 1);
		assert_int_equal(scene__counts(&s[i])->shutdown, 40);
		assert_int_equal(http_exporter__pending(s[i].exporter), 0);
		scene__close(&s[i]);
	}
}

/* How much a flush of @ms gets out, of one span that waits for another try. */
static uint64_t flushed_in(uint32_t ms)
{
	static const struct answer script[] = { BYTES(STATUS("503 No")), OK_ANSWER };
	uint64_t exported;
	int calls = 0;
	struct scene s;

	scene__open(&s, script, COUNT(script));
	scene__push(&s, 1);
	scene__run(&s, 100);
	http_exporter__flush(s.exporter, ms, on_flushed, &calls);
	assert_int_equal(loop__run(scene__loop()), 0);
	exported = scene__counts(&s)->exported;
	scene__close(&s);
	return exported;
}

/* The flush does not wait for a back-off, of half a second or more, that was long when the end
 * was not near.  On a machine that has no time for us it may be too late some of the tries. */
static void test_flush_tries_at_once(void **state)
{
	int tries = 10;

	while (tries && !flushed_in(250))
		tries--;
	assert_int_not_equal(tries, 0);
}

static void free_exporter(void *ctx)
{
	struct scene *s = ctx;

	http_exporter__free(s->exporter);
	s->exporter = NULL;
	loop__stop(scene__loop());
}

static void test_free_when_flushed(void **state)
{
	static const struct answer script[] = { OK_ANSWER };
	struct scene s;

	scene__open(&s, script, COUNT(script));
	scene__push(&s, 1);
	http_exporter__flush(s.exporter, 5000, free_exporter, &s);
	assert_int_equal(loop__run(scene__loop()), 0);
	assert_null(s.exporter);
	assert_int_equal(s.collector.spans, 1);
	fake_collector__close(&s.collector);
}

static void test_bad_url(void **state)
{
	char url[] = "http://[::1";
	struct otlp_options options = { .url = url, .max_queue_size = 1 };

	assert_null(http_exporter__new(scene__loop(), &options));
}

static void test_backoff(void **state)
{
	struct backoff b;

	backoff__init(&b);
	assert_int_equal(backoff__next_ms(&b, 0), 500);
	assert_int_equal(backoff__next_ms(&b, UINT32_MAX), 2249);
	assert_int_equal(backoff__next_ms(&b, 1u << 31), 2250);
	for (int i = 0; i < 40; i++)
		(void)backoff__next_ms(&b, 0);
	assert_int_equal(backoff__next_ms(&b, 0), 15000);
	assert_int_equal(backoff__next_ms(&b, UINT32_MAX), 44999);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_gzip_and_localhost),
		cmocka_unit_test(test_full_batches_on_one_connection),
		cmocka_unit_test(test_large_ones_are_split),
		cmocka_unit_test(test_flush),
		cmocka_unit_test(test_flush_in_vain),
		cmocka_unit_test(test_flush_tries_at_once),
		cmocka_unit_test(test_free_when_flushed),
		cmocka_unit_test(test_bad_url),
		cmocka_unit_test(test_backoff),
	};

	return cmocka_run_group_tests(tests, scene__set_up, scene__tear_down);
}
