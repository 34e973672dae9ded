// SPDX-License-Identifier: Apache-2.0
#include "user/flow/merge.h"

#include "user/base/arena.h"
#include "user/base/copy.h"
#include "user/flow/memo.h"
#include "user/flow/message.h"

#define SEPARATOR "; "

static struct slice field__append(struct slice old, struct slice more, struct arena *text)
{
	size_t gap = sizeof(SEPARATOR) - 1;
	char *out = arena__extend(text, old, gap + more.len);

	if (!out)
		return slice__of("", 0);
	memcpy(out + old.len, SEPARATOR, gap);
	memcpy(out + old.len + gap, more.data, more.len);
	return slice__of(out, old.len + gap + more.len);
}

/* Of a field that an earlier fragment has told of.  False: it found no room. */
static bool field__renew(struct slice *to, struct slice from, bool append, struct arena *text)
{
	struct slice field;

	if (!append && slice__eq(*to, from))
		return true; /* fragments repeat what they know */
	field = append ? field__append(*to, from, text) : arena__copy(text, from);
	if (field.len)
		*to = field;
	return field.len;
}

static size_t fields__bytes(const struct message *m)
{
	size_t bytes = 0;

	for (uint32_t left = m->field_mask; left; left &= left - 1)
		bytes += m->field[__builtin_ctz(left)].len;
	return bytes;
}

/* Of the first fragment.  False: there is no room for all of them. */
static bool message__copy_fields(struct message *to, const struct message *from, struct arena *text)
{
	char *at = arena__alloc(text, fields__bytes(from));

	if (!at)
		return false;
	for (uint32_t left = from->field_mask; left; left &= left - 1) {
		unsigned int i = (unsigned int)__builtin_ctz(left);
		struct slice field = from->field[i];

		copy__bytes(at, field.data, field.len);
		to->field[i] = slice__of(at, field.len);
		at += field.len;
	}
	return true;
}

/* False: a field found no room. */
static bool message__merge_fields(struct message *to, const struct message *from,
				  struct arena *text)
{
	bool whole = true;

	for (uint32_t left = from->field_mask; left; left &= left - 1) {
		unsigned int i = (unsigned int)__builtin_ctz(left);

		if (to->field[i].len) {
			whole &= field__renew(&to->field[i], from->field[i],
					      from->append_mask >> i & 1, text);
		} else {
			to->field[i] = arena__copy(text, from->field[i]);
			whole &= to->field[i].len > 0;
		}
	}
	return whole;
}

static void message__merge_numbers(struct message *to, const struct message *from)
{
	for (uint32_t left = from->number_mask; left; left &= left - 1) {
		unsigned int i = (unsigned int)__builtin_ctz(left);

		if (from->add_mask >> i & 1)
			message__add(to, i, from->number[i]);
		else
			message__number(to, i, from->number[i]);
	}
}

/* False: a field found no room. */
static bool message__add_fragment(struct message *to, const struct message *from,
				  struct arena *text)
{
	to->alike = 0;
	message__merge_numbers(to, from);
	return message__merge_fields(to, from, text);
}

/* Most messages are one fragment: there is nothing that it is to be joined with. */
static bool message__begin(struct message *to, const struct message *from, struct arena *text)
{
	if (!message__copy_fields(to, from, text))
		return message__add_fragment(to, from, text);
	memcpy(to->number, from->number, sizeof(to->number));
	to->number_mask = from->number_mask;
	to->alike = from->alike;
	return true;
}

/* What the connection remembers, where the fragment asks for it.  False: no room. */
static bool message__recall(struct message *to, const struct message *from, const struct memo *memo,
			    struct arena *text)
{
	struct slice value;

	if (!from->recall_space || from->recall_field >= MESSAGE_FIELDS)
		return true;
	value = memo__recall(memo, from->recall_space, from->recall_key);
	to->field[from->recall_field] = arena__copy(text, value);
	return to->field[from->recall_field].len == value.len;
}

bool message__merge(struct message *to, const struct message *from, const struct memo *memo,
		    struct arena *text)
{
	bool whole = to->type == MESSAGE_NONE ? message__begin(to, from, text)
					      : message__add_fragment(to, from, text);

	to->type = from->type;
	to->flags |= from->flags;
	whole &= message__recall(to, from, memo, text);
	return whole;
}
