/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a parser yields: one fragment of a request or of a response.
 * in:  bytes of one direction of a connection
 * out: fragments, which the pipeline joins to messages and pairs to transactions
 *
 * Most messages are one fragment (BEGIN and END set).  A message that is too long to be seen
 * at once (a chunked body, a result set) is a BEGIN fragment, any number without either, and
 * an END fragment.  The fields of all fragments of one message are merged.
 */
#ifndef SPANLOOM_MESSAGE_H
#define SPANLOOM_MESSAGE_H

#include "user/base/slice.h"

#define MESSAGE_FIELDS	16
#define MESSAGE_NUMBERS 6

/* Of the bytes, by the roles of the two sides: who sent the first request is the client. */
enum direction {
	TO_SERVER,
	TO_CLIENT,
};

enum message_type {
	MESSAGE_NONE, /* bytes that mean nothing to a transaction: greetings, pushes, padding */
	MESSAGE_REQUEST,
	MESSAGE_RESPONSE,
};

enum message_flag {
	MESSAGE_BEGIN = 1 << 0, /* first fragment of its message */
	MESSAGE_END = 1 << 1,	/* last fragment: ends after @skip more bytes */
	/* The request gives a span only when its response says MESSAGE_FAILED
	 * (e.g. a PREPARE without an execution). */
	MESSAGE_QUIET = 1 << 2,
	MESSAGE_FAILED = 1 << 3,      /* response: the operation failed */
	MESSAGE_ONEWAY = 1 << 4,      /* request that gets no response: no transaction */
	MESSAGE_UNTIL_CLOSE = 1 << 5, /* ends where its direction of the connection ends */
	MESSAGE_TRUNCATED = 1 << 6,   /* fields are cut: bytes were not captured */
	/* What follows in both directions, after this message, is another protocol
	 * (101 Switching Protocols, CONNECT, TLS after SSLRequest): stop reading. */
	MESSAGE_UNBIND = 1 << 7,
};

/* Strings remembered per connection across messages: prepared statements. */
enum memo_op {
	MEMO_NONE,
	MEMO_DEFINE, /* remember @value under @key */
	MEMO_ALIAS,  /* remember under @key what is remembered under the key @value */
	MEMO_FORGET, /* drop @key */
};

struct memo_edit {
	enum memo_op op;
	char space;	  /* separates kinds of keys, e.g. 's' statement, 'p' portal */
	char value_space; /* of @value, with MEMO_ALIAS */
	struct slice key;
	struct slice value;
};

struct message {
	enum message_type type;
	uint32_t flags; /* enum message_flag */
	/* Bytes that follow the consumed ones and belong to this fragment, but need not be read:
	 * the stream passes over them, captured or not. */
	uint64_t skip;
	/* Response: so many requests of the queue, after the one that this answers, get no
	 * response of their own because of it (PostgreSQL skips to Sync after an error). */
	uint32_t cancels;
	uint32_t
		append_mask; /* fields that are appended, joined by "; ", when a message has several */
	uint32_t add_mask;    /* numbers that are added up over the fragments, not replaced */
	uint32_t number_mask; /* numbers that this fragment knows */
	uint32_t field_mask;  /* fields that it knows, kept by message__set() */
	/* Requests of a connection that have the same number here say the same in all fields and
	 * numbers, and so do its responses; 0: not known. */
	uint32_t alike;
	int64_t number[MESSAGE_NUMBERS];
	struct memo_edit memo; /* applied first */
	/* Then, when recall_space is not 0: field[recall_field] = what is remembered under
	 * {recall_space, recall_key}; stays empty when nothing is. */
	char recall_space;
	uint8_t recall_field;
	struct slice recall_key;
	/* Meaning is the protocol's own (an enum in its .c file).  Slices point into the input or
	 * the parser's state and are valid until the next call of the parser. */
	struct slice field[MESSAGE_FIELDS];
};

struct conn;
struct transaction_sink;

/* Reads what can be read of one direction of a bound connection; fragments and their ends go
 * to transaction__fragment() and transaction__end(). */
void message__read(struct conn *conn, enum direction dir, const struct transaction_sink *sink);

/* Lets go of the bytes that wait for more of their message, and reads on behind them. */
void message__forget(struct conn *conn, enum direction dir, const struct transaction_sink *sink);
/* The traffic of both directions went on without us (DATA_RESUMED): what is unread or unanswered is
 * given up. */
void message__resume(struct conn *conn, const struct transaction_sink *sink);
/* The next bytes are at @pos: what passed before them meanwhile is no gap. */
void message__reach(struct conn *conn, enum direction dir, uint64_t pos);

/* A fragment that says nothing yet.  Its fields are nobody's before message__set(). */
static inline void message__init(struct message *m)
{
	memset(m, 0, offsetof(struct message, field));
}

static inline bool message__has(const struct message *m, unsigned int index)
{
	return m->field_mask >> index & 1;
}

static inline void message__set(struct message *m, unsigned int index, struct slice value)
{
	uint32_t bit = 1u << index;

	m->field[index] = value;
	m->field_mask = value.len ? m->field_mask | bit : m->field_mask & ~bit;
}

static inline void message__number(struct message *m, unsigned int index, int64_t value)
{
	m->number[index] = value;
	m->number_mask |= 1u << index;
}

/* To what @m has of that number; what is too large for it stays the largest there is. */
static inline void message__add(struct message *m, unsigned int index, int64_t value)
{
	if (__builtin_add_overflow(m->number[index], value, &m->number[index]))
		m->number[index] = INT64_MAX;
	m->number_mask |= 1u << index;
}

#endif
