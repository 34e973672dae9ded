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

struct protocol;

/* One end of a connection. */
struct endpoint {
	uint16_t family; /* AF_INET, AF_INET6, AF_UNIX; 0 when unknown */
	uint16_t port;	 /* host byte order; 0 for unix sockets */
	uint8_t addr[16];
	char path[EVENT_PATH_LEN]; /* AF_UNIX, NUL-terminated; "" when unknown */
};

enum transaction_flag {
	TXN_REQUEST_ENDED = 1 << 0,
	TXN_RESPONSE_BEGUN = 1 << 1,
	TXN_RESPONSE_ENDED = 1 << 2,
	TXN_INCOMPLETE = 1 << 3, /* touches bytes that were lost or not captured */
	TXN_QUIET = 1 << 4,	 /* span only when it failed */
	TXN_CANCELLED = 1 << 5,	 /* the server skipped it (MESSAGE cancels) */
};

struct transaction {
	const struct protocol *protocol;
	enum conn_role role;	       /* of the traced process: client or server of this call */
	const struct endpoint *server; /* the side that answers; borrowed from the connection */
	const struct endpoint *client;
	uint32_t tgid; /* of the traced process, when the request began */
	uint32_t tid;
	uint64_t conn_id;
	uint64_t request_pos; /* of the request's first byte in its stream: part of its identity */
	uint64_t start_ns; /* CLOCK_MONOTONIC: first byte of the request */
	uint64_t end_ns;   /* last byte of the response, or when it was known that none comes */
	uint32_t flags;	   /* enum transaction_flag */
	bool sampled;	   /* the kernel's decision, for a trace that starts here */
	/* error.type when the call ended without a whole response, e.g. "connection_reset",
	 * "timeout", "eof"; NULL when the response is whole.  A literal. */
	const char *failure;
	struct message request;	 /* merged; slices point into @text */
	struct message response; /* type MESSAGE_NONE when there was none */
	struct transaction *next; /* in the connection's queue */
	struct arena text;
};

#endif
