/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the PostgreSQL parser: what they share.
 *
 * A transaction is a simple query with all of its statements, or one Execute with the Parse,
 * Bind and Describe before it.  Those without an Execute are a transaction only if they fail,
 * and so is the login.  A response ends with ReadyForQuery where the request is the last one
 * before it, else with the CommandComplete of its own.
 *
 * Text of statements is kept with the NUL that ends it: without one it was cut.
 * Not supported: CopyBoth (replication) beyond its start, which ends the transaction.
 */
#ifndef SPANLOOM_POSTGRES_H
#define SPANLOOM_POSTGRES_H

#include "bpf/classify/postgres.h"
#include "user/protocols/postgres_queue.h"
#include "user/protocols/protocol.h"

#define POSTGRES_TEXT_MAX (32 * 1024) /* bytes of a statement that are kept */
#define POSTGRES_DATABASE 64	      /* bytes of its name; the server keeps 63 */

enum postgres_request_field {
	POSTGRES_QUERY,	    /* text of the statements, with its NUL when it is whole */
	POSTGRES_NAMESPACE, /* name of the database */
};

enum postgres_response_field {
	POSTGRES_STATUS, /* SQLSTATE of the error */
};

enum postgres_response_number {
	POSTGRES_ROWS,	   /* that were returned, of all statements that return some */
	POSTGRES_COMMANDS, /* statements that were completed */
};

/* Spaces of what is remembered. */
#define POSTGRES_STATEMENT 's'
#define POSTGRES_PORTAL	   'p'

struct postgres_state {
	struct postgres_queue queue; /* what the server has to answer */
	bool tagged[2];		     /* by direction: messages with a tag were read */
	bool asked_tls;		     /* one byte comes that says whether TLS or GSSAPI follows */
	bool ready;		     /* the server has answered all that was sent */
	bool skipping;		     /* after an error: what is sent before Sync is not done */
	bool lost;		     /* requests behind the last of the queue were not seen */
	/* The request that is being sent in parts. */
	bool unit_open;
	bool unit_loose; /* it is not, or no longer, the last of the queue */
	/* The response that is being read. */
	bool begun;
	bool gap;	/* a part of it was lost */
	bool told;	/* ... but how its command ended was read behind that */
	bool several;	/* queries of this connection hold more than one command */
	bool was_idle;	/* nothing was to be answered when bytes were lost */
	bool described; /* the command returns rows */
	uint8_t acks;
	uint64_t rows; /* of the current command */
	uint8_t database_len;
	char database[POSTGRES_DATABASE];
};

/* A message with a tag. */
struct postgres_message {
	char tag;
	size_t total;	   /* bytes, tag included */
	struct slice body; /* as far as it is there */
};

/* The message at the head of @in, of @dir: 0, -EBADMSG when there can be none, or -EAGAIN when
 * its header is not there. */
int postgres__message(struct slice in, enum direction dir, struct postgres_message *out);

/* Messages that follow each other up to the end of some bytes. */
struct postgres_chain {
	unsigned int whole; /* how many are there from their first byte to their last */
	bool partial;	    /* one more goes on behind the end */
};

/* Whether @in is nothing but messages of @dir. */
bool postgres__chain(struct slice in, enum direction dir, struct postgres_chain *out);

/* Offset of the first such chain in @in that is no accident; in.len when there is none. */
size_t postgres__find_chain(struct slice in, enum direction dir);

/* Bytes of @message that are at the head of @in; what is missing of it becomes out->skip. */
size_t postgres__take(const struct postgres_message *message, struct slice in, struct message *out);

/* As parse of struct protocol, for one direction. */
ssize_t postgres__request(struct postgres_state *state, const struct parse_input *in,
			  struct message *out);
ssize_t postgres__response(struct postgres_state *state, const struct parse_input *in,
			   struct message *out);

/* As resync of struct protocol, for one direction. */
size_t postgres__resync_requests(struct postgres_state *state, struct slice in);
size_t postgres__resync_responses(struct postgres_state *state, struct slice in);

/* As describe of struct protocol. */
void postgres__describe(const struct transaction *txn, const struct flow_config *config,
			struct span *span);

#endif
