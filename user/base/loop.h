/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one event loop: file descriptors and timers over epoll.  One thread, no locks.
 */
#ifndef SPANLOOM_LOOP_H
#define SPANLOOM_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;

/* @events: the EPOLL* bits that are ready. */
typedef void (*loop_fd_fn)(void *ctx, int fd, uint32_t events);
typedef void (*loop_timer_fn)(void *ctx);

struct loop_timer; /* owned by the loop */

/* NULL with errno set. */
struct loop *loop__new(void);
void loop__free(struct loop *loop);

/* Watch @fd for the EPOLL* bits of @events; a known fd is changed.  0 or a negative errno.
 * The fd stays the caller's, who calls loop__unwatch() before closing it. */
int loop__watch(struct loop *loop, int fd, uint32_t events, loop_fd_fn fn, void *ctx);
void loop__unwatch(struct loop *loop, int fd);

/* A timer that is not armed; lives until loop__free().  NULL with errno set. */
struct loop_timer *loop__timer(struct loop *loop, loop_timer_fn fn, void *ctx);
/* Fire once, @delay_ns from now (0: as soon as possible); replaces an earlier setting. */
void loop_timer__after(struct loop_timer *timer, uint64_t delay_ns);
/* Fire every @period_ns. */
void loop_timer__every(struct loop_timer *timer, uint64_t period_ns);
void loop_timer__stop(struct loop_timer *timer);

/* Runs until loop__stop(); may be run again.  0 or a negative errno. */
int loop__run(struct loop *loop);
void loop__stop(struct loop *loop);

#endif
