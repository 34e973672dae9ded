/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request with its response.
 * in:  fragments of both directions of one connection
 * out: transactions, complete or marked as not
 */
#ifndef SPANLOOM_TRANSACTION_H
#define SPANLOOM_TRANSACTION_H

#include "bpf/event.h"
#include "user/base/arena.h"
#include "user/flow/message.h"

struct context;
struct protocol;
struct repeats;

/* One end of a connection. */
struct endpoint {
	uint16_t family; /* AF_INET, AF_INET6, AF_UNIX; 0 when unknown */
	uint16_t port;	 /* host byte order; 0 for unix sockets */
	uint8_t addr[16];
	uint8_t text_len; /* of @text; 0: not written, see endpoint__write() */
	union {
		char path[EVENT_PATH_LEN]; /* AF_UNIX, NUL-terminated; "" when unknown */
		char text[EVENT_PATH_LEN]; /* others: @addr for people */
	};
};

enum transaction_flag {
	TXN_REQUEST_ENDED = 1 << 0,
	TXN_RESPONSE_BEGUN = 1 << 1,
	TXN_RESPONSE_ENDED = 1 << 2,
	TXN_INCOMPLETE = 1 << 3, /* touches bytes that were lost or not captured */
	TXN_QUIET = 1 << 4,	 /* span only when it failed */
	TXN_CANCELLED = 1 << 5,	 /* the server skipped it (MESSAGE cancels) */
	TXN_FAILED = 1 << 6,	 /* the response said so (MESSAGE_FAILED) */
	TXN_UNPAIRED = 1 << 7,	 /* which response is its own is not known: it gets none */
	TXN_LATE = 1 << 8,	 /* unpaired: its record came after that of its response */
	TXN_GAP = 1 << 9, /* bytes within its response are missing; harmless if its end is found */
	TXN_LEFT = 1 << 10,	 /* to the SDK of its process, which tells of it */
	TXN_UNSAMPLED = 1 << 11, /* the kernel knows its trace, which is not sampled */
};

struct transaction {
	const struct protocol *protocol;
	enum conn_role role;	       /* of the traced process: client or server of this call */
	const struct endpoint *server; /* the side that answers; borrowed from the connection */
	const struct endpoint *client;
	struct repeats *repeats; /* of the connection's spans; NULL while it is not finished */
	uint32_t tgid;		 /* of the traced process, when the request began */
	uint32_t tid;
	uint64_t conn_id;
	uint64_t request_pos; /* of the request's first byte in its stream: part of its identity */
	uint64_t start_ns;    /* CLOCK_MONOTONIC: first byte of the request */
	/* Last byte of the response, or when it was known that none comes; of the request while
	 * the response has not begun. */
	uint64_t end_ns;
	uint32_t flags;	      /* enum transaction_flag */
	uint64_t earliest_ns; /* no byte of the response can have come before */
	uint8_t ref;	      /* enum ref_kind: what caused this request begins at ... */
	uint64_t ref_conn;
	uint64_t ref_pos;
	uint64_t turn_pos; /* where the turn of the traffic began that this request came with */
	struct context *context; /* in the table of the emitter; or NULL */
	bool decided; /* the kernel has decided on sampling, for a trace that starts here */
	bool sampled; /* ... and this is its decision */
	/* error.type when the call ended without a whole response, e.g. "connection_reset",
	 * "eof"; NULL when the response is whole.  A literal. */
	const char *failure;
	struct message request;	  /* merged; slices point into @text */
	struct message response;  /* type MESSAGE_NONE when there was none */
	struct transaction *next; /* in the connection's queue */
	uint64_t unfollowed;	  /* requests that came between this one and @next */
	struct arena text;
};

struct conn;
struct intake;
struct ledger;
struct quota;
struct segment;

/* What the stage hands on. */
struct transaction_sink {
	struct ledger *ledger;
	struct quota *quota;
	size_t *in_flight; /* transactions in all queues */
	size_t max_in_flight;
	struct intake *intake; /* requests that are not followed */
	/* Takes @txn, which is not to be told of. */
	void (*drop)(void *ctx, struct transaction *txn);
	/* The head of a request was read; its fields are there. */
	void (*begun)(void *ctx, struct conn *conn, struct transaction *txn);
	/* Takes @txn, which has left the connection's queue. */
	void (*finish)(void *ctx, struct conn *conn, struct transaction *txn);
	/* Binds @conn anew, see conn__bind().  False: it cannot or must not be; it has ended. */
	bool (*bind)(void *ctx, struct conn *conn, const struct protocol *protocol,
		     enum conn_role role);
	/* The connection is this protocol no more; @conn has ended when it returns. */
	void (*unbind)(void *ctx, struct conn *conn);
	void *ctx;
};

void transaction__free(struct transaction *txn);

/* A fragment was read: @at is the segment of its first byte, @pos that byte's position. */
void transaction__fragment(struct conn *conn, const struct message *fragment,
			   const struct segment *at, uint64_t pos,
			   const struct transaction_sink *sink);

/* The last byte of a message with MESSAGE_END has passed, at @end_ns. */
void transaction__end(struct conn *conn, enum message_type type, uint64_t end_ns,
		      const struct transaction_sink *sink);

/* Bytes of @dir are missing: what they touch is marked. */
void transaction__gap(struct conn *conn, enum direction dir, const struct transaction_sink *sink);

/*
 * No more responses will come: finishes the whole queue at @end_ns.  @failure is the error.type
 * of those (a literal), or NULL: they are not known to have failed, only incomplete.
 */
void transaction__finish_all(struct conn *conn, const char *failure, uint64_t end_ns,
			     const struct transaction_sink *sink);

/* Gives up what has waited longer than @timeout_ns for a response that has not begun: it is
 * incomplete.  A response that comes later is passed over.  False: there was nothing. */
bool transaction__give_up(struct conn *conn, uint64_t timeout_ns, uint64_t now_ns,
			  const struct transaction_sink *sink);

/* Gives up all that waits, at @end_ns; the connection goes on.  Responses that come later, and
 * the rest of the one under way, are passed over. */
void transaction__give_up_all(struct conn *conn, uint64_t end_ns,
			      const struct transaction_sink *sink);

/* The queue was not of this protocol after all: drops it, counted. */
void transaction__abandon_all(struct conn *conn, const struct transaction_sink *sink);

#endif
