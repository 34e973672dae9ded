// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <curl/curl.h>
#include <stdlib.h>

#include "tests/unit/export_scene.h"
#include "user/base/loop.h"
#include "user/export/transfer.h"

/* ---- memory that libcurl does not get --------------------------------------------------- */

static struct {
	unsigned int done;
	unsigned int fail_at; /* the one of this number fails, 0: none ... */
	bool all;	      /* ... and each one after it */
	bool failed;
} allocations;

static bool allocation_fails(void)
{
	unsigned int number = ++allocations.done;
	unsigned int at = allocations.fail_at;

	if (!at || number < at || (number > at && !allocations.all))
		return false;
	allocations.failed = true;
	return true;
}

static void *short_malloc(size_t len)
{
	return allocation_fails() ? NULL : malloc(len);
}

static void *short_calloc(size_t count, size_t len)
{
	return allocation_fails() ? NULL : calloc(count, len);
}

static void *short_realloc(void *old, size_t len)
{
	return allocation_fails() ? NULL : realloc(old, len);
}

static char *short_strdup(const char *text)
{
	return allocation_fails() ? NULL : strdup(text);
}

static int set_up(void **state)
{
	if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, short_malloc, free, short_realloc,
				 short_strdup, short_calloc))
		return -1;
	return scene__set_up(state);
}

static int tear_down(void **state)
{
	int status = scene__tear_down(state);

	curl_global_cleanup();
	return status;
}

/* ---- transfers -------------------------------------------------------------------------- */

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
		allocations.done = 0;
		allocations.fail_at = number;
		allocations.all = all;
		allocations.failed = false;
		(void)post(t, &end, 1000);
		allocations.fail_at = 0;
		spared += !allocations.failed;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_allocation_fails),
		cmocka_unit_test(test_one_allocation_fails_and_the_collector_closes),
		cmocka_unit_test(test_memory_ends),
		cmocka_unit_test(test_memory_ends_and_the_collector_closes),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
