/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a failed export is tried again: the statuses that allow it, and how long to wait.
 */
#ifndef SPANLOOM_RETRY_H
#define SPANLOOM_RETRY_H

#include <stdbool.h>
#include <stdint.h>

/* May a request that was answered with this HTTP status be sent again? */
bool retry__allowed(long status);

/* Exponential back-off with jitter: 1 s, then half as much again each time up to 30 s, each
 * varied by up to half in both directions. */
struct backoff {
	uint32_t next_ms;
};

void backoff__init(struct backoff *b);
/* The next wait; @random: any 32 random bits. */
uint32_t backoff__next_ms(struct backoff *b, uint32_t random);

#endif
