// SPDX-License-Identifier: Apache-2.0
#include "user/flow/memo.h"

#include "user/base/hash.h"

#define KEY_MAX 256 /* PostgreSQL cuts names at 63 bytes */

struct memo_entry {
	UT_hash_handle hh;
	size_t bytes; /* of this entry, for the bound */
	size_t value_len;
	unsigned int key_len;
	char text[]; /* the space, the key, then the value */
};

static void memo__drop(struct memo *memo, struct memo_entry *entry)
{
	HASH_DEL(memo->entries, entry);
	memo->count--;
	memo->bytes -= entry->bytes;
	free(entry);
}

void memo__reset(struct memo *memo)
{
	struct memo_entry *entry, *next;

	HASH_ITER (hh, memo->entries, entry, next)
		memo__drop(memo, entry);
}

void memo__trim(struct memo *memo, size_t max_bytes)
{
	while (memo->entries && memo->bytes > max_bytes) {
		memo->evicted++;
		memo__drop(memo, memo->entries);
	}
}

static unsigned int memo__key(char *key, char space, struct slice name)
{
	name = slice__head(name, KEY_MAX - 1);
	key[0] = space;
	if (name.len)
		memcpy(key + 1, name.data, name.len);
	return (unsigned int)name.len + 1;
}

static struct memo_entry *memo__find(const struct memo *memo, char space, struct slice name)
{
	struct memo_entry *entry;
	unsigned int key_len;
	char key[KEY_MAX];

	key_len = memo__key(key, space, name);
	HASH_FIND(hh, memo->entries, key, key_len, entry);
	return entry;
}

static void memo__define(struct memo *memo, char space, struct slice name, struct slice value)
{
	struct memo_entry *entry;
	unsigned int key_len;
	char key[KEY_MAX];

	key_len = memo__key(key, space, name);
	value = slice__head(value, MEMO_VALUE_MAX);
	entry = malloc(sizeof(*entry) + key_len + value.len);
	if (!entry) {
		memo->evicted++;
		return;
	}
	memcpy(entry->text, key, key_len);
	if (value.len)
		memcpy(entry->text + key_len, value.data, value.len);
	entry->key_len = key_len;
	entry->value_len = value.len;
	entry->bytes = sizeof(*entry) + key_len + value.len;
	HASH_ADD_KEYPTR(hh, memo->entries, entry->text, entry->key_len, entry);
	if (!hash__has(&entry->hh)) {
		free(entry);
		memo->evicted++;
		return;
	}
	memo->count++;
	memo->bytes += entry->bytes;
	if (memo->count > MEMO_ENTRIES_MAX) {
		memo->evicted++;
		memo__drop(memo, memo->entries);
	}
	memo__trim(memo, MEMO_BYTES_MAX);
}

static struct slice memo_entry__value(const struct memo_entry *entry)
{
	return slice__of(entry->text + entry->key_len, entry->value_len);
}

/* Would @value make another one of it?  Not of the youngest, when it says the same. */
static bool memo_entry__changes(const struct memo_entry *entry, struct slice value)
{
	return entry->hh.next ||
	       !slice__eq(memo_entry__value(entry), slice__head(value, MEMO_VALUE_MAX));
}

void memo__edit(struct memo *memo, const struct memo_edit *edit)
{
	struct slice value = edit->value;
	struct memo_entry *old;

	if (edit->op == MEMO_NONE)
		return;
	old = memo__find(memo, edit->space, edit->key);
	if (edit->op == MEMO_ALIAS)
		value = memo__recall(memo, edit->value_space, edit->value);
	if (old && edit->op != MEMO_FORGET && !memo_entry__changes(old, value))
		return;
	/* The new entry is made before the old one goes: an alias may name itself. */
	if (old)
		HASH_DEL(memo->entries, old);
	if (edit->op != MEMO_FORGET)
		memo__define(memo, edit->space, edit->key, value);
	if (!old)
		return;
	memo->count--;
	memo->bytes -= old->bytes;
	free(old);
}

struct slice memo__recall(const struct memo *memo, char space, struct slice key)
{
	const struct memo_entry *entry = memo__find(memo, space, key);

	return entry ? memo_entry__value(entry) : slice__of("", 0);
}
