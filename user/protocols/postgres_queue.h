/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a PostgreSQL server still has to answer, in order.
 *
 * It must hold one request for each that the pipeline holds: that is how an answer finds its
 * request.  Equal neighbours share an entry, so a batch of any size takes one.
 */
#ifndef SPANLOOM_POSTGRES_QUEUE_H
#define SPANLOOM_POSTGRES_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#define POSTGRES_QUEUE_MAX 64 /* entries; a power of two */

enum answer_kind {
	ANSWER_NONE,
	/* Requests of the pipeline. */
	ANSWER_STARTUP,	     /* the login: ends at ReadyForQuery */
	ANSWER_QUERY,	     /* Query, FunctionCall: ends at ReadyForQuery */
	ANSWER_OPEN,	     /* Parse, Bind ...: its Execute was not seen yet; always the last */
	ANSWER_EXECUTE,	     /* ends where its command does */
	ANSWER_EXECUTE_LAST, /* Sync is behind it: ends at ReadyForQuery */
	ANSWER_PREPARE,	     /* no Execute: ends when each of its messages is acknowledged */
	ANSWER_PREPARE_LAST, /* Sync is behind it: ends at ReadyForQuery */
	/* None. */
	ANSWER_SYNC, /* a Sync that ends nothing: one ReadyForQuery */
	ANSWER_LOST, /* no room for requests: @count times all up to ReadyForQuery */
};

struct answer {
	uint8_t kind; /* enum answer_kind */
	uint8_t acks; /* ANSWER_OPEN and _PREPARE: messages that are acknowledged one by one */
	uint16_t count;
};

struct postgres_queue {
	unsigned int first, entries;
	bool full; /* the last entry is ANSWER_LOST and takes all that comes */
	struct answer ring[POSTGRES_QUEUE_MAX];
};

bool answer__is_request(enum answer_kind kind);
/* Does ReadyForQuery end it? */
bool answer__is_ready(enum answer_kind kind);

/* A zeroed queue is empty.  False: there is no room, and the answer will be passed over. */
bool postgres_queue__push(struct postgres_queue *q, enum answer_kind kind);
/* What comes next: ANSWER_NONE when nothing does. */
enum answer_kind postgres_queue__next(const struct postgres_queue *q);
/* One of the next ones is done with. */
void postgres_queue__pop(struct postgres_queue *q);
/* The next one, which was a request, leaves nothing but a ReadyForQuery. */
void postgres_queue__pop_to_sync(struct postgres_queue *q);
/* How many requests there are. */
unsigned int postgres_queue__requests(const struct postgres_queue *q);

/* The entry that was pushed last, or NULL; its count is 1 when it is ANSWER_OPEN. */
struct answer *postgres_queue__last(struct postgres_queue *q);
/* ANSWER_OPEN is over and becomes @kind. */
void postgres_queue__close(struct postgres_queue *q, enum answer_kind kind);
/* Sync was sent: what is the last now ends at ReadyForQuery. */
void postgres_queue__sync(struct postgres_queue *q);

#endif
