// SPDX-License-Identifier: Apache-2.0
#include "user/protocols/redis.h"

/* Slots that a MULTI, its queued commands, its EXEC and a plain command behind it may take. */
#define ROOM_NEEDED 4

int redis_pending__word(struct slice name)
{
	static const char *const words[] = { "subscribe",    "unsubscribe", "psubscribe",
					     "punsubscribe", "ssubscribe",  "sunsubscribe" };

	for (int i = 0; i < 6; i++) {
		if (slice__ieq(name, slice__str(words[i])))
			return i;
	}
	return -1;
}

static struct redis_pending *pending__slot(struct redis_state *s, unsigned int index)
{
	return &s->pending[(s->pending_first + index) % REDIS_PENDING];
}

bool redis_pending__has_room(const struct redis_state *s)
{
	return s->pending_count + ROOM_NEEDED <= REDIS_PENDING;
}

/* Kinds without a memory of their own are counted in one slot: a pipeline of any length fits.
 * Other kinds are pushed only after redis_pending__has_room(). */
static bool kind__counted(unsigned int kind)
{
	return kind == REDIS_NORMAL || kind == REDIS_QUEUED;
}

void redis_pending__push(struct redis_state *s, enum redis_kind kind, uint32_t count, uint8_t word,
			 uint32_t database)
{
	if (s->pending_count) {
		struct redis_pending *last = pending__slot(s, s->pending_count - 1u);

		if (last->kind == kind && kind__counted(kind) && last->count < UINT32_MAX) {
			last->count++;
			return;
		}
	}
	if (s->pending_count == REDIS_PENDING)
		return;
	*pending__slot(s, s->pending_count) = (struct redis_pending){
		.kind = (uint8_t)kind, .word = word, .count = count, .database = database
	};
	s->pending_count++;
}

struct redis_pending *redis_pending__oldest(struct redis_state *s)
{
	return s->pending_count ? pending__slot(s, 0) : NULL;
}

void redis_pending__pop(struct redis_state *s)
{
	struct redis_pending *oldest = redis_pending__oldest(s);

	if (!oldest)
		return;
	if (kind__counted(oldest->kind) && oldest->count > 1) {
		oldest->count--;
		return;
	}
	s->pending_first = (s->pending_first + 1u) % REDIS_PENDING;
	s->pending_count--;
}

void redis_pending__clear(struct redis_state *s)
{
	s->pending_count = 0;
	s->response_open = false;
}

void redis_pending__forget_databases(struct redis_state *s)
{
	for (unsigned int i = 0; i < s->pending_count; i++) {
		if (pending__slot(s, i)->database != REDIS_DATABASE_SAME)
			pending__slot(s, i)->database = 0;
	}
	redis_state__set_database(s, 0);
}

struct slice redis_pending__database(struct redis_state *s)
{
	for (unsigned int i = 0; i < s->pending_count; i++) {
		if (pending__slot(s, i)->database != REDIS_DATABASE_SAME)
			return slice__of(NULL, 0);
	}
	return slice__of(s->database, s->database_len);
}

void redis_state__set_database(struct redis_state *s, uint32_t database)
{
	if (database == REDIS_DATABASE_SAME)
		return;
	s->database_len = 0;
	if (database)
		s->database_len =
			(uint8_t)snprintf(s->database, sizeof(s->database), "%u", database - 1);
}
