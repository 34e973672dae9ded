/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What became of everything that was seen (promise P3).  Counts only rise.
 *
 * The sums that must agree, at any moment between two calls of the pipeline:
 *   RECORDS  = RECORDS_CONN + RECORDS_DATA + RECORDS_CLOSE + RECORDS_PROCESS
 *              + RECORDS_CONTEXT + RECORDS_MALFORMED
 *   REQUESTS = SPANS + QUIET + IGNORED + EXCLUDED + SDK + SAMPLED_OUT
 *              + SPANS_NO_MEMORY + REQUESTS_REFUSED + REQUESTS_ABANDONED + in flight
 *   ROOTS    = ROOT_REQUEST + PARENT_GONE + ... + ROOT_CHILD
 *   BYTES    = BYTES_PARSED + BYTES_GAP + BYTES_DROPPED + still held
 * and of each exporter:
 *   SPANS    = exported + each reason of loss + still queued
 */
#ifndef SPANLOOM_LEDGER_H
#define SPANLOOM_LEDGER_H

#include <stdint.h>

enum ledger_entry {
	/* kernel records */
	LEDGER_RECORDS,
	LEDGER_RECORDS_CONN,
	LEDGER_RECORDS_DATA,
	LEDGER_RECORDS_CLOSE,
	LEDGER_RECORDS_PROCESS,
	LEDGER_RECORDS_CONTEXT,	  /* of header injection: contexts sent, connections that left */
	LEDGER_RECORDS_MALFORMED, /* too short, or with a type or value that there is not */
	LEDGER_RECORDS_NO_CONN,	  /* data or close of a connection that we do not hold */
	/* connections */
	LEDGER_CONNECTIONS,
	LEDGER_CONNECTIONS_EVICTED, /* to keep the bound; their open requests are incomplete */
	LEDGER_CONNECTIONS_IDLE, /* quiet for the idle timeout: their open requests are incomplete */
	LEDGER_CONNECTIONS_UNBOUND, /* the parser failed repeatedly, or another protocol follows */
	LEDGER_CONNECTIONS_DB_SERVER, /* the server's side of a database, see --db-server-spans */
	LEDGER_CONNECTIONS_NO_MEMORY,
	/* bytes, both directions */
	LEDGER_BYTES,	      /* seen by the kernel on connections that we hold */
	LEDGER_BYTES_PARSED,  /* given to a parser, or passed over as a message's body */
	LEDGER_BYTES_GAP,     /* of these not captured, or lost, where a parser needed them */
	LEDGER_BYTES_DROPPED, /* of no use: before the first message, not parsed, unbound */
	/* messages */
	LEDGER_PARSE_ERRORS,
	LEDGER_RESYNCS,		    /* a parser found its way after a gap */
	LEDGER_RESPONSES_UNMATCHED, /* their request was not seen, not followed or given up */
	LEDGER_REQUESTS, /* requests begun, failed connects too; each ends as one of the next */
	LEDGER_SPANS,	 /* spans handed to the exporters */
	LEDGER_QUIET,	 /* no span by design: a PREPARE that succeeded, ... */
	LEDGER_IGNORED,	 /* --ignore-path, and the export of telemetry itself */
	LEDGER_EXCLUDED, /* not among the programs to trace (--exe, --exclude-exe) */
	LEDGER_SDK,	 /* of a process that makes spans itself (--sdk adopt) */
	LEDGER_SAMPLED_OUT,
	LEDGER_SPANS_NO_MEMORY,
	LEDGER_REQUESTS_REFUSED, /* not followed: too many are in flight, or too much is held */
	LEDGER_REQUESTS_ABANDONED, /* unfinished when their connection turned out to be no such protocol */
	/* marks on spans, not losses */
	LEDGER_INCOMPLETE, /* spans with spanloom.incomplete */
	LEDGER_BROKEN,	   /* spans of calls that ended without a whole response */
	LEDGER_CONNECT_FAILED,
	LEDGER_ROOTS,	      /* spans with spanloom.link=none; each is one of the next */
	LEDGER_ROOT_REQUEST,  /* of a server: nobody on this host has sent it, nor named a parent */
	LEDGER_PARENT_GONE,   /* what the kernel saw cause it gives no span here */
	LEDGER_ROOT_IDLE,     /* a call of a program that was not seen to serve anybody */
	LEDGER_ROOT_APART,    /* by what no request of its process is known to use: a thread, say */
	LEDGER_ROOT_SEVERAL,  /* who calls serves, or has served, several at once */
	LEDGER_ROOT_BEHIND,   /* who calls serves none any more: that has its response */
	LEDGER_ROOT_UNSEEN,   /* an event loop that may serve others, which nobody here can read */
	LEDGER_ROOT_RESTLESS, /* an event loop that was not silent for long enough before */
	LEDGER_ROOT_CHILD, /* a process that a request has started, and that may have other jobs */
	/* calls with a request's header that are not taken to be of that request: */
	LEDGER_LINKS_UNSEEN,  /* another one that nobody here read may have had it, too */
	LEDGER_LINKS_SEVERAL, /* another one had it, too */
	LEDGER_CONTEXTS_LOST, /* sent on the wire, but their requests may have other ids here */
	LEDGER_MEMO_EVICTED,  /* prepared statements forgotten to keep the bound */
	LEDGER_ENTRIES,
};

struct ledger {
	uint64_t count[LEDGER_ENTRIES];
};

static inline void ledger__add(struct ledger *l, enum ledger_entry entry, uint64_t n)
{
	l->count[entry] += n;
}

/* What LEDGER_ROOTS is made of. */
static inline uint64_t ledger__roots(const struct ledger *l)
{
	uint64_t sum = 0;

	for (int cause = LEDGER_ROOTS + 1; cause <= LEDGER_ROOT_CHILD; cause++)
		sum += l->count[cause];
	return sum;
}

/* Lower case with dots, e.g. "records.malformed"; never NULL for a valid @entry. */
const char *ledger__name(enum ledger_entry entry);

#endif
