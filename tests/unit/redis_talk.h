/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A conversation with the Redis parser: bytes in, a line for each message out.
 *
 *   "> OPERATION [TEXT]" a command, "< ok" or "< error 'CODE'" a reply, and what else is known
 */
#ifndef SPANLOOM_TESTS_REDIS_TALK_H
#define SPANLOOM_TESTS_REDIS_TALK_H

#include "user/protocols/redis.h"

#define TALK_LOG_BYTES	16384
#define TALK_TEXT_BYTES 8192
#define TALK_WHOLE	SIZE_MAX

/* What one side says; a conversation ends with a step without bytes. */
struct step {
	enum direction dir;
	const char *bytes;
	size_t len;
};

#define SAY(text)                                                                                  \
	{                                                                                          \
		TO_SERVER, text, sizeof(text) - 1                                                  \
	}
#define HEAR(text)                                                                                 \
	{                                                                                          \
		TO_CLIENT, text, sizeof(text) - 1                                                  \
	}
#define END                                                                                        \
	{                                                                                          \
		TO_SERVER, NULL, 0                                                                 \
	}

/* One direction: a message that is being joined. */
struct joined {
	uint64_t skip;
	uint32_t flags;
	bool open;
	char text[TALK_TEXT_BYTES];
	char operation[128], database[16], status[64], procedure[256];
	int64_t batch;
	bool has_batch, aborted;
};

struct talk {
	struct redis_state state;
	struct joined joined[2];
	char log[TALK_LOG_BYTES]; /* a line for each message that has ended */
	size_t log_len;
	char *page; /* what is parsed ends where the forbidden page begins */
	size_t page_bytes;
	bool cut;
};

void talk__open(struct talk *t);
void talk__close(struct talk *t);

/* Parses @bytes, standing before a page that may not be touched. */
ssize_t talk__parse(struct talk *t, enum direction dir, struct slice bytes, struct message *out);

/* Bytes that arrive; those of before that were not enough stand in front of them.  Returns how
 * many of them all are left over, or what the parser said. */
ssize_t talk__feed(struct talk *t, enum direction dir, struct slice bytes);

/* The whole conversation, each step in pieces of @piece bytes, or cut once, at @split. */
void talk__run(struct talk *t, const struct step *steps, size_t piece, size_t split);

/* The same messages whole, byte by byte and split at every place. */
void talk__expect(const struct step *steps, const char *log);

#endif
