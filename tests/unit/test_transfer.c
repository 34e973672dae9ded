// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <curl/curl.h>
#include <stdlib.h>

#include "tests/unit/export_scene.h"
#include "tests/unit/short_memory.h"
#include "user/base/loop.h"
#include "user/export/transfer.h"

/* ---- transfers -------------------------------------------------------------------------- */

static int set_up(void **state)
{
	if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, short_memory__malloc, free,
				 short_memory__realloc, short_memory__strdup, short_memory__calloc))
		return -1;
	return scene__set_up(state);
}

static int tear_down(void **state)
{
	int status = scene__tear_down(state);

	curl_global_cleanup();
	return status;
}

static void on_result(void *ctx, const struct transfer_result *result)
{
	enum transfer_end *end = ctx;

	*end = result->end;
	loop__stop(scene__loop());
}

static enum transfer_end post(struct transfer *t, enum transfer_end *end, uint32_t timeout_ms)
{
	static const struct slice text = { "\n\0", 2 }; /* resource_spans, one that is empty */
	struct body body = { .pieces = &text, .count = 1, .len = text.len };

	if (transfer__start(t, body, timeout_ms))
		return TRANSFER_NO_ANSWER;
	assert_int_equal(loop__run(scene__loop()), 0);
	return *end;
}

/* Whichever allocation fails, the next transfer has its answer. */
static void check_short_memory(struct answer answer, bool all)
{
	struct fake_collector collector;
	struct otlp_options options = { 0 };
	enum transfer_end end;
	struct transfer *t;
	char url[64];
	unsigned int spared = 0;

	fake_collector__open(&collector, scene__loop(), &answer, 1, true);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", collector.port);
	options.url = url;
	t = transfer__new(scene__loop(), &options, on_result, &end);
	assert_non_null(t);
	for (unsigned int number = 1; spared < 3; number++) {
		short_memory__begin(SHORT_LIBRARY, number, all);
		(void)post(t, &end, 1000);
		spared += !short_memory__end();
		if (post(t, &end, 5000) != TRANSFER_ANSWERED)
			fail_msg("no answer after allocation %u had failed", number);
	}
	transfer__free(t);
	fake_collector__close(&collector);
}

static void test_one_allocation_fails(void **state)
{
	check_short_memory((struct answer)OK_ANSWER, false);
}

static void test_one_allocation_fails_and_the_collector_closes(void **state)
{
	check_short_memory((struct answer){ ANSWER_CLOSE, SLICE(STATUS("200 OK")), { NULL, 0 } },
			   false);
}

static void test_memory_ends(void **state)
{
	check_short_memory((struct answer)OK_ANSWER, true);
}

static void test_memory_ends_and_the_collector_closes(void **state)
{
	check_short_memory((struct answer){ ANSWER_CLOSE, SLICE(STATUS("200 OK")), { NULL, 0 } },
			   true);
}

/* A request for each span, no memory for any, and no time for another try: one after the other. */
static void test_many_tries_in_vain(void **state)
{
	static const struct answer script[] = { SILENT };
	const size_t spans = 50000;
	struct scene s;

	scene__prepare(&s, script, COUNT(script), true);
	s.options.max_queue_size = (uint32_t)spans;
	s.options.max_export_batch_size = 1;
	s.options.export_timeout_ms = 1;
	scene__start(&s);
	for (size_t i = 0; i < spans; i++)
		scene__push_text(&s, SLICE("GET /"));
	short_memory__begin(SHORT_LIBRARY, 1, true);
	scene__settle(&s, 1);
	assert_true(short_memory__end());
	assert_int_equal(scene__counts(&s)->failed, spans);
	scene__close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_allocation_fails),
		cmocka_unit_test(test_one_allocation_fails_and_the_collector_closes),
		cmocka_unit_test(test_memory_ends),
		cmocka_unit_test(test_memory_ends_and_the_collector_closes),
		cmocka_unit_test(test_many_tries_in_vain),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
