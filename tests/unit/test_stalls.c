// SPDX-License-Identifier: Apache-2.0
/* Who leaves, who rests and when the kernel is examined, for sockets that stand still. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bpf/event.h"
#include "user/kernel/stalls.h"

#define SOCKETS 64
#define SLOW	100 /* tgid */
#define OTHER	200

/* A host: sockets that stand still are looked at until they leave. */
struct host {
	struct stalls stalls;
	struct inject_socket_state sockets[SOCKETS];
	size_t count;
	size_t left;	      /* in all */
	unsigned int rest;    /* seconds, of SLOW; 0: it does not rest */
	unsigned int rests;   /* how often it began to, ... */
	unsigned int wakes;   /* ... and ended */
	unsigned int strange; /* likewise, of others */
};

static void on_leave(void *ctx, uint64_t conn_id)
{
	struct host *h = ctx;

	for (size_t i = 0; i < h->count; i++) {
		if (h->sockets[i].conn_id != conn_id)
			continue;
		h->left++;
		h->sockets[i] = h->sockets[--h->count];
		return;
	}
}

static void on_rest(void *ctx, uint32_t tgid, unsigned int seconds)
{
	struct host *h = ctx;

	if (tgid != SLOW) {
		h->strange++;
		return;
	}
	h->rest = seconds;
	h->rests += seconds != 0;
	h->wakes += seconds == 0;
}

static int setup(void **state)
{
	struct host *h = calloc(1, sizeof(*h));
	struct stalls_callbacks callbacks = { .leave = on_leave, .rest = on_rest, .ctx = h };

	if (!h)
		return -1;
	stalls__init(&h->stalls, &callbacks);
	*state = h;
	return 0;
}

static int teardown(void **state)
{
	struct host *h = *state;

	stalls__reset(&h->stalls);
	free(h);
	return 0;
}

/* A socket that has answers unread. */
static struct inject_socket_state *host__connect(struct host *h, uint32_t tgid)
{
	static uint64_t ids;
	struct inject_socket_state *state;

	assert_true(h->count < SOCKETS);
	state = &h->sockets[h->count++];
	*state = (struct inject_socket_state){ .conn_id = ++ids, .tgid = tgid };
	state->unread[0] = 1000;
	state->unread[1] = 2000;
	return state;
}

static void host__connect_many(struct host *h, uint32_t tgid, int count)
{
	for (int i = 0; i < count; i++)
		host__connect(h, tgid);
}

/* As the kernel does it: of a process that rests all sockets are told. */
static bool host__look(struct host *h)
{
	struct inject_socket_state seen[SOCKETS];
	size_t count = h->count;

	for (size_t i = 0; i < count; i++) {
		seen[i] = h->sockets[i];
		seen[i].rests = h->rest && seen[i].tgid == SLOW;
	}
	return stalls__look(&h->stalls, seen, count);
}

/* Is the kernel to be examined after one of the looks? */
static bool host__wait(struct host *h, unsigned int seconds)
{
	bool examine = false;

	while (seconds--)
		examine |= host__look(h);
	return examine;
}

/* ---- sockets ---------------------------------------------------------------------------- */

static void test_a_socket_leaves_after_seconds(void **state)
{
	struct host *h = *state;

	host__connect(h, SLOW);
	host__wait(h, STALLS_SECONDS);
	assert_int_equal(h->left, 0);
	host__look(h);
	assert_int_equal(h->left, 1);
	assert_int_equal(h->rests, 0);
}

static void test_bytes_that_move_are_no_stall(void **state)
{
	struct host *h = *state;
	struct inject_socket_state *reads = host__connect(h, SLOW);
	struct inject_socket_state *sends = host__connect(h, SLOW);

	sends->unread[0] = sends->unread[1];
	sends->unsent[1] = 5000;
	for (int i = 0; i < 60; i++) {
		reads->unread[0]++;
		sends->unsent[0]++;
		host__look(h);
	}
	assert_int_equal(h->left, 0);
}

static void test_bytes_that_wait_now_and_then_are_no_stall(void **state)
{
	struct host *h = *state;

	host__connect(h, SLOW);
	for (int i = 0; i < 60; i++) {
		size_t count = h->count;

		h->count = i % STALLS_SECONDS ? count : 0;
		host__look(h);
		h->count = count;
	}
	assert_int_equal(h->left, 0);
}

static void test_bytes_that_are_not_acknowledged_are_a_stall(void **state)
{
	struct host *h = *state;
	struct inject_socket_state *sends = host__connect(h, SLOW);

	sends->unread[0] = sends->unread[1];
	sends->unsent[1] = 1;
	host__wait(h, STALLS_SECONDS + 1);
	assert_int_equal(h->left, 1);
}

/* ---- processes -------------------------------------------------------------------------- */

static void test_few_sockets_are_no_reason_to_rest(void **state)
{
	struct host *h = *state;

	for (int minute = 0; minute < 5; minute++) {
		host__connect_many(h, SLOW, STALLS_OF_PROCESS - 1);
		host__wait(h, 61);
	}
	assert_int_equal(h->left, 5 * (STALLS_OF_PROCESS - 1));
	assert_int_equal(h->rests, 0);
}

static void test_only_the_slow_process_rests(void **state)
{
	struct host *h = *state;

	host__connect_many(h, SLOW, STALLS_OF_PROCESS);
	host__connect_many(h, OTHER, STALLS_OF_PROCESS - 1);
	host__wait(h, STALLS_SECONDS + 1);
	assert_int_equal(h->rests, 1);
	assert_int_equal(h->rest, STALLS_REST_FIRST);
	assert_int_equal(h->strange, 0);
	host__connect_many(h, SLOW, 20); /* joined meanwhile, or do not stand still */
	host__look(h);
	assert_int_equal(h->count, 0);
	host__wait(h, STALLS_REST_FIRST - 2);
	assert_int_equal(h->wakes, 0);
	host__look(h);
	assert_int_equal(h->wakes, 1);
	assert_int_equal(h->rests, 1);
}

static void test_rests_grow(void **state)
{
	struct host *h = *state;
	unsigned int longest = STALLS_REST_FIRST;

	for (int i = 0; i < 12; i++) {
		host__connect_many(h, SLOW, STALLS_OF_PROCESS);
		host__wait(h, STALLS_SECONDS + 1);
		assert_int_equal(h->rest, longest);
		host__wait(h, h->rest);
		assert_int_equal(h->rest, 0);
		longest = 2 * longest < STALLS_REST_LAST ? 2 * longest : STALLS_REST_LAST;
	}
	assert_int_equal(h->rests, 12);
}

static void test_rests_are_forgotten(void **state)
{
	struct host *h = *state;

	for (int i = 0; i < 3; i++) {
		host__connect_many(h, SLOW, STALLS_OF_PROCESS);
		host__wait(h, STALLS_SECONDS + 1 + h->rest);
		host__wait(h, h->rest);
	}
	assert_int_equal(h->rests, 3);
	host__wait(h, 200); /* longer than the last rest and than a minute */
	assert_null(h->stalls.processes);
	host__connect_many(h, SLOW, STALLS_OF_PROCESS);
	host__wait(h, STALLS_SECONDS + 1);
	assert_int_equal(h->rest, STALLS_REST_FIRST);
}

static void test_processes_are_bounded(void **state)
{
	struct host *h = *state;

	for (uint32_t tgid = 1000; tgid < 1000 + 4 * STALLS_PROCESSES_MAX; tgid += 40) {
		for (uint32_t i = 0; i < 40; i++)
			host__connect(h, tgid + i);
		h->stalls.minute = h->stalls.look; /* only the looks of these count */
		host__wait(h, STALLS_SECONDS + 1);
	}
	assert_int_equal(h->count, 0);
	assert_true(h->stalls.process_count <= STALLS_PROCESSES_MAX);
}

/* ---- the host --------------------------------------------------------------------------- */

static void test_a_slow_program_does_not_end_it(void **state)
{
	struct host *h = *state;

	for (int minute = 0; minute < 100; minute++) {
		host__connect_many(h, SLOW, 40);
		for (int i = 0; i < 60; i++)
			if (host__look(h))
				assert_false(stalls__examined(&h->stalls, true));
	}
	assert_true(h->rests > 3);
}

static void test_the_kernel_is_examined_when_many_stand_still(void **state)
{
	struct host *h = *state;

	for (uint32_t tgid = 1; tgid < STALLS_OF_HOST; tgid++)
		host__connect(h, tgid);
	assert_false(host__wait(h, 10));
	host__connect(h, OTHER);
	assert_true(host__wait(h, 10));
}

static void test_it_ends_when_the_kernel_fails_again_and_again(void **state)
{
	struct host *h = *state;

	for (uint32_t tgid = 1; tgid <= STALLS_OF_HOST; tgid++)
		host__connect(h, tgid);
	assert_true(host__wait(h, 10));
	assert_false(stalls__examined(&h->stalls, false));
	assert_true(host__look(h)); /* at once again */
	assert_false(stalls__examined(&h->stalls, true));
	assert_false(host__look(h)); /* it was a whim */
	for (uint32_t tgid = 1; tgid <= STALLS_OF_HOST; tgid++)
		host__connect(h, tgid);
	assert_true(host__wait(h, 10));
	for (int i = 1; i < STALLS_EXAMINATIONS; i++) {
		assert_false(stalls__examined(&h->stalls, false));
		assert_true(host__look(h));
	}
	assert_true(stalls__examined(&h->stalls, false));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_socket_leaves_after_seconds),
		TEST(test_bytes_that_move_are_no_stall),
		TEST(test_bytes_that_wait_now_and_then_are_no_stall),
		TEST(test_bytes_that_are_not_acknowledged_are_a_stall),
		TEST(test_few_sockets_are_no_reason_to_rest),
		TEST(test_only_the_slow_process_rests),
		TEST(test_rests_grow),
		TEST(test_rests_are_forgotten),
		TEST(test_processes_are_bounded),
		TEST(test_a_slow_program_does_not_end_it),
		TEST(test_the_kernel_is_examined_when_many_stand_still),
		TEST(test_it_ends_when_the_kernel_fails_again_and_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
