/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stage 2: a connection: its two ends, who is client and who is server, its protocol and its
 * two streams.
 * in:  event views
 * out: the connection that a record belongs to
 *
 * One socket of one process is one connection; both ends of a loopback connection are two.
 * The model: two ordered streams and one protocol at a time.  Datagrams are not supported.
 */
#ifndef SPANLOOM_FLOW_CONN_H
#define SPANLOOM_FLOW_CONN_H

#include "user/base/hash.h"
#include "user/flow/event.h"
#include "user/flow/memo.h"
#include "user/flow/message.h"
#include "user/flow/repeat.h"
#include "user/flow/stream.h"
#include "user/flow/transaction.h"

struct protocol;
struct quota;

/* How far one direction's messages have been read. */
struct reading {
	struct stream stream;
	uint64_t skip;	/* bytes of the current fragment still to be passed over */
	uint32_t flags; /* of that fragment: END and UNBIND are due when those have passed */
	enum message_type type;
	bool until_close; /* the current message ends with the stream */
	bool lost;	  /* a gap broke the reading: resync before the next fragment */
	bool resumed;	  /* what was not told of may lie before the next record, DATA_RESUMED */
	bool held;	  /* wait, since @held_ns: see DATA_SEND_PENDING */
	uint64_t held_ns;
	bool ended; /* its sender has ended the stream, in order */
};

/* Is there anything that a step may be taken along? */
static inline bool reading__ready(const struct reading *r)
{
	return (stream__left(&r->stream) || r->until_close) && !r->held;
}

struct conn {
	UT_hash_handle hh;
	uint64_t id;
	struct conn *newer, *older; /* by last activity */
	uint64_t last_ns;
	const struct protocol *protocol; /* NULL: not bound yet, or @ended */
	bool ended;			 /* given up: further records are swallowed */
	enum conn_role role;
	bool role_certain; /* known from the handshake */
	bool fresh;
	bool excluded; /* its process had no resource when it was announced */
	bool strong;   /* the first message could only be this protocol's */
	bool proven;   /* a response was read: it is this protocol */
	bool peer_eof; /* the peer will send no more */
	bool reset;
	bool resting;	/* quiet for long: nothing of it is in flight */
	bool serves;	/* its process has received a request on it, as emitter.h was told */
	bool uncertain; /* messages were lost: what the next responses answer is in doubt */
	bool pipelines; /* the client sends requests before it has all responses */
	bool apart;	/* its requests get no headers, but could: it can join */
	uint8_t losses; /* how often the kernel has lost its place in them, up to a bound */
	bool joining;	/* they will, if a request begins at @join_pos */
	uint64_t join_pos;
	bool orphan;	     /* the current response has no request */
	uint64_t orphans;    /* so many of the last responses, ... */
	uint64_t orphans_ns; /* ... begun up to then, found no request: it may still come */
	uint32_t cancels;    /* of the current response, see struct message */
	uint64_t astray;     /* responses to come before the queue's, of requests not followed */
	int32_t error;	     /* errno of the socket when it ended */
	unsigned int faults; /* parse errors, less what went well */
	unsigned int good;   /* fragments since the last fault */
	struct endpoint local;
	struct endpoint peer;
	char comm[EVENT_COMM_LEN];
	uint32_t tgid;
	uint32_t reader;	   /* the process that has last received something */
	uint64_t first_pos[2];	   /* of the streams, by enum event_dir */
	uint64_t turn_pos[2];	   /* where the last turn of each direction began, likewise */
	struct reading reading[2]; /* by enum direction */
	void *state;		   /* of the parser */
	struct memo memo;
	struct repeats repeats;
	struct transaction *oldest, *newest; /* queue of what is not finished */
	struct transaction *request;	     /* the one whose request is being read, or NULL */
	size_t open;			     /* length of the queue */
	size_t queue_bytes;		     /* of the transactions in it */
	size_t held_bytes;		     /* as conn__account() has told it last */
};

struct conn_table {
	struct conn *by_id;
	struct conn *oldest, *newest; /* by last activity */
	size_t count;
};

/* NULL: no memory.  The connection has no protocol yet. */
struct conn *conn_table__add(struct conn_table *table, const struct event_conn *event);
struct conn *conn_table__find(const struct conn_table *table, uint64_t id);
/* Frees the connection; its queue of transactions must be empty. */
void conn_table__remove(struct conn_table *table, struct conn *conn);
/* The connection had traffic at @now_ns: it becomes the newest. */
void conn_table__touch(struct conn_table *table, struct conn *conn, uint64_t now_ns);

/* Sets protocol, role and fresh parser state.  The streams begin the first time, and go on
 * when roles or protocol are corrected.  0 or -ENOMEM. */
int conn__bind(struct conn *conn, const struct protocol *protocol, enum conn_role role);
/* Gives up what the parser needs; the connection stays known. */
void conn__unbind(struct conn *conn);

/* It has been silent for long: what only saves work is given up. */
void conn__rest(struct conn *conn);

/* Tells @quota what its streams, its memo and what is kept of its spans take now: after all that may
 * have changed one of these, spans that were finished among it. */
void conn__account(struct conn *conn, struct quota *quota);

/* The direction by roles of bytes that this socket sent or received. */
static inline enum direction conn__direction(const struct conn *conn, enum event_dir dir)
{
	return (enum direction)((conn->role == ROLE_CLIENT) ^ (dir == DIR_SEND));
}

_Static_assert(TO_SERVER == 0 && TO_CLIENT == 1, "what a client sends");

const struct endpoint *conn__server(const struct conn *conn);
const struct endpoint *conn__client(const struct conn *conn);

/* Client or server: by the handshake, else by what @data, the first message, looks like. */
enum conn_role conn__role_of(const struct conn *conn, const struct event_data *data);

/* When the last byte that was read passed, in either direction. */
uint64_t conn__last_byte_ns(const struct conn *conn);

/* The error.type of a call whose connection ended before its response did; a literal. */
const char *conn__failure(const struct conn *conn);

/* The two ends of a connection, from a record. */
void endpoint__from_event(const struct event_conn *event, struct endpoint *local,
			  struct endpoint *peer);

#endif
