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
	repeat__forget(r, &r->whole);
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

/* Of what tells most apart, and is soon looked at: says where a key is looked for. */
static uint64_t key__glance(const struct repeat_key *key)
{
	struct slice first = key->part[0], second = key->part[1];
	uint64_t hash = first.len + 1 + second.len;

	if (second.len)
		hash += (unsigned char)second.data[0];
	if (first.len < sizeof(hash)) {
		for (size_t i = 0; i < first.len; i++)
			hash = hash__mix(hash, (unsigned char)first.data[i]);
		return hash;
	}
	hash = hash__mix(hash, word_at(first, 0));
	hash = hash__mix(hash, word_at(first, (first.len - sizeof(hash)) / 2));
	return hash__mix(hash, word_at(first, first.len - sizeof(hash)));
}

/* Of @glance and the whole first part, as many differ but in a number somewhere: says whether a key
 * came twice. */
static uint64_t key__hash(const struct repeat_key *key, uint64_t glance)
{
	struct slice first = slice__head(key->part[0], REPEAT_BYTES_MAX);
	uint64_t hash = glance;

	for (size_t at = 0; at + sizeof(hash) <= first.len; at += sizeof(hash))
		hash = hash__mix(hash, word_at(first, at));
	return hash;
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
static inline bool kept_attributes__add(const struct kept_attributes *kept, struct span *span)
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

/* The place is another key's. */
static void repeat__claim(struct repeat_turn *turn, struct repeat *place, uint64_t hash,
			  const struct span *span)
{
	if (place->hash == hash && !turn->repeats->full) {
		turn->place = place;
		turn->start = attributes__encoded(&span->attributes).len;
		turn->count = span->attributes.count;
		turn->dropped = span->dropped_attributes;
		turn->named = span->name.len;
	}
	repeat__forget(turn->repeats, place);
	place->hash = hash;
}

/* Apart: what it keeps in registers would be saved where it is not called, too.  @glance: 0 while it
 * is not known. */
static __attribute__((noinline)) void repeat__claim_key(struct repeat_turn *turn,
							struct repeat *place, uint64_t glance,
							const struct span *span)
{
	uint64_t hash = key__hash(turn->key, glance ? glance : key__glance(turn->key));

	repeat__claim(turn, place, hash, span);
}

static bool repeat__begin(struct repeat_turn *turn, struct repeat *place, uint64_t glance,
			  struct span *span)
{
	if (place->kept && key__is(turn->key, place->kept))
		return kept_attributes__add(place->kept, span);
	repeat__claim_key(turn, place, glance, span);
	return false;
}

bool repeat__begin_whole(struct repeat_turn *turn, struct repeats *r, uint64_t number,
			 struct span *span)
{
	static const struct repeat_key none;
	struct repeat *place = &r->whole;

	turn->place = NULL;
	turn->repeats = r;
	turn->key = &none; /* the number is all of it */
	if (place->kept && place->hash == number)
		return kept_attributes__add(place->kept, span);
	repeat__claim(turn, place, number, span);
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
	uint64_t glance = key__glance(key);

	turn->place = NULL;
	turn->repeats = r;
	turn->key = key;
	return r && repeat__begin(turn, &r->statements[glance % REPEAT_STATEMENTS], glance, span);
}

bool repeat__recall_statement(const struct repeats *r, const struct repeat_key *key,
			      struct span *span)
{
	const struct repeat *place =
		r ? &r->statements[key__glance(key) % REPEAT_STATEMENTS] : NULL;

	return place && place->kept && key__is(key, place->kept) &&
	       kept_attributes__add(place->kept, span);
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
