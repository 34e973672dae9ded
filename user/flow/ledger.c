// SPDX-License-Identifier: Apache-2.0
#include "user/flow/ledger.h"

#include <stddef.h>

#define NAMES (sizeof(names) / sizeof(names[0]))

static const char *const names[] = {
	[LEDGER_RECORDS] = "records",
	[LEDGER_RECORDS_CONN] = "records.conn",
	[LEDGER_RECORDS_DATA] = "records.data",
	[LEDGER_RECORDS_CLOSE] = "records.close",
	[LEDGER_RECORDS_PROCESS] = "records.process",
	[LEDGER_RECORDS_CONTEXT] = "records.context",
	[LEDGER_RECORDS_MALFORMED] = "records.malformed",
	[LEDGER_RECORDS_NO_CONN] = "records.no_conn",
	[LEDGER_CONNECTIONS] = "connections",
	[LEDGER_CONNECTIONS_EVICTED] = "connections.evicted",
	[LEDGER_CONNECTIONS_IDLE] = "connections.idle",
	[LEDGER_CONNECTIONS_UNBOUND] = "connections.unbound",
	[LEDGER_CONNECTIONS_DB_SERVER] = "connections.db_server",
	[LEDGER_CONNECTIONS_NO_MEMORY] = "connections.no_memory",
	[LEDGER_BYTES] = "bytes",
	[LEDGER_BYTES_PARSED] = "bytes.parsed",
	[LEDGER_BYTES_GAP] = "bytes.gap",
	[LEDGER_BYTES_DROPPED] = "bytes.dropped",
	[LEDGER_PARSE_ERRORS] = "parse.errors",
	[LEDGER_RESYNCS] = "parse.resyncs",
	[LEDGER_RESPONSES_UNMATCHED] = "responses.unmatched",
	[LEDGER_REQUESTS] = "requests",
	[LEDGER_SPANS] = "spans",
	[LEDGER_QUIET] = "requests.quiet",
	[LEDGER_IGNORED] = "requests.ignored",
	[LEDGER_EXCLUDED] = "requests.excluded",
	[LEDGER_SDK] = "requests.sdk",
	[LEDGER_SAMPLED_OUT] = "requests.sampled_out",
	[LEDGER_SPANS_NO_MEMORY] = "spans.no_memory",
	[LEDGER_REQUESTS_REFUSED] = "requests.refused",
	[LEDGER_REQUESTS_ABANDONED] = "requests.abandoned",
	[LEDGER_INCOMPLETE] = "spans.incomplete",
	[LEDGER_BROKEN] = "spans.broken",
	[LEDGER_CONNECT_FAILED] = "spans.connect_failed",
	[LEDGER_ROOTS] = "spans.root",
	[LEDGER_ROOT_REQUEST] = "spans.root.request",
	[LEDGER_PARENT_GONE] = "spans.root.parent_gone",
	[LEDGER_ROOT_IDLE] = "spans.root.idle",
	[LEDGER_ROOT_APART] = "spans.root.apart",
	[LEDGER_ROOT_SEVERAL] = "spans.root.several_requests",
	[LEDGER_ROOT_BEHIND] = "spans.root.behind_response",
	[LEDGER_ROOT_UNSEEN] = "spans.root.unseen_requests",
	[LEDGER_ROOT_RESTLESS] = "spans.root.not_silent",
	[LEDGER_ROOT_CHILD] = "spans.root.child_process",
	[LEDGER_LINKS_UNSEEN] = "links.unseen_request",
	[LEDGER_LINKS_SEVERAL] = "links.several_requests",
	[LEDGER_CONTEXTS_LOST] = "contexts.lost",
	[LEDGER_MEMO_EVICTED] = "memo.evicted",
};

/* Sees a last entry without a name; a hole before it is what tests/unit/test_ledger.c sees. */
_Static_assert(NAMES == LEDGER_ENTRIES, "each ledger entry has a name");

const char *ledger__name(enum ledger_entry entry)
{
	if ((unsigned int)entry >= NAMES || !names[entry])
		return "unknown";
	return names[entry];
}
