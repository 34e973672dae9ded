// SPDX-License-Identifier: Apache-2.0
#include "user/base/loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_PER_WAIT 64
#define SECOND_NS	1000000000ull

/*
 * One watched descriptor.  epoll reports the watch, not the number, and a watch that is taken
 * away while events are being delivered is kept until the delivery is over: an event that is
 * already in hand then finds it dead, even if the number has been closed and used again.
 */
struct watch {
	int fd;
	bool dead;
	loop_fd_fn fn;
	void *ctx;
	struct watch *next;
};

struct loop_timer {
	int fd;
	struct loop *loop;
	loop_timer_fn fn;
	void *ctx;
	struct loop_timer *next;
};

struct loop {
	int epoll_fd;
	bool stopping;
	bool delivering;
	struct watch *watches; /* few: a list is enough */
	struct watch *dead;
	struct loop_timer *timers;
};

static void free_watches(struct watch **list)
{
	while (*list) {
		struct watch *next = (*list)->next;

		free(*list);
		*list = next;
	}
}

struct loop *loop__new(void)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	int err;

	if (!loop)
		return NULL;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0) {
		err = errno;
		free(loop);
		errno = err;
		return NULL;
	}
	return loop;
}

void loop__free(struct loop *loop)
{
	if (!loop)
		return;
	while (loop->timers) {
		struct loop_timer *next = loop->timers->next;

		close(loop->timers->fd);
		free(loop->timers);
		loop->timers = next;
	}
	free_watches(&loop->watches);
	free_watches(&loop->dead);
	close(loop->epoll_fd);
	free(loop);
}

static struct watch **find_watch(struct loop *loop, int fd)
{
	struct watch **at = &loop->watches;

	while (*at && (*at)->fd != fd)
		at = &(*at)->next;
	return at;
}

static int watch__control(struct loop *loop, struct watch *watch, int op, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	return epoll_ctl(loop->epoll_fd, op, watch->fd, &event) ? -errno : 0;
}

int loop__watch(struct loop *loop, int fd, uint32_t events, loop_fd_fn fn, void *ctx)
{
	struct watch *watch = *find_watch(loop, fd);
	int err;

	if (watch) {
		err = watch__control(loop, watch, EPOLL_CTL_MOD, events);
		if (err)
			return err;
		watch->fn = fn;
		watch->ctx = ctx;
		return 0;
	}
	watch = calloc(1, sizeof(*watch));
	if (!watch)
		return -ENOMEM;
	*watch = (struct watch){ .fd = fd, .fn = fn, .ctx = ctx, .next = loop->watches };
	err = watch__control(loop, watch, EPOLL_CTL_ADD, events);
	if (err) {
		free(watch);
		return err;
	}
	loop->watches = watch;
	return 0;
}

void loop__unwatch(struct loop *loop, int fd)
{
	struct watch **at = find_watch(loop, fd);
	struct watch *watch = *at;

	if (!watch)
		return;
	*at = watch->next;
	/* An error says that the descriptor was closed first, which took it out of epoll. */
	(void)watch__control(loop, watch, EPOLL_CTL_DEL, 0);
	watch->dead = true;
	watch->next = loop->dead;
	loop->dead = watch;
	if (!loop->delivering)
		free_watches(&loop->dead);
}

static void on_timer(void *ctx, int fd, uint32_t events)
{
	struct loop_timer *timer = ctx;
	uint64_t times;

	/* Nothing to read: stopped or set anew by a callback that came before. */
	if (read(fd, &times, sizeof(times)) == sizeof(times))
		timer->fn(timer->ctx);
}

struct loop_timer *loop__timer(struct loop *loop, loop_timer_fn fn, void *ctx)
{
	struct loop_timer *timer = calloc(1, sizeof(*timer));
	int err;

	if (!timer)
		return NULL;
	*timer = (struct loop_timer){ .loop = loop, .fn = fn, .ctx = ctx, .next = loop->timers };
	timer->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (timer->fd < 0) {
		err = -errno;
		goto fail;
	}
	err = loop__watch(loop, timer->fd, EPOLLIN, on_timer, timer);
	if (err)
		goto fail;
	loop->timers = timer;
	return timer;

fail:
	if (timer->fd >= 0)
		close(timer->fd);
	free(timer);
	errno = -err;
	return NULL;
}

static struct timespec to_timespec(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / SECOND_NS),
				  .tv_nsec = (long)(ns % SECOND_NS) };
}

/* An expiry of zero would disarm the timer: one nanosecond stands for "at once". */
static void set_timer(struct loop_timer *timer, uint64_t delay_ns, uint64_t period_ns)
{
	struct itimerspec spec = { .it_value = to_timespec(delay_ns ? delay_ns : 1),
				   .it_interval = to_timespec(period_ns) };

	/* Cannot fail: the descriptor is a timer and both times are normalised. */
	(void)timerfd_settime(timer->fd, 0, &spec, NULL);
}

void loop_timer__after(struct loop_timer *timer, uint64_t delay_ns)
{
	set_timer(timer, delay_ns, 0);
}

void loop_timer__every(struct loop_timer *timer, uint64_t period_ns)
{
	uint64_t period = period_ns ? period_ns : 1;

	set_timer(timer, period, period);
}

void loop_timer__stop(struct loop_timer *timer)
{
	struct itimerspec spec = { 0 };

	(void)timerfd_settime(timer->fd, 0, &spec, NULL);
}

/* All of them, even after loop__stop(): edge-triggered events would not come again. */
static void deliver(struct loop *loop, const struct epoll_event *events, int count)
{
	loop->delivering = true;
	for (int i = 0; i < count; i++) {
		struct watch *watch = events[i].data.ptr;

		if (!watch->dead)
			watch->fn(watch->ctx, watch->fd, events[i].events);
	}
	loop->delivering = false;
	free_watches(&loop->dead);
}

int loop__run(struct loop *loop)
{
	struct epoll_event events[EVENTS_PER_WAIT];

	loop->stopping = false;
	while (!loop->stopping) {
		int count = epoll_wait(loop->epoll_fd, events, EVENTS_PER_WAIT, -1);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -errno;
		deliver(loop, events, count);
	}
	return 0;
}

void loop__stop(struct loop *loop)
{
	loop->stopping = true;
}
