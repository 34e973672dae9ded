/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trace contexts by the place of their request: its connection and the position of its first
 * byte.  The kernel names a parent by its place; which trace that is may be known only later,
 * because records of two processes arrive in either order.
 *
 * A context is known once, and never changes then: it may have been sent on.
 */
#ifndef SPANLOOM_CONTEXT_H
#define SPANLOOM_CONTEXT_H

#include "user/base/hash.h"
#include "user/base/slice.h"

struct place {
	uint64_t conn_id;
	uint64_t pos;
};

struct context {
	UT_hash_handle hh;
	struct place place;
	struct context *next;  /* among those whose request is over, oldest first */
	unsigned int requests; /* that began at this place: of several, none is anybody's parent */
	bool over;	       /* no transaction holds it any more */
	bool known;	       /* what follows is settled; else it hangs on @parent's */
	bool carried;	       /* ... but for the parent: the request brought its trace along */
	bool hidden;	       /* its request gives no span: nobody's parent */
	bool sampled;
	bool remote;   /* the parent is another process's span */
	uint8_t flags; /* W3C: 0x01 sampled, 0x02 random */
	uint8_t trace_id[16];
	uint8_t span_id[8];
	uint8_t parent_id[8];  /* all zero: a root */
	uint8_t carried_id[8]; /* the parent that the request named */
	struct place parent;   /* conn_id 0: none */
	uint8_t link;	       /* enum ref_kind: how the parent is known, see trace__link() */
	uint8_t refusal;       /* enum refusal: why the kernel found none */
	uint8_t parent_link;   /* what @link becomes when @parent is found */
	bool parent_remote;    /* ... and it is the message itself, as its sender saw it */
	/* For edge.h, CLOCK_MONOTONIC: of its span when that has left; else of the server's that
	 * it caused, or 0. */
	uint64_t from_ns, to_ns;
	bool left;
	bool answered;	       /* the end is that of a whole response */
	bool rough_start;      /* the request may have been sent before */
	struct bearer *bearer; /* of the header that a server's request came with; or NULL */
	struct slice state;    /* tracestate, from the heap, owned */
};

struct context_table {
	struct context *by_place;
	struct bearer *bearers; /* see bearer.h */
	struct context *oldest_over, **newest_over;
	size_t over;
	size_t max_over; /* contexts of finished requests that are kept for late children */
};

/* Frees what @context owns, but not @context. */
void context__reset(struct context *context);
/* Takes a copy as its tracestate; without memory it has none. */
void context__set_state(struct context *context, struct slice state);

void context_table__init(struct context_table *table, size_t max_over);
void context_table__reset(struct context_table *table);

/* The context of a request that begins at @place: a new one that the caller fills in, or, for
 * a place that is taken, the one there, with requests > 1.  NULL: no memory. */
struct context *context_table__add(struct context_table *table, struct place place);
struct context *context_table__find(const struct context_table *table, struct place place);
/* The request is over: its context stays for a while. */
void context_table__release(struct context_table *table, struct context *context);

/*
 * Settles a context that hangs on others; @context need not be in the table.  @last: what is
 * not there now will not come: the context stays as it was made.  False: not yet known.
 */
bool context_table__settle(const struct context_table *table, struct context *context, bool last);

#endif
