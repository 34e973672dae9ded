// SPDX-License-Identifier: Apache-2.0
#include "user/export/retry.h"

/* Short at first: most collectors are on this host and come back within a restart. */
#define INITIAL_MS 1000
#define MAX_MS	   30000

bool retry__allowed(long status)
{
	switch (status) {
	case 429: /* Too Many Requests */
	case 502: /* Bad Gateway */
	case 503: /* Service Unavailable */
	case 504: /* Gateway Timeout */
		return true;
	default:
		return false;
	}
}

void backoff__init(struct backoff *b)
{
	b->next_ms = INITIAL_MS;
}

uint32_t backoff__next_ms(struct backoff *b, uint32_t random)
{
	uint32_t base_ms = b->next_ms;

	b->next_ms = base_ms + base_ms / 2 < MAX_MS ? base_ms + base_ms / 2 : MAX_MS;
	return base_ms / 2 + (uint32_t)((uint64_t)base_ms * random >> 32);
}
