// SPDX-License-Identifier: Apache-2.0
#include "user/base/pairs.h"

#include <errno.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* @in with each %XX replaced by its byte. */
static int decode(struct slice in, struct arena *a, struct slice *out)
{
	char *to = arena__alloc(a, in.len);
	size_t len = 0;

	if (!to)
		return -ENOMEM;
	for (size_t i = 0; i < in.len; i++) {
		int high, low;

		if (in.data[i] != '%') {
			to[len++] = in.data[i];
			continue;
		}
		if (in.len - i < 3)
			return -EINVAL;
		high = hex_digit(in.data[i + 1]);
		low = hex_digit(in.data[i + 2]);
		if (high < 0 || low < 0)
			return -EINVAL;
		to[len++] = (char)(high << 4 | low);
		i += 2;
	}
	*out = slice__of(to, len);
	return 0;
}

int pairs__next(struct slice *rest, struct arena *a, struct pair *out)
{
	struct slice member = slice__of(NULL, 0);
	size_t at;
	int err;

	while (rest->len && member.len == 0) {
		at = slice__find(*rest, ',');
		member = slice__trim(slice__head(*rest, at));
		*rest = slice__skip(*rest, at + 1);
	}
	if (member.len == 0)
		return 0;

	at = slice__find(member, '=');
	out->key = slice__trim(slice__head(member, at));
	out->value = slice__of(member.data, 0);
	if (at == member.len)
		out->key.len = 0; /* it may as well be a value */
	if (out->key.len == 0)
		return -EINVAL;
	err = decode(slice__trim(slice__skip(member, at + 1)), a, &out->value);
	if (!err)
		err = decode(out->key, a, &out->key);
	return err ? err : 1;
}
