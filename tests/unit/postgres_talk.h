/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A conversation with the PostgreSQL parser alone: what the pipeline would make of its
 * fragments, told in a line for each transaction that is done:
 *
 *   TEXT [rows=N] [commands=N] [status=CODE] [failed] [quiet] [cancelled] [truncated]
 *
 * "!" stands for a response without a request, "tls" for the end of the protocol.
 */
#ifndef SPANLOOM_TESTS_POSTGRES_TALK_H
#define SPANLOOM_TESTS_POSTGRES_TALK_H

#include "user/flow/memo.h"
#include "user/protocols/postgres.h"

#define PG_TALK_OPEN_MAX 512
#define PG_TALK_LOG_MAX	 (64 * 1024)

struct pg_talk_txn {
	char text[128];
	char status[8];
	int64_t rows, commands;
	uint32_t flags; /* of request and response */
	bool answered;
};

struct pg_talk {
	struct postgres_state *state;
	struct memo memo;
	struct pg_talk_txn open[PG_TALK_OPEN_MAX];
	size_t count;
	bool reading; /* the last of @open is not sent in full */
	bool orphan;
	uint64_t skip[2];
	char *held[2]; /* bytes not read yet: malloc'd, of exactly the length */
	size_t held_len[2];
	size_t step; /* bytes handed over at once; 0: all */
	char log[PG_TALK_LOG_MAX];
	size_t log_len;
};

void pg_talk__open(struct pg_talk *t);
void pg_talk__close(struct pg_talk *t);

/* Bytes of one direction; every call of the parser gets a buffer of its own. */
void pg_talk__say(struct pg_talk *t, enum direction dir, struct slice bytes);

/* One message: a tag, the length, the body. */
struct slice pg_message(char tag, struct slice body);
#define PG(tag, literal) pg_message(tag, SLICE(literal))

/* What a conversation is often made of. */
#define STARTUP	    "\0\0\0\x21\0\3\0\0user\0anna\0database\0shop\0\0"
#define SSL_REQUEST "\0\0\0\x08\x04\xd2\x16\x2f"
#define READY	    PG('Z', "I")
#define SYNC	    PG('S', "")
#define ERROR	    PG('E', "SERROR\0VERROR\0C23505\0Mduplicate key (secret)\0\0")
#define ROW	    PG('D', "\0\1\0\0\0\1x")
#define COLUMNS	    PG('T', "\0\1a\0\0\0\0\0\0\0\0\0\0\x19\0\0\xff\xff\xff\xff\0\0")
#define BIND	    PG('B', "\0\0\0\0\0\1\0\0\0\1x\0\0")
#define EXECUTE	    PG('E', "\0\0\0\0\0")

/* Whether the log is @expected; shows both when not. */
void pg_talk__expect(const struct pg_talk *t, const char *expected);

#endif
