/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memcpy() without a call for the few bytes that most strings of a span are: two moves, that
 * overlap where the length is odd.
 */
#ifndef SPANLOOM_COPY_H
#define SPANLOOM_COPY_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define COPY_BY(type)                                                                              \
	static inline void copy__by_##type(char *to, const char *from, size_t len)                 \
	{                                                                                          \
		type first, last;                                                                  \
                                                                                                   \
		memcpy(&first, from, sizeof(first));                                               \
		memcpy(&last, from + len - sizeof(last), sizeof(last));                            \
		memcpy(to, &first, sizeof(first));                                                 \
		memcpy(to + len - sizeof(last), &last, sizeof(last));                              \
	}

COPY_BY(uint16_t)
COPY_BY(uint32_t)
COPY_BY(uint64_t)
#undef COPY_BY

/* @len bytes that do not overlap; 0 is legal, whatever @from is. */
static inline void copy__bytes(void *to, const void *from, size_t len)
{
	if (len > 16)
		memcpy(to, from, len);
	else if (len >= 8)
		copy__by_uint64_t(to, from, len);
	else if (len >= 4)
		copy__by_uint32_t(to, from, len);
	else if (len >= 2)
		copy__by_uint16_t(to, from, len);
	else if (len)
		*(char *)to = *(const char *)from;
}

#endif
