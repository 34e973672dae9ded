/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uthash, but for its exit() when memory is short: whoever adds asks whether that was done.  And
 * with a hash that takes a third of the instructions of its own, for keys of a few numbers.
 */
#ifndef SPANLOOM_HASH_H
#define SPANLOOM_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t hash__mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
	return hash ^ hash >> 32;
}

static inline unsigned int hash__bytes(const void *key, size_t len)
{
	const char *at = key;
	uint64_t hash = len, word;

	for (; len >= sizeof(word); len -= sizeof(word), at += sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		hash = hash__mix(hash, word);
	}
	if (len) {
		word = 0;
		memcpy(&word, at, len);
		hash = hash__mix(hash, word);
	}
	return (unsigned int)hash;
}

#define HASH_FUNCTION(key, len, hash) ((hash) = hash__bytes(key, len))
#define HASH_NONFATAL_OOM	      1
#include <uthash.h>

/* After HASH_ADD(): is the element with @hh in the table?  Not when there was no memory. */
static inline bool hash__has(const UT_hash_handle *hh)
{
	return hh->tbl;
}

#endif
