// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proto/otlp.pb-c.h"
#include "tests/unit/short_memory.h"
#include "user/export/batch.h"
#include "user/export/queue.h"
#include "user/flow/span.h"

#define MIB (1024 * 1024)

static int push(struct queue *q, uint64_t number, struct slice name)
{
	struct span *span = span__new();
	int err;

	assert_non_null(span);
	span->scope = "spanloom/http1";
	span->start_unix_ns = number;
	span->name = name;
	err = queue__push(q, span);
	span__free(span);
	return err;
}

static void fill(struct queue *q, uint64_t first, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_int_equal(push(q, first + i, SLICE("GET")), 0);
}

/* The next batch has these spans, in this order. */
static void expect_taken(struct queue *q, uint64_t first, size_t count)
{
	struct batch *batch = queue__take(q);
	struct body_cursor cursor = { 0 };
	const Otlp__ScopeSpans *scope;
	Otlp__Request *request;
	struct body body;
	char *bytes;

	assert_non_null(batch);
	assert_null(batch->next);
	assert_int_equal(batch->spans, count);
	assert_int_equal(batch__encode(batch, &body), 0);
	bytes = malloc(body.len);
	assert_non_null(bytes);
	assert_int_equal(body__read(&body, &cursor, bytes, body.len), body.len);
	request = otlp__request__unpack(NULL, body.len, (const uint8_t *)bytes);
	assert_non_null(request);
	scope = request->resource_spans[0]->scope_spans[0];
	assert_int_equal(scope->n_spans, count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(scope->spans[i]->start_time_unix_nano, first + i);
	otlp__request__free_unpacked(request, NULL);
	free(bytes);
	batch__free(batch);
}

static void test_oldest_first(void **state)
{
	struct queue q;

	queue__init(&q, 16, 3);
	assert_null(queue__take(&q));
	fill(&q, 1, 2);
	assert_false(queue__ready(&q));
	fill(&q, 3, 5);
	assert_int_equal(q.spans, 7);
	assert_true(queue__ready(&q));
	expect_taken(&q, 1, 3);
	assert_true(queue__ready(&q));
	expect_taken(&q, 4, 3);
	assert_false(queue__ready(&q));
	fill(&q, 8, 1);
	expect_taken(&q, 7, 2);
	assert_int_equal(q.spans, 0);
	assert_null(queue__take(&q));
	fill(&q, 9, 3); /* after it was empty */
	assert_true(queue__ready(&q));
	expect_taken(&q, 9, 3);
}

static void test_full_drops_the_newest(void **state)
{
	struct queue q;

	queue__init(&q, 3, 2);
	fill(&q, 1, 3);
	assert_int_equal(push(&q, 4, SLICE("GET")), -ENOBUFS);
	assert_int_equal(q.spans, 3);
	expect_taken(&q, 1, 2);
	fill(&q, 4, 2); /* there is room again */
	assert_int_equal(push(&q, 6, SLICE("GET")), -ENOBUFS);
	expect_taken(&q, 3, 2);
	expect_taken(&q, 5, 1);
}

static void test_large_ones(void **state)
{
	char *text = calloc(1, 65 * MIB);
	struct queue q;

	assert_non_null(text);
	queue__init(&q, 8, 8);
	assert_int_equal(push(&q, 1, slice__of(text, 65 * MIB)), -E2BIG);
	assert_int_equal(q.spans, 0);
	assert_false(queue__ready(&q));
	assert_null(queue__take(&q));
	assert_int_equal(push(&q, 1, slice__of(text, 33 * MIB)), 0);
	assert_false(queue__ready(&q));
	assert_int_equal(push(&q, 2, slice__of(text, 33 * MIB)), 0);
	assert_true(queue__ready(&q)); /* nothing more will fit */
	assert_int_equal(push(&q, 3, slice__of(text, 65 * MIB)), -E2BIG);
	expect_taken(&q, 1, 1);
	expect_taken(&q, 2, 1);
	assert_null(queue__take(&q));
	fill(&q, 3, 2); /* into the batch that was made for what did not fit */
	expect_taken(&q, 3, 2);
	queue__reset(&q);
	free(text);
}

static void test_reset_frees(void **state)
{
	struct queue q;

	queue__init(&q, 4, 3);
	fill(&q, 1, 4);
	queue__reset(&q); /* the leak check of the sanitizer sees what is left */
	assert_int_equal(q.spans, 0);
	fill(&q, 9, 1);
	expect_taken(&q, 9, 1);
}

/* Memory ends at any allocation of a push, for long; then the next one finds its room. */
static void test_memory_ends(void **state)
{
	char *text = calloc(1, MIB);
	bool failed = true;

	assert_non_null(text);
	for (unsigned int number = 1; failed; number++) {
		struct span *span = span__new();
		struct queue q;

		queue__init(&q, 16, 3);
		span->scope = "spanloom/http1";
		span->name = slice__of(text, MIB);
		for (int i = 0; i < 100 && failed; i++) {
			int err;

			short_memory__begin(SHORT_OWN, i ? 1 : number, true);
			err = queue__push(&q, span);
			failed = short_memory__end();
			assert_int_equal(err, failed ? -ENOMEM : 0);
		}
		span__free(span);
		if (failed) {
			fill(&q, 1, 2);
			expect_taken(&q, 1, 2);
		}
		queue__reset(&q);
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_oldest_first), cmocka_unit_test(test_full_drops_the_newest),
		cmocka_unit_test(test_large_ones),   cmocka_unit_test(test_reset_frees),
		cmocka_unit_test(test_memory_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
