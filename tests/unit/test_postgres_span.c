// SPDX-License-Identifier: Apache-2.0
/* PostgreSQL transactions as spans: what is kept of a connection, and for which of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "user/flow/config.h"
#include "user/flow/repeat.h"
#include "user/flow/span.h"
#include "user/protocols/protocol.h"
#include "user/protocols/postgres.h"

#define NOT_SAID -1

/* A cut text, of which @commands were completed: the size of the batch. */
static int64_t batch_size(struct repeats *r, int64_t commands)
{
	static const struct endpoint server = { 0 };
	static const struct flow_config config;
	struct transaction *txn = calloc(1, sizeof(*txn));
	struct span *span = span__new();
	struct attribute size;

	assert_non_null(txn);
	assert_non_null(span);
	txn->server = &server;
	txn->repeats = r;
	message__set(&txn->request, POSTGRES_QUERY, SLICE("INSERT INTO t VALUES (1), (2"));
	message__number(&txn->response, POSTGRES_COMMANDS, commands);
	postgres__describe(txn, &config, span);
	assert_true(slice__eq(span->name, SLICE("INSERT t")));
	size = span__find(span, "db.operation.batch.size");
	span__free(span);
	free(txn);
	return size.type == ATTRIBUTE_INT ? size.integer : NOT_SAID;
}

/* How many there were behind the cut, the response alone tells. */
static void test_batch_is_not_taken_for_one(void **state)
{
	struct repeats r = { 0 };

	for (int times = 0; times < 3; times++)
		assert_int_equal(batch_size(&r, 1), NOT_SAID);
	assert_int_not_equal(r.bytes, 0);
	assert_int_equal(batch_size(&r, 3), 3);
	assert_int_equal(batch_size(&r, 2), 2);
	assert_int_equal(batch_size(&r, 1), NOT_SAID);
	repeats__reset(&r);
}

static void test_one_is_not_taken_for_a_batch(void **state)
{
	struct repeats r = { 0 };

	for (int times = 0; times < 3; times++)
		assert_int_equal(batch_size(&r, 3), 3);
	assert_int_equal(batch_size(&r, 1), NOT_SAID);
	repeats__reset(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_batch_is_not_taken_for_one),
		cmocka_unit_test(test_one_is_not_taken_for_a_batch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
