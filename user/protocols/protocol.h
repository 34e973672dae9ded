/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A protocol: how its bytes are read and how its transactions are told as spans.
 *
 * Adding one is one line in bpf/protocols.def, one classifier in bpf/classify/, one parser here
 * and one folder in tests/protocols/.
 *
 * A parser is pure: no allocation, no clock, no log, no global that changes.  Every byte of
 * its input is hostile.
 */
#ifndef SPANLOOM_PROTOCOL_H
#define SPANLOOM_PROTOCOL_H

#include <errno.h>
#include <sys/types.h>

#include "bpf/event.h"
#include "user/flow/message.h"
#include "user/flow/transaction.h"

struct flow_config;
struct span;

struct parse_input {
	enum direction dir;
	struct slice bytes; /* never empty */
	/* What follows @bytes was not captured and never will be, or no more is to be waited
	 * for: a parser that can tell what the message is must say so now (MESSAGE_TRUNCATED,
	 * @skip for the part that is missing, as far as it is known). */
	bool cut;
	/* @bytes are the first of this direction, on a connection seen from its handshake on:
	 * what the protocol says of a new connection holds. */
	bool first;
};

struct protocol {
	enum proto_id id;
	const char *name;  /* as in protocols.def */
	const char *scope; /* "spanloom/" and the name */
	bool database;	   /* the server's side gives spans only with --db-server-spans */
	size_t state_size; /* bytes per connection, zeroed when the connection is bound; may be 0 */
	/* The incoming W3C trace context of a request: index into message.field of the value of
	 * traceparent (of the last one, when there were several) and of all tracestate lines,
	 * joined by ",".  0: this protocol carries none. */
	int8_t traceparent_field;
	int8_t tracestate_field;
	/* 1 + index into message.number of how many traceparent lines the request had; 0: this
	 * protocol does not count.  Only a count of exactly 1 is a valid context. */
	int8_t traceparent_count_number;
	/*
	 * Reads one fragment at the head of @in.  @out comes from message__init().
	 * > 0      bytes consumed; @out says what they were
	 * 0        more bytes are needed (never an answer to @in->cut when resync could not do
	 *          better: the pipeline then drops the bytes and calls resync)
	 * -EBADMSG the bytes are not this protocol, or this direction of it
	 * -EPROTO  the roles are the wrong way round: these bytes are of the other direction
	 */
	ssize_t (*parse)(void *state, const struct parse_input *in, struct message *out);
	/*
	 * Bytes of @dir are missing before @in, in the middle of what @state was reading; @in
	 * starts or ends where a message may.  Puts @state where it can go on and returns the
	 * offset of the next plausible start of a fragment, in.len when there is none (then it
	 * is called again with what comes next).  Must not invent: when in doubt, none.
	 */
	size_t (*resync)(void *state, enum direction dir, struct slice in);
	/* resync looks for a start in all of @in.  Else it may look at the beginning only, and is
	 * asked for each place where bytes begin that were moved at once. */
	bool resync_scans;
	/*
	 * Names the span and adds the attributes of this protocol, status included.  kind, times,
	 * ids, resource and the attributes of a broken call (txn->failure -> error.type) are the
	 * caller's.  Nothing that must be redacted may enter the span, not even for a moment.
	 */
	void (*describe)(const struct transaction *txn, const struct flow_config *config,
			 struct span *span);
	/* Whether the user wants no span for this transaction (--ignore-path); may be NULL. */
	bool (*ignored)(const struct transaction *txn, const struct flow_config *config);
	/* Whether the request, of which the head was read, carries traces to a collector (OTLP).  As
	 * a client's, only when that makes them itself, for all that can be seen.  May be NULL. */
	bool (*exports_traces)(const struct transaction *txn);
};

#define PROTOCOL(ID, name, depth) extern const struct protocol protocol_##name;
#include "bpf/protocols.def"
#undef PROTOCOL

/* The protocol of @id; NULL for PROTO_UNKNOWN and numbers out of range. */
const struct protocol *protocol__by_id(unsigned int id);

/* The largest depth * capture bytes: how much of one message may arrive. */
unsigned int protocol__depth(unsigned int id);

#endif
