// SPDX-License-Identifier: Apache-2.0
#include "user/base/clock.h"

#define SECOND_NS 1000000000ULL

uint64_t clock__now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * SECOND_NS + (uint64_t)ts.tv_nsec;
}

/* The reading with the least time between the two calls is the best of three. */
int64_t clock__unix_offset_ns(void)
{
	uint64_t best = UINT64_MAX;
	int64_t offset = 0;

	for (int i = 0; i < 3; i++) {
		uint64_t before = clock__now_ns(CLOCK_MONOTONIC);
		uint64_t unix_ns = clock__now_ns(CLOCK_REALTIME);
		uint64_t after = clock__now_ns(CLOCK_MONOTONIC);

		if (after - before >= best)
			continue;
		best = after - before;
		offset = (int64_t)(unix_ns - (before + best / 2));
	}
	return offset;
}
