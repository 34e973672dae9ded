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

struct copy__pair {
	uint64_t word[2];
};

#define COPY_BY(name, type)                                                                        \
	static inline void copy__by_##name(char *to, const char *from, size_t len)                 \
	{                                                                                          \
		type first, last;                                                                  \
                                                                                                   \
		memcpy(&first, from, sizeof(first));                                               \
		memcpy(&last, from + len - sizeof(last), sizeof(last));                            \
		memcpy(to, &first, sizeof(first));                                                 \
		memcpy(to + len - sizeof(last), &last, sizeof(last));                              \
	}

COPY_BY(2, uint16_t)
COPY_BY(4, uint32_t)
COPY_BY(8, uint64_t)
COPY_BY(16, struct copy__pair)
#undef COPY_BY

/* @len bytes that do not overlap; 0 is legal, whatever @from is. */
static inline void copy__bytes(void *to, const void *from, size_t len)
{
	if (len >= 8) {
		if (len > 32)
			memcpy(to, from, len);
		else if (len >= 16)
			copy__by_16(to, from, len);
		else
			copy__by_8(to, from, len);
	} else if (len >= 4) {
		copy__by_4(to, from, len);
	} else if (len >= 2) {
		copy__by_2(to, from, len);
	} else if (len) {
		*(char *)to = *(const char *)from;
	}
}

#endif
