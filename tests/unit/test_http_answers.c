// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

#include "tests/unit/export_scene.h"
#include "user/base/loop.h"

#define MS 1000000ull

/* ---- answers ---------------------------------------------------------------------------- */

static void test_partial_success(void **state)
{
	/* partial_success { rejected_spans: 2, error_message: "no" } */
	static const struct answer script[] = {
		BYTES("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n\x0a\x06\x08\x02\x12\x02no"),
		/* more than there were: 127 */
		BYTES("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\x0a\x02\x08\x7f"),
		/* fewer than none: -1 */
		BYTES("HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n"
		      "\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
	};
	struct scene s;

	scene__open(&s, script, COUNT(script));
	for (int i = 0; i < 3; i++) {
		scene__push(&s, 5);
		scene__settle(&s, 1);
	}
	assert_int_equal(s.collector.requests, 3); /* never sent again */
	assert_int_equal(scene__counts(&s)->rejected, 2 + 5);
	assert_int_equal(scene__counts(&s)->exported, 3 + 5);
	scene__close(&s);
}

static void test_accepted_whatever_the_body(void **state)
{
	static const struct answer script[] = {
		BYTES("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<html"),
		/* the status says it all, the rest of the body never comes */
		{ ANSWER_CLOSE, SLICE("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n<html"), {} },
		BYTES("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"),
	};
	struct scene s;

	scene__open(&s, script, COUNT(script));
	for (int i = 0; i < 3; i++) {
		scene__push(&s, 1);
		scene__settle(&s, 1);
	}
	assert_int_equal(s.collector.requests, 3);
	assert_int_equal(scene__counts(&s)->exported, 3);
	scene__close(&s);
}

static void test_final_statuses(void **state)
{
	static const struct answer script[] = {
		BYTES(STATUS("400 Bad Request")),
		BYTES(STATUS("401 Unauthorized")),
		BYTES(STATUS("408 Request Timeout")),
		BYTES("HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\n\x1b[31m"),
		BYTES(STATUS("500 Internal Server Error")),
		BYTES(STATUS("501 Not Implemented")),
		BYTES("HTTP/1.1 307 Temporary Redirect\r\nLocation: /\r\nContent-Length: "
		      "0\r\n\r\n"),
		OK_ANSWER,
	};
	struct scene s;

	scene__open(&s, script, COUNT(script));
	for (size_t i = 0; i < COUNT(script); i++) {
		scene__push(&s, 1);
		scene__settle(&s, 1);
	}
	assert_int_equal(s.collector.requests, COUNT(script));
	assert_int_equal(scene__counts(&s)->refused, COUNT(script) - 1);
	assert_int_equal(scene__counts(&s)->exported, 1);
	scene__close(&s);
}

static void test_hostile_answers(void **state)
{
	static char zeros[65536];
	static char chunk[6 + 4096 + 2] = "1000\r\n";
	static const struct answer scripts[] = {
		/* neither HTTP nor an end */
		{ ANSWER_ENDLESS, SLICE("SSH-2.0-OpenSSH_9.9\r\n"), { zeros, sizeof(zeros) } },
		{ ANSWER_ENDLESS, SLICE("\n"), SLICE("\xff\xfe\r\n\r\n") },
		{ ANSWER_ENDLESS,
		  SLICE("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n"),
		  { zeros, sizeof(zeros) } },
		{ ANSWER_ENDLESS, SLICE("HTTP/1.1 200 OK\r\n"), SLICE("X-More: and more\r\n") },
		{ ANSWER_ENDLESS, SLICE("HTTP/1.1 100 Continue\r\n\r\n"),
		  SLICE("HTTP/1.1 100 Continue\r\n\r\n") },
		{ ANSWER_ENDLESS, SLICE("HTTP/1.1 200 OK\r\nX-Long: "), { zeros, sizeof(zeros) } },
		{ ANSWER_ENDLESS,
		  SLICE("HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n"),
		  { chunk, sizeof(chunk) } },
	};
	struct scene s[COUNT(scripts)];

	memset(zeros, 'z', sizeof(zeros));
	memset(chunk + 6, 'z', 4096);
	memcpy(chunk + 6 + 4096, "\r\n", 2);
	for (size_t i = 0; i < COUNT(scripts); i++) {
		scene__open(&s[i], &scripts[i], 1);
		scene__push(&s[i], 1);
	}
	scene__settle(s, COUNT(scripts));
	for (size_t i = 0; i < COUNT(scripts); i++) {
		assert_int_equal(scene__counts(&s[i])->refused, 1);
		assert_int_equal(s[i].collector.requests, 1);
		scene__close(&s[i]);
	}
}

/* ---- tries ------------------------------------------------------------------------------ */

static void rise(void *ctx)
{
	fake_collector__listen(ctx);
}

/* What is tried again, all at once since each takes its second. */
static void test_tried_again(void **state)
{
	static char date_answer[256];
	const struct answer scripts[][2] = {
		{ BYTES(STATUS("503 Service Unavailable")), OK_ANSWER },
		{ BYTES(STATUS("502 Bad Gateway")), OK_ANSWER },
		{ BYTES(STATUS("504 Gateway Timeout")), OK_ANSWER },
		{ { ANSWER_CLOSE, { NULL, 0 }, { NULL, 0 } }, OK_ANSWER },
		{ SILENT, OK_ANSWER },
		{ OK_ANSWER, OK_ANSWER }, /* down at first */
		{ BYTES("HTTP/1.1 429 Slow\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"),
		  OK_ANSWER },
		{ { ANSWER_BYTES, { date_answer, 0 }, { NULL, 0 } }, OK_ANSWER },
		{ { ANSWER_CLOSE, SLICE("HTTP/1.1 200 OK\r\nX-Cut: he"), { NULL, 0 } }, OK_ANSWER },
	};
	enum { SLOW = 4, DOWN = 5, SECONDS = 6, DATE = 7, CUT = 8, SCENES = 9 };
	struct answer date_script[2] = { scripts[DATE][0], scripts[DATE][1] };
	time_t when = time(NULL) + 4;
	struct scene s[SCENES];
	struct loop_timer *timer;

	date_script[0].head.len = strftime(date_answer, sizeof(date_answer),
					   "HTTP/1.1 503 Later\r\nRetry-After: "
					   "%a, %d %b %Y %H:%M:%S GMT\r\n"
					   "Content-Length: 0\r\n\r\n",
					   gmtime(&when));
	for (size_t i = 0; i < SCENES; i++) {
		scene__prepare(&s[i], i == DATE ? date_script : scripts[i], 2, i != DOWN);
		if (i == SLOW)
			s[i].options.timeout_ms = 1000;
		scene__start(&s[i]);
		scene__push(&s[i], 2);
	}
	timer = loop__timer(scene__loop(), rise, &s[DOWN].collector);
	assert_non_null(timer);
	loop_timer__after(timer, 100 * MS);
	scene__settle(s, SCENES);
	for (size_t i = 0; i < SCENES; i++) {
		assert_int_equal(s[i].collector.requests, i == DOWN ? 1 : 2);
		assert_int_equal(scene__counts(&s[i])->exported, 2);
	}
	/* libcurl's clock of a date counts whole seconds */
	assert_true(s[SECONDS].collector.request_ns[1] - s[SECONDS].collector.request_ns[0] >=
		    1000 * MS);
	assert_true(s[DATE].collector.request_ns[1] - s[DATE].collector.request_ns[0] >= 1000 * MS);
	for (size_t i = 0; i < SCENES; i++)
		scene__close(&s[i]);
}

/* Tries end: with the time for one batch, or when the collector wants to wait beyond it; then
 * what comes next waits, too. */
static void test_given_up(void **state)
{
	static const struct answer silence[] = { SILENT };
	static const struct answer later[] = {
		BYTES("HTTP/1.1 503 Later\r\nRetry-After: 3\r\n"
		      "Content-Length: 0\r\n\r\n"),
		OK_ANSWER,
	};
	struct scene s[3];

	for (size_t i = 0; i < COUNT(s); i++) {
		scene__prepare(&s[i], i == 2 ? later : silence, 2 - (i != 2), i != 1);
		s[i].options.timeout_ms = 0;
		s[i].options.export_timeout_ms = 2000;
		scene__start(&s[i]);
		scene__push(&s[i], 4);
	}
	scene__settle(s, COUNT(s));
	for (size_t i = 0; i < COUNT(s); i++)
		assert_int_equal(scene__counts(&s[i])->failed, 4);
	assert_int_equal(s[0].collector.requests, 1);
	assert_int_equal(s[2].collector.requests, 1);
	scene__push(&s[2], 40); /* more than one batch */
	scene__settle(&s[2], 1);
	assert_int_equal(scene__counts(&s[2])->exported, 40);
	assert_true(s[2].collector.request_ns[1] - s[2].collector.request_ns[0] >= 3000000000);
	for (size_t i = 0; i < COUNT(s); i++)
		scene__close(&s[i]);
}

/* A collector may ask for a wait that nobody has: what is queued is given up with the flush. */
static void test_retry_after_ages(void **state)
{
	static const struct answer later[] = {
		BYTES("HTTP/1.1 503 Later\r\nRetry-After: 99999999999\r\n"
		      "Content-Length: 0\r\n\r\n"),
	};
	struct scene s;

	scene__prepare(&s, later, COUNT(later), true);
	s.options.export_timeout_ms = 2000;
	scene__start(&s);
	scene__push(&s, 4);
	scene__settle(&s, 1);
	scene__push(&s, 5);
	http_exporter__flush(s.exporter, 100, NULL, NULL);
	scene__settle(&s, 1);
	assert_int_equal(scene__counts(&s)->failed, 4);
	assert_int_equal(scene__counts(&s)->shutdown, 5);
	assert_int_equal(s.collector.requests, 1);
	scene__close(&s);
}

/* libcurl 7.88 looked for the header to unfold in the answer before. */
static void test_folded_header(void **state)
{
	static const struct answer script[] = {
		BYTES("HTTP/1.1 200 OK\r\nX-Long: abc\r\nContent-Length: 0\r\n\r\n"),
		BYTES("HTTP/1.1 200 OK\r\n X-More: abc\r\nContent-Length: 0\r\n\r\n"),
		OK_ANSWER,
	};
	struct scene s;

	scene__open(&s, script, COUNT(script));
	for (size_t i = 0; i < COUNT(script); i++) {
		scene__push(&s, 1);
		scene__settle(&s, 1);
	}
	assert_int_equal(scene__counts(&s)->exported + scene__counts(&s)->refused, 3);
	scene__close(&s);
}

/* While a batch is tried again, the queue takes all that it has room for, and counts the rest. */
static void test_queue_bound(void **state)
{
	static const struct answer script[] = { OK_ANSWER };
	struct scene s;

	scene__prepare(&s, script, COUNT(script), false);
	scene__start(&s);
	scene__push(&s, 16);
	scene__run(&s, 50);
	scene__push(&s, 64 + 10);
	assert_int_equal(scene__counts(&s)->queue_full, 10);
	assert_int_equal(http_exporter__pending(s.exporter), 16 + 64);
	fake_collector__listen(&s.collector);
	http_exporter__flush(s.exporter, 5000, NULL, NULL); /* tries now */
	scene__settle(&s, 1);
	assert_int_equal(scene__counts(&s)->exported, 16 + 64);
	assert_int_equal(s.collector.spans, 16 + 64);
	scene__close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_partial_success),
		cmocka_unit_test(test_accepted_whatever_the_body),
		cmocka_unit_test(test_final_statuses),
		cmocka_unit_test(test_hostile_answers),
		cmocka_unit_test(test_tried_again),
		cmocka_unit_test(test_given_up),
		cmocka_unit_test(test_retry_after_ages),
		cmocka_unit_test(test_folded_header),
		cmocka_unit_test(test_queue_bound),
	};

	return cmocka_run_group_tests(tests, scene__set_up, scene__tear_down);
}
