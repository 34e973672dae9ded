/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the Redis parser share: RESP2, RESP3 and inline commands, as spoken by
 * Redis, Valkey, KeyDB and Dragonfly.
 *
 *   redis_request.c   bytes to the server -> arguments, one by one
 *   redis_text.c      arguments -> the command without its values
 *   redis_command.c   what is known of each command
 *   redis_pending.c   commands that wait for their reply, and the database they run in
 *   redis_reply.c     bytes to the client -> elements of a reply
 *   redis_response.c  replies -> responses of the commands that wait
 *   redis.c           the protocol: resync and the span
 *
 * Not supported: the replication stream after SYNC and PSYNC (the connection is given up).
 */
#ifndef SPANLOOM_PROTOCOLS_REDIS_H
#define SPANLOOM_PROTOCOLS_REDIS_H

#include "user/protocols/protocol.h"

#define REDIS_TEXT_BYTES       1024	   /* of one command, sanitised */
#define REDIS_MULTI_TEXT_BYTES 4096	   /* of all commands of a MULTI */
#define REDIS_NAME_BYTES       64	   /* of a command or subcommand */
#define REDIS_CODE_BYTES       32	   /* of an error's prefix */
#define REDIS_DEPTH	       32	   /* of nested aggregates in a reply */
#define REDIS_PENDING	       64	   /* runs of commands of one kind */
#define REDIS_ARGUMENT_BYTES   128	   /* so much of an argument is looked at */
#define REDIS_LAST_BYTES       128	   /* of a command that is kept */
#define REDIS_ANSWER_BYTES     16	   /* of a reply that is kept */
#define REDIS_WAIT_BYTES       4096	   /* a command is read at once when it is not longer */
#define REDIS_LENGTH_END       (1ll << 32) /* of a string */
#define REDIS_COUNT_END	       (1ll << 30) /* of an aggregate's elements */

enum redis_field {
	REDIS_OPERATION,
	REDIS_TEXT,
	REDIS_PROCEDURE,
	REDIS_NAMESPACE, /* request: as it was sent; response: when it was done */
	REDIS_STATUS,	 /* response: the error's prefix */
};

enum redis_number {
	REDIS_BATCH_SIZE, /* commands of a MULTI */
	REDIS_ABORTED,	  /* response: EXEC gave nil, a watched key had changed */
};

enum redis_kind {
	REDIS_NORMAL,
	REDIS_AUTH,
	REDIS_CLIENT,
	REDIS_SELECT,
	REDIS_HELLO,
	REDIS_RESET,
	REDIS_MONITOR,
	REDIS_SYNC,
	REDIS_SUBSCRIBE, /* and its five relatives: one confirmation per channel */
	REDIS_MULTI,
	REDIS_QUEUED, /* between MULTI and EXEC */
	REDIS_EXEC,   /* or DISCARD */
};

/* What is known of a command. */
struct redis_spec {
	const char *name; /* upper case */
	/*
	 * What becomes of the arguments that follow the name, a letter each:
	 *   k  kept: key, field, channel, index name     v  "?"
	 *   d  kept when it is a number                  o  kept when it is an option's word
	 *   n  a number, and so many keys follow         s  kept: subcommand, part of the name
	 *   p  kept: script digest or function           K  kept unless it is the last
	 *   S  up to STREAMS as o, then keys and as many ids
	 *   *  the letters behind it are repeated to the end
	 * What is not covered is "?".
	 */
	const char *arguments;
	enum redis_kind kind;
};

/* The argument at hand: @head is its beginning, at most REDIS_ARGUMENT_BYTES. */
struct redis_argument {
	struct slice head;
	uint64_t len;
};

/* The command that is being read; its text stands in struct redis_state. */
struct redis_command {
	const struct redis_spec *spec; /* NULL: not known */
	uint32_t left;		       /* arguments still to come */
	uint32_t count;		       /* arguments read */
	uint32_t keys_left;	       /* so many keys are next, whatever the rules say */
	uint32_t database;	       /* SELECT: index + 1; 0 unknown */
	uint16_t text_len;
	uint16_t name_len; /* the text begins with the operation's name */
	uint16_t procedure_at;
	uint16_t procedure_len;
	uint8_t rule;	 /* index into spec->arguments */
	uint8_t loop;	 /* where the rules go on when they end; 0: they do not */
	bool active;	 /* its head has been read */
	bool begun;	 /* a fragment of it was given */
	bool full;	 /* no more text */
	bool streams;	 /* STREAMS was seen */
	bool truncated;	 /* bytes of it are missing */
	char reply_mode; /* CLIENT REPLY: first letter of on, off, skip; or 0 */
	enum redis_kind kind;
};

/* The command before: who waits for the next job asks for it with the same bytes again.  These are
 * not read again, then: its text still stands in struct redis_state. */
struct redis_last {
	struct redis_command command; /* as it was read */
	uint16_t len;		      /* of @bytes; 0: there is none */
	char bytes[REDIS_LAST_BYTES];
};

#define REDIS_DATABASE_SAME UINT32_MAX

/* Commands of one kind that wait for their replies, in order. */
struct redis_pending {
	uint8_t kind; /* enum redis_kind */
	uint8_t word; /* SUBSCRIBE: which one, see redis_pending__word(); EXEC: 1 for RESET */
	/* Commands; SUBSCRIBE: confirmations to come, 0: until nothing is subscribed. */
	uint32_t count;
	/* The database after it has succeeded: index + 1, 0 unknown, or REDIS_DATABASE_SAME. */
	uint32_t database;
};

/* The reply that is being read. */
struct redis_reply {
	uint32_t attributes; /* bit per depth: these elements belong to an attribute */
	uint8_t depth;	     /* 0: between two replies */
	uint8_t code_len;
	char type;    /* first byte of the reply */
	bool in_line; /* the rest of a long line is passed over */
	bool begun;   /* a fragment of it was given */
	bool none;    /* push, monitor line, attribute: answers nothing */
	bool orphan;  /* no command waited for it */
	bool failed;
	bool nil;
	bool queued;	 /* it is +QUEUED */
	int8_t word;	 /* which confirmation of SUBSCRIBE it is; -1: none */
	uint8_t kind;	 /* of the command that it answers */
	int64_t integer; /* the last element of the outermost aggregate that was a number */
	char code[REDIS_CODE_BYTES];
	uint32_t left[REDIS_DEPTH]; /* elements still to come, by depth up to @depth */
};

/* Of one connection, for both directions. */
struct redis_state {
	struct redis_command command;
	struct redis_last last;
	const struct redis_spec
		*latest; /* of the command before; most are followed by their like */
	struct redis_reply reply;
	char answer[REDIS_ANSWER_BYTES];	     /* the bytes that @reply is of ... */
	uint8_t answer_len;			     /* 0: those are not kept */
	struct redis_pending pending[REDIS_PENDING]; /* ring */
	uint8_t pending_first;
	uint8_t pending_count;
	bool requests_seen;
	bool known_seen; /* a known command was seen: the roles are right */
	bool reply_off;
	bool skip_next;
	bool resp3;
	bool monitor;
	bool response_open;	/* begun, not ended: more replies belong to it */
	bool multi_refused;	/* MULTI was answered by an error, its commands run at once */
	bool multi;		/* between MULTI and EXEC, as sent */
	bool multi_mixed;	/* its commands differ */
	uint16_t multi_text;	/* bytes of text given for it */
	uint8_t multi_name_len; /* of "MULTI", or of "MULTI SET" when all were SET */
	uint8_t database_len;
	uint32_t multi_database; /* as struct redis_pending */
	uint32_t subscribed[3];	 /* channels, patterns, shard channels */
	char database[12];	 /* decimal; length 0: unknown */
	char multi_name[REDIS_NAME_BYTES];
	char text[REDIS_TEXT_BYTES];
};

/* redis_command.c */
/* NULL: not known.  @first is where it is looked first, or NULL. */
const struct redis_spec *redis_spec__find(struct slice name, const struct redis_spec *first);
const struct redis_spec *redis_spec__at(size_t index); /* NULL behind the last */
bool redis_option__known(struct slice word);

/* redis_text.c: adds the next argument of s->command; -EBADMSG when it cannot be one. */
int redis_text__add(struct redis_state *s, const struct redis_argument *argument);

/* redis_pending.c */
int redis_pending__word(struct slice name); /* 0..5, odd: it unsubscribes; -1: none */
void redis_pending__push(struct redis_state *s, enum redis_kind kind, uint32_t count, uint8_t word,
			 uint32_t database);
/* Room for a MULTI, its commands and its EXEC, or for another special kind. */
bool redis_pending__has_room(const struct redis_state *s);
struct redis_pending *redis_pending__oldest(struct redis_state *s); /* NULL: none */
void redis_pending__pop(struct redis_state *s);
void redis_pending__clear(struct redis_state *s);
/* Which database a SELECT gives is not certain any more. */
void redis_pending__forget_databases(struct redis_state *s);
/* The database that a command which is sent now will run in; empty: not known. */
struct slice redis_pending__database(struct redis_state *s);
void redis_state__set_database(struct redis_state *s, uint32_t database);

/* redis_request.c, redis_response.c: the two directions of struct protocol.parse. */
ssize_t redis_request__parse(struct redis_state *s, const struct parse_input *in,
			     struct message *out);
ssize_t redis_response__parse(struct redis_state *s, const struct parse_input *in,
			      struct message *out);
/* Is this the head of a known command as a client sends it?  1, 0: cannot tell yet, -1. */
int redis_request__is_head(struct slice in);

/* redis_reply.c */
/* "<type><number>\r\n": bytes of the line, 0: more are needed, -EBADMSG.  "?" gives
 * REDIS_STREAMED, a number below -1 is bad. */
#define REDIS_STREAMED INT64_MAX
ssize_t redis_line__number(struct slice in, int64_t *value);
/* May @rest be what follows the bytes of a string: "\r\n", or less of it? */
bool redis_string__ends(struct slice rest);
bool redis_reply__is_type(char byte);
void redis_reply__start(struct redis_reply *r, char type);
/* Reads elements up to the end of the reply (depth 0), of @in, or of what must not be read
 * (@skip bytes that follow).  Bytes read, 0: more are needed, -EBADMSG. */
ssize_t redis_reply__read(struct redis_reply *r, struct slice in, uint64_t *skip);
/* An error's text begins with @text: its prefix is remembered. */
void redis_reply__fail(struct redis_reply *r, struct slice text);

#endif
