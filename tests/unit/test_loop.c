// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "user/base/loop.h"

#define MS 1000000ull

struct pipe_end {
	struct loop *loop;
	int fd[2];
	int calls;
	struct pipe_end *other;
	struct loop_timer *timer;
};

static void pipe_end__open(struct pipe_end *p, struct loop *loop)
{
	*p = (struct pipe_end){ .loop = loop };
	assert_int_equal(pipe(p->fd), 0);
	assert_int_equal(write(p->fd[1], "x", 1), 1);
}

static void pipe_end__close(struct pipe_end *p)
{
	close(p->fd[0]);
	close(p->fd[1]);
}

static void stop(void *ctx)
{
	loop__stop(ctx);
}

/* Runs the loop for a moment. */
static void run_for(struct loop *loop, uint64_t delay_ns)
{
	struct loop_timer *timer = loop__timer(loop, stop, loop);

	assert_non_null(timer);
	loop_timer__after(timer, delay_ns);
	assert_int_equal(loop__run(loop), 0);
	loop_timer__stop(timer);
}

static void read_byte(void *ctx, int fd, uint32_t events)
{
	struct pipe_end *p = ctx;
	char byte;

	assert_int_equal(fd, p->fd[0]);
	assert_true(events & EPOLLIN);
	assert_int_equal(read(fd, &byte, 1), 1);
	p->calls++;
}

static void a_ready_descriptor_is_reported(void **unused)
{
	struct loop *loop = loop__new();
	struct pipe_end p;

	pipe_end__open(&p, loop);
	assert_int_equal(loop__watch(loop, p.fd[0], EPOLLIN, read_byte, &p), 0);
	run_for(loop, 5 * MS);
	assert_int_equal(p.calls, 1);
	assert_int_equal(write(p.fd[1], "y", 1), 1);
	run_for(loop, 5 * MS);
	assert_int_equal(p.calls, 2);
	loop__unwatch(loop, p.fd[0]);
	assert_int_equal(write(p.fd[1], "z", 1), 1);
	run_for(loop, 5 * MS);
	assert_int_equal(p.calls, 2);
	pipe_end__close(&p);
	loop__free(loop);
}

static void count_only(void *ctx, int fd, uint32_t events)
{
	struct pipe_end *p = ctx;

	p->calls += 100;
	loop__unwatch(p->loop, fd);
}

static void a_known_descriptor_is_changed(void **unused)
{
	struct loop *loop = loop__new();
	struct pipe_end p;

	pipe_end__open(&p, loop);
	assert_int_equal(loop__watch(loop, p.fd[0], EPOLLIN, read_byte, &p), 0);
	assert_int_equal(loop__watch(loop, p.fd[0], 0, read_byte, &p), 0);
	run_for(loop, 5 * MS);
	assert_int_equal(p.calls, 0);
	assert_int_equal(loop__watch(loop, p.fd[0], EPOLLIN, count_only, &p), 0);
	run_for(loop, 5 * MS);
	assert_int_equal(p.calls, 100);
	pipe_end__close(&p);
	loop__free(loop);
}

static void errors_are_told(void **unused)
{
	struct loop *loop = loop__new();
	struct pipe_end p = { .loop = loop };

	assert_int_equal(loop__watch(loop, -1, EPOLLIN, read_byte, &p), -EBADF);
	loop__unwatch(loop, 12345);
	loop__free(loop);
	loop__free(NULL);
}

/* Both are ready; the first that is called removes and closes both. */
static void remove_both(void *ctx, int fd, uint32_t events)
{
	struct pipe_end *p = ctx;

	p->calls++;
	loop__unwatch(p->loop, p->fd[0]);
	loop__unwatch(p->loop, p->other->fd[0]);
	pipe_end__close(p);
	pipe_end__close(p->other);
}

static void a_callback_may_remove_itself_and_others(void **unused)
{
	struct loop *loop = loop__new();
	struct pipe_end a, b;

	pipe_end__open(&a, loop);
	pipe_end__open(&b, loop);
	a.other = &b;
	b.other = &a;
	assert_int_equal(loop__watch(loop, a.fd[0], EPOLLIN, remove_both, &a), 0);
	assert_int_equal(loop__watch(loop, b.fd[0], EPOLLIN, remove_both, &b), 0);
	run_for(loop, 5 * MS);
	assert_int_equal(a.calls + b.calls, 1);
	loop__free(loop);
}

/* Removes the other, and watches a new pipe that gets the same number. */
static void reuse_number(void *ctx, int fd, uint32_t events)
{
	struct pipe_end *p = ctx;
	struct pipe_end *other = p->other;
	int number = other->fd[0];

	p->calls++;
	loop__unwatch(p->loop, fd);
	loop__unwatch(p->loop, number);
	pipe_end__close(other);
	assert_int_equal(pipe(other->fd), 0);
	assert_int_equal(other->fd[0], number);
	assert_int_equal(loop__watch(p->loop, number, EPOLLIN, read_byte, other), 0);
}

static void an_event_does_not_reach_who_reuses_the_number(void **unused)
{
	struct loop *loop = loop__new();
	struct pipe_end a, b;

	pipe_end__open(&a, loop);
	pipe_end__open(&b, loop);
	a.other = &b;
	b.other = &a;
	assert_int_equal(loop__watch(loop, a.fd[0], EPOLLIN, reuse_number, &a), 0);
	assert_int_equal(loop__watch(loop, b.fd[0], EPOLLIN, reuse_number, &b), 0);
	run_for(loop, 5 * MS);
	assert_int_equal(a.calls + b.calls, 1);
	pipe_end__close(&a);
	pipe_end__close(&b);
	loop__free(loop);
}

struct ticks {
	struct loop *loop;
	struct loop_timer *timer;
	struct loop_timer *other;
	int calls;
	int stop_at;
};

static void tick(void *ctx)
{
	struct ticks *t = ctx;

	t->calls++;
	if (t->other)
		loop_timer__stop(t->other);
	if (t->calls == t->stop_at)
		loop__stop(t->loop);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static void a_periodic_timer_fires_again(void **unused)
{
	struct loop *loop = loop__new();
	struct ticks t = { .loop = loop, .stop_at = 3 };
	uint64_t start = now_ns();

	t.timer = loop__timer(loop, tick, &t);
	loop_timer__every(t.timer, 2 * MS);
	assert_int_equal(loop__run(loop), 0);
	assert_int_equal(t.calls, 3);
	assert_true(now_ns() - start >= 4 * MS);
	loop_timer__stop(t.timer);
	run_for(loop, 6 * MS);
	assert_int_equal(t.calls, 3);
	loop__free(loop);
}

static void a_single_timer_fires_once_even_at_once(void **unused)
{
	struct loop *loop = loop__new();
	struct ticks t = { .loop = loop };

	t.timer = loop__timer(loop, tick, &t);
	run_for(loop, 2 * MS);
	assert_int_equal(t.calls, 0);
	loop_timer__after(t.timer, 0);
	run_for(loop, 4 * MS);
	assert_int_equal(t.calls, 1);
	loop_timer__every(t.timer, 1 * MS);
	loop_timer__after(t.timer, 1000000 * MS);
	run_for(loop, 4 * MS);
	assert_int_equal(t.calls, 1);
	loop__free(loop);
}

/* Both are due in the same wait; the first that is called stops the other. */
static void a_timer_stopped_by_another_does_not_fire(void **unused)
{
	struct loop *loop = loop__new();
	struct ticks a = { .loop = loop }, b = { .loop = loop };

	a.timer = b.other = loop__timer(loop, tick, &a);
	b.timer = a.other = loop__timer(loop, tick, &b);
	loop_timer__after(a.timer, 0);
	loop_timer__after(b.timer, 0);
	usleep(1000);
	run_for(loop, 2 * MS);
	assert_int_equal(a.calls + b.calls, 1);
	loop__free(loop);
}

static void on_signal(int number)
{
}

static void a_signal_does_not_end_the_loop(void **unused)
{
	const struct itimerval often = { { 0, 1000 }, { 0, 1000 } };
	const struct itimerval never = { { 0, 0 }, { 0, 0 } };
	struct sigaction action = { .sa_handler = on_signal }, before;
	struct loop *loop = loop__new();
	uint64_t start = now_ns();

	assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
	run_for(loop, 10 * MS);
	assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
	sigaction(SIGALRM, &before, NULL);
	assert_true(now_ns() - start >= 10 * MS);
	loop__free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ready_descriptor_is_reported),
		cmocka_unit_test(a_known_descriptor_is_changed),
		cmocka_unit_test(errors_are_told),
		cmocka_unit_test(a_callback_may_remove_itself_and_others),
		cmocka_unit_test(an_event_does_not_reach_who_reuses_the_number),
		cmocka_unit_test(a_periodic_timer_fires_again),
		cmocka_unit_test(a_single_timer_fires_once_even_at_once),
		cmocka_unit_test(a_timer_stopped_by_another_does_not_fire),
		cmocka_unit_test(a_signal_does_not_end_the_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
