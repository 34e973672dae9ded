// SPDX-License-Identifier: Apache-2.0
#include "user/flow/repeat.h"

#include "user/base/hash.h"
#include "user/flow/span.h"

struct kept_attributes {
	size_t bytes; /* of all this */
	size_t part_len[REPEAT_KEY_PARTS];
	size_t key_len;
	size_t name_len; /* 0: the name was not set */
	size_t encoded_len;
	size_t count;
	char text[]; /* the key, the name, the attributes */
};

static void repeat__forget(struct repeats *r, struct repeat *place)
{
	if (!place->kept)
		return;
	r->bytes -= place->kept->bytes;
	free(place->kept);
	place->kept = NULL;
}

void repeats__reset(struct repeats *r)
{
	repeat__forget(r, &r->peers);
	for (size_t i = 0; i < REPEAT_STATEMENTS; i++)
		repeat__forget(r, &r->statements[i]);
	memset(r, 0, sizeof(*r));
}

/* ---- the key ------------------------------------------------------------------------------ */

static uint64_t word_at(struct slice in, size_t at)
{
	uint64_t word;

	memcpy(&word, in.data + at, sizeof(word));
	return word;
}

/* Of three words of its first part, which is enough: the key itself is compared, too. */
static uint64_t key__hash(const struct repeat_key *key)
{
	struct slice in = key->part[0];
	uint64_t hash = in.len + 1 + key->part[1].len;

	if (in.len < sizeof(hash)) {
		for (size_t i = 0; i < in.len; i++)
			hash = hash__mix(hash, (unsigned char)in.data[i]);
		return hash;
	}
	hash = hash__mix(hash, word_at(in, 0));
	hash = hash__mix(hash, word_at(in, (in.len - sizeof(hash)) / 2));
	return hash__mix(hash, word_at(in, in.len - sizeof(hash)));
}

static bool key__is(const struct repeat_key *key, const struct kept_attributes *kept)
{
	const char *at = kept->text;

	for (size_t i = 0; i < REPEAT_KEY_PARTS; i++) {
		if (!slice__eq(key->part[i], slice__of(at, kept->part_len[i])))
			return false;
		at += kept->part_len[i];
	}
	return true;
}

/* ---- what follows from it ----------------------------------------------------------------- */

/* False: the span has no place for all of it, and gets nothing. */
static bool kept_attributes__add(const struct kept_attributes *kept, struct span *span)
{
	struct slice name = slice__of(kept->text + kept->key_len, kept->name_len);
	struct slice encoded = slice__of(name.data + name.len, kept->encoded_len);
	struct slice copy = arena__copy(&span->text, name);

	if (copy.len != name.len || span->attributes.count + kept->count > span->attribute_limit ||
	    !attributes__add_encoded(&span->attributes, encoded, kept->count))
		return false;
	if (name.len)
		span->name = copy;
	return true;
}

/* @hash: 0 while it is not known. */
static bool repeat__begin(struct repeat_turn *turn, struct repeat *place, uint64_t hash,
			  struct span *span)
{
	if (place->kept && key__is(turn->key, place->kept))
		return kept_attributes__add(place->kept, span);
	hash = hash ? hash : key__hash(turn->key);
	if (place->hash == hash && !turn->repeats->full) {
		turn->place = place;
		turn->start = attributes__encoded(&span->attributes).len;
		turn->count = span->attributes.count;
		turn->dropped = span->dropped_attributes;
		turn->named = span->name.len;
	}
	repeat__forget(turn->repeats, place);
	place->hash = hash;
	return false;
}

bool repeat__begin_peers(struct repeat_turn *turn, struct repeats *r, const struct repeat_key *key,
			 struct span *span)
{
	turn->place = NULL;
	turn->repeats = r;
	turn->key = key;
	return r && repeat__begin(turn, &r->peers, 0, span);
}

bool repeat__begin_statement(struct repeat_turn *turn, struct repeats *r,
			     const struct repeat_key *key, struct span *span)
{
	uint64_t hash = key__hash(key);

	turn->place = NULL;
	turn->repeats = r;
	turn->key = key;
	return r && repeat__begin(turn, &r->statements[hash % REPEAT_STATEMENTS], hash, span);
}

static char *put(char *to, struct slice part)
{
	if (part.len)
		memcpy(to, part.data, part.len);
	return to + part.len;
}

void repeat__keep(const struct repeat_turn *turn, const struct span *span)
{
	struct slice encoded = attributes__encoded(&span->attributes);
	struct slice name = slice__head(span->name, turn->named ? 0 : span->name.len);
	const struct slice *part = turn->key->part;
	struct kept_attributes *kept;
	size_t len, key_len = 0;
	char *to;

	/* limits that were met hold for this span, which may have had other attributes before; and
	 * so does want of memory */
	if (span->dropped_attributes != turn->dropped || span->text.failed)
		return;
	for (size_t i = 0; i < REPEAT_KEY_PARTS; i++)
		key_len += part[i].len;
	encoded = slice__skip(encoded, turn->start);
	len = key_len + name.len + encoded.len;
	if (len > REPEAT_BYTES_MAX)
		return;
	kept = malloc(sizeof(*kept) + len);
	if (!kept)
		return;
	*kept = (struct kept_attributes){
		.bytes = sizeof(*kept) + len,
		.key_len = key_len,
		.name_len = name.len,
		.encoded_len = encoded.len,
		.count = span->attributes.count - turn->count,
	};
	to = kept->text;
	for (size_t i = 0; i < REPEAT_KEY_PARTS; i++) {
		kept->part_len[i] = part[i].len;
		to = put(to, part[i]);
	}
	to = put(to, name);
	put(to, encoded);
	turn->place->kept = kept;
	turn->repeats->bytes += kept->bytes;
}
