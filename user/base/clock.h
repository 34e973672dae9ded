/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system's clocks, in nanoseconds.
 */
#ifndef SPANLOOM_CLOCK_H
#define SPANLOOM_CLOCK_H

#include <stdint.h>
#include <time.h>

uint64_t clock__now_ns(clockid_t clock);

/* Add to CLOCK_MONOTONIC to get Unix time. */
int64_t clock__unix_offset_ns(void);

#endif
