// SPDX-License-Identifier: Apache-2.0
#include "user/export/wire.h"

#include <errno.h>

int wire__init(struct wire *w, size_t guess, size_t limit)
{
	*w = (struct wire){ .start = malloc(guess), .limit = limit };
	if (!w->start)
		return -ENOMEM;
	w->at = w->end = w->start + guess;
	return 0;
}

void wire__reset(struct wire *w)
{
	free(w->start);
	*w = (struct wire){ 0 };
}

/* From now on there is no room, for anything. */
static bool wire__fail(struct wire *w, int err)
{
	w->err = err;
	w->at = w->start;
	return false;
}

bool wire__grow(struct wire *w, size_t len)
{
	size_t used = (size_t)(w->end - w->at);
	size_t size = (size_t)(w->end - w->start);
	size_t max = w->limit + WIRE_HEAD_BYTES;
	uint8_t *start;

	if (w->err)
		return false;
	if (len > max || used > max - len)
		return wire__fail(w, -E2BIG);
	while (size < used + len)
		size *= 2;
	size = size < max ? size : max;
	start = malloc(size);
	if (!start)
		return wire__fail(w, -ENOMEM);
	memcpy(start + size - used, w->at, used);
	free(w->start);
	w->start = start;
	w->end = start + size;
	w->at = w->end - used;
	return true;
}

uint8_t *wire__put_long(uint8_t *at, uint64_t value)
{
	size_t bits = 64 - (size_t)__builtin_clzll(value);
	uint8_t *out;

	at -= (bits * 9 + 64) / 64; /* bits / 7, rounded up, of 1 to 64 */
	for (out = at; value >= 0x80; value >>= 7)
		*out++ = (uint8_t)(value | 0x80);
	*out = (uint8_t)value;
	return at;
}
