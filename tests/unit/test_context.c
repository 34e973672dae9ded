// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bpf/event.h"
#include "user/flow/context.h"

#define OVER_MAX 4

static int begin(void **state)
{
	static struct context_table table;

	context_table__init(&table, OVER_MAX);
	*state = &table;
	return 0;
}

static int end(void **state)
{
	context_table__reset(*state);
	return 0;
}

static struct context *add(struct context_table *table, uint64_t conn_id, uint64_t parent)
{
	struct place place = { .conn_id = conn_id };
	struct context *c = context_table__add(table, place);

	assert_non_null(c);
	if (c->requests > 1)
		return c;
	memset(c->trace_id, (int)conn_id, sizeof(c->trace_id));
	memset(c->span_id, (int)conn_id, sizeof(c->span_id));
	c->sampled = true;
	c->link = REF_NONE;
	c->parent.conn_id = parent;
	c->parent_link = REF_THREAD;
	c->known = !parent;
	return c;
}

static void expect_child(const struct context *c, uint8_t trace, uint8_t parent)
{
	assert_int_equal(c->trace_id[15], trace);
	assert_int_equal(c->parent_id[7], parent);
	assert_int_equal(c->link, REF_THREAD);
}

/* The request of @c named a trace and a parent in it. */
static void carry(struct context *c, uint8_t name)
{
	memset(c->trace_id, name, sizeof(c->trace_id));
	memset(c->parent_id, name, sizeof(c->parent_id));
	memset(c->carried_id, name, sizeof(c->carried_id));
	c->carried = true;
	c->link = REF_HEADER;
}

static void expect_no_child(const struct context *c, uint8_t name)
{
	assert_true(c->known);
	assert_int_equal(c->trace_id[15], name);
	assert_int_equal(c->parent_id[7], name);
	assert_int_equal(c->link, REF_HEADER);
}

static void expect_root(const struct context *c)
{
	assert_true(c->known);
	assert_int_equal(c->trace_id[0], (int)c->place.conn_id);
	assert_int_equal(c->parent_id[0], 0);
	assert_int_equal(c->link, REF_NONE);
}

static void test_chain_has_one_trace(void **state)
{
	struct context_table *table = *state;
	struct context *a, *b, *c;

	c = add(table, 3, 2);
	assert_false(context_table__settle(table, c, false)); /* 2 has not come */
	b = add(table, 2, 1);
	assert_false(context_table__settle(table, c, false));
	a = add(table, 1, 0);
	context__set_state(a, SLICE("ot=th:8"));
	assert_true(context_table__settle(table, c, false));
	expect_child(c, 1, 2);
	expect_child(b, 1, 1);
	expect_root(a);
	assert_true(slice__eq(c->state, SLICE("ot=th:8")));
}

static void test_who_does_not_come_is_nobodys_parent(void **state)
{
	struct context_table *table = *state;
	struct context *b, *c;

	c = add(table, 3, 2);
	b = add(table, 2, 1);
	assert_true(context_table__settle(table, c, true));
	expect_root(b);
	expect_child(c, 2, 2);
	/* what is known stays, whoever comes late */
	add(table, 1, 0);
	assert_true(context_table__settle(table, b, false));
	expect_root(b);
}

static void test_several_and_hidden_are_nobodys_parent(void **state)
{
	struct context_table *table = *state;
	struct context *b, *c;

	add(table, 1, 0);
	add(table, 1, 0);
	b = add(table, 2, 1);
	assert_true(context_table__settle(table, b, false));
	expect_root(b);
	b->hidden = true;
	c = add(table, 3, 2);
	assert_true(context_table__settle(table, c, false));
	expect_root(c);
}

/* Who brings his trace along waits for his parent alone, and those below him do not. */
static void test_carried_trace_is_settled_before_its_parent(void **state)
{
	struct context_table *table = *state;
	struct context *b, *c;

	b = add(table, 2, 1);
	carry(b, 7);
	c = add(table, 3, 2);
	assert_true(context_table__settle(table, c, false));
	expect_child(c, 7, 2);
	assert_false(context_table__settle(table, b, false)); /* 1 has not come */
	assert_true(context_table__settle(table, b, true));
	expect_no_child(b, 7);
}

/* A request is the parent of what passes its own header on, and of nothing else with one. */
static void test_header_is_passed_on_or_not(void **state)
{
	struct context_table *table = *state;
	struct context *a, *b;

	a = add(table, 1, 0);
	carry(a, 7);
	b = add(table, 2, 1);
	carry(b, 7);
	assert_true(context_table__settle(table, b, false));
	expect_child(b, 7, 1);
	b = add(table, 3, 1);
	carry(b, 7);
	memset(b->carried_id, 8, sizeof(b->carried_id));
	assert_true(context_table__settle(table, b, false));
	expect_no_child(b, 7);
	b = add(table, 4, 1);
	carry(b, 8);
	assert_true(context_table__settle(table, b, false));
	expect_no_child(b, 8);
}

/* The message itself is the parent, in its own trace, when it is told of. */
static void test_peer_is_between(void **state)
{
	struct context_table *table = *state;
	struct context *a, *b;

	a = add(table, 1, 0);
	carry(a, 7);
	b = add(table, 2, 1);
	carry(b, 7);
	memset(b->carried_id, 8, sizeof(b->carried_id));
	b->parent_remote = true;
	assert_true(context_table__settle(table, b, false));
	expect_child(b, 7, 1);
	assert_true(b->remote);
	a->sampled = false;
	b = add(table, 3, 1);
	carry(b, 7);
	b->parent_remote = true;
	assert_true(context_table__settle(table, b, false));
	expect_no_child(b, 7);
}

/* Hostile or not, it ends. */
static void test_loop_ends(void **state)
{
	struct context_table *table = *state;
	struct context *a, *b;

	a = add(table, 1, 2);
	b = add(table, 2, 1);
	assert_true(context_table__settle(table, a, true));
	assert_true(context_table__settle(table, b, true));
	assert_true(a->known && b->known);
	assert_int_equal(a->trace_id[0], b->trace_id[0]);
}

static void test_oldest_that_are_over_are_forgotten(void **state)
{
	struct context_table *table = *state;
	struct place place = { .conn_id = 1 };

	add(table, 100, 0); /* not over */
	for (uint64_t id = 1; id <= OVER_MAX + 2; id++)
		context_table__release(table, add(table, id, 0));
	assert_null(context_table__find(table, place));
	place.conn_id = 3;
	assert_non_null(context_table__find(table, place));
	place.conn_id = 100;
	assert_non_null(context_table__find(table, place));
	assert_int_equal(table->over, OVER_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_chain_has_one_trace),
		TEST(test_who_does_not_come_is_nobodys_parent),
		TEST(test_several_and_hidden_are_nobodys_parent),
		TEST(test_carried_trace_is_settled_before_its_parent),
		TEST(test_header_is_passed_on_or_not),
		TEST(test_peer_is_between),
		TEST(test_loop_ends),
		TEST(test_oldest_that_are_over_are_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
