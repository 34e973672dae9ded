/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strings that a connection remembers across messages: the text of prepared statements.
 * Bounded: the oldest are forgotten first.
 */
#ifndef SPANLOOM_MEMO_H
#define SPANLOOM_MEMO_H

#include "user/flow/message.h"

#define MEMO_ENTRIES_MAX 1024
#define MEMO_BYTES_MAX	 (512 * 1024)
#define MEMO_VALUE_MAX	 (64 * 1024) /* a longer value is cut */

struct memo_entry;

struct memo {
	struct memo_entry *entries; /* uthash, in order of definition */
	size_t count;
	size_t bytes;
	uint64_t evicted;
};

/* A zeroed memo is empty. */
void memo__reset(struct memo *memo);

/* Does what a parser asked for.  No memory: the edit is as if it had been evicted at once. */
void memo__edit(struct memo *memo, const struct memo_edit *edit);

/* Forgets the oldest until no more than @max_bytes are held. */
void memo__trim(struct memo *memo, size_t max_bytes);

/* What is remembered, valid until the next edit; len 0 when nothing is. */
struct slice memo__recall(const struct memo *memo, char space, struct slice key);

#endif
