// SPDX-License-Identifier: Apache-2.0
#include "user/flow/tracestate.h"

#define KEY_MAX	    256
#define VALUE_MAX   256
#define LONG_MEMBER 128 /* these go first when the list is too long */

struct members {
	size_t count;
	struct slice item[TRACESTATE_MEMBERS];
};

static bool is_key_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool key_is_valid(struct slice key)
{
	if (key.len == 0 || key.len > KEY_MAX || !is_key_start(key.data[0]))
		return false;
	for (size_t i = 1; i < key.len; i++)
		if (!is_key_start(key.data[i]) && !memchr("_-*/@", key.data[i], 5))
			return false;
	return true;
}

/* The end of the value is no space: members come trimmed. */
static bool value_is_valid(struct slice value)
{
	if (value.len == 0 || value.len > VALUE_MAX)
		return false;
	for (size_t i = 0; i < value.len; i++)
		if (value.data[i] < 0x20 || value.data[i] > 0x7e || value.data[i] == '=')
			return false;
	return true;
}

static struct slice key_of(struct slice member)
{
	return slice__head(member, slice__find(member, '='));
}

static bool has_key(const struct members *list, struct slice key)
{
	for (size_t i = 0; i < list->count; i++)
		if (slice__eq(key_of(list->item[i]), key))
			return true;
	return false;
}

static bool members__parse(struct members *list, struct slice in)
{
	size_t seen = 0;

	list->count = 0;
	while (in.len) {
		struct slice member = slice__head(in, slice__find(in, ','));
		struct slice key;

		in = slice__skip(in, member.len + 1);
		member = slice__trim(member);
		if (member.len == 0)
			continue;
		key = key_of(member);
		if (++seen > TRACESTATE_MEMBERS || !key_is_valid(key) ||
		    !value_is_valid(slice__skip(member, key.len + 1)))
			return false;
		if (!has_key(list, key))
			list->item[list->count++] = member;
	}
	return list->count > 0;
}

static size_t members__bytes(const struct members *list)
{
	size_t bytes = list->count ? list->count - 1 : 0;

	for (size_t i = 0; i < list->count; i++)
		bytes += list->item[i].len;
	return bytes;
}

/* Removes the right-most member of more than @over bytes; false when there is none. */
static bool members__drop(struct members *list, size_t over)
{
	for (size_t i = list->count; i-- > 0;) {
		if (list->item[i].len <= over)
			continue;
		list->count--;
		memmove(&list->item[i], &list->item[i + 1],
			(list->count - i) * sizeof(list->item[0]));
		return true;
	}
	return false;
}

struct slice tracestate__normalise(struct arena *a, struct slice in)
{
	struct members list;
	size_t bytes, at = 0;
	char *out;

	if (!members__parse(&list, in))
		return slice__of("", 0);
	while ((bytes = members__bytes(&list)) > TRACESTATE_MAX_BYTES)
		if (!members__drop(&list, LONG_MEMBER))
			members__drop(&list, 0);
	out = bytes ? arena__alloc(a, bytes) : NULL;
	if (!out)
		return slice__of("", 0);
	for (size_t i = 0; i < list.count; i++) {
		if (i)
			out[at++] = ',';
		memcpy(out + at, list.item[i].data, list.item[i].len);
		at += list.item[i].len;
	}
	return slice__of(out, at);
}
