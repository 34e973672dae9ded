/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for objects of one size that come and go all the time and are too large for malloc()'s
 * own cache (1032 bytes in glibc): the ones that were given back last are kept for the next.
 */
#ifndef SPANLOOM_POOL_H
#define SPANLOOM_POOL_H

#include <stdlib.h>

/* Address sanitizers are to see each object's end. */
#ifdef __SANITIZE_ADDRESS__
#define POOL_KEPT 0
#else
#define POOL_KEPT 64
#endif

/* One for each type, {} at first. */
struct pool {
	void *kept; /* each begins with the address of the next */
	unsigned int count;
};

/* @size bytes, at least that of a pointer and always the same; not zeroed.  NULL: no memory. */
static inline void *pool__take(struct pool *p, size_t size)
{
	void *object = p->kept;

	if (!object)
		return malloc(size);
	p->kept = *(void **)object;
	p->count--;
	return object;
}

/* Takes what came of pool__take(). */
static inline void pool__give(struct pool *p, void *object)
{
	if (p->count == POOL_KEPT) {
		free(object);
		return;
	}
	*(void **)object = p->kept;
	p->kept = object;
	p->count++;
}

#endif
