// SPDX-License-Identifier: Apache-2.0
#include "user/flow/transaction.h"

#include "user/base/pool.h"
#include "user/flow/conn.h"
#include "user/flow/intake.h"
#include "user/flow/ledger.h"
#include "user/flow/merge.h"
#include "user/flow/quota.h"
#include "user/protocols/protocol.h"

#define TEXT_MAX_BYTES (192 * 1024) /* of all fields of one transaction */
/* Where only the end of a send is known, its bytes may have been answered before. */
#define START_SLACK_NS 1000000
/* A client that was quiet for so long has had all its responses. */
#define QUIET_NS 1000000000

/* -- the queue ---------------------------------------------------------------------------- */

static struct pool pool;

static struct transaction *transaction__new(struct conn *conn, const struct segment *at,
					    uint64_t pos)
{
	struct transaction *txn = pool__take(&pool, sizeof(*txn));

	if (!txn)
		return NULL;
	memset(txn, 0, offsetof(struct transaction, text));
	arena__init(&txn->text, TEXT_MAX_BYTES);
	txn->protocol = conn->protocol;
	txn->role = conn->role;
	txn->server = conn__server(conn);
	txn->client = conn__client(conn);
	txn->tgid = at->tgid;
	txn->tid = at->tid;
	txn->conn_id = conn->id;
	txn->request_pos = pos;
	txn->start_ns = at->start_ns;
	txn->earliest_ns = at->start_ns;
	if (conn->role == ROLE_CLIENT && !(at->flags & DATA_EXACT_START))
		txn->earliest_ns -= START_SLACK_NS;
	txn->decided = at->flags & DATA_TURN && at->pos == pos;
	txn->sampled = at->flags & DATA_SAMPLED;
	if (at->flags & DATA_UNSAMPLED && (txn->decided || conn->role == ROLE_CLIENT))
		txn->flags |= TXN_UNSAMPLED;
	txn->turn_pos = at->turn_pos;
	/* A client's whole send is of one mind; what a server receives is a client's message only
	 * from its first byte on. */
	if (conn->role == ROLE_CLIENT || txn->decided) {
		txn->ref = at->ref;
		txn->ref_conn = at->ref_conn;
		txn->ref_pos = at->ref_pos;
	}
	return txn;
}

void transaction__free(struct transaction *txn)
{
	if (!txn)
		return;
	arena__reset(&txn->text);
	pool__give(&pool, txn);
}

static size_t transaction__held(const struct transaction *txn)
{
	return sizeof(*txn) + txn->text.heap_bytes;
}

/* How long its text may become: as long as the quota allows. */
static size_t transaction__text_limit(const struct transaction *txn, const struct quota *quota)
{
	size_t used = arena__used(&txn->text), left = quota__left(quota);

	return left < TEXT_MAX_BYTES && left < TEXT_MAX_BYTES - used ? used + left : TEXT_MAX_BYTES;
}

/* Takes over what the fragment says, as far as the text has room. */
static void queue__merge(struct conn *conn, struct transaction *txn, struct message *to,
			 const struct message *fragment, const struct transaction_sink *sink)
{
	size_t held = transaction__held(txn);

	txn->text.limit_bytes = transaction__text_limit(txn, sink->quota);
	if (!message__merge(to, fragment, &conn->memo, &txn->text) ||
	    fragment->flags & MESSAGE_TRUNCATED)
		txn->flags |= TXN_INCOMPLETE;
	if (transaction__held(txn) == held)
		return;
	quota__change(sink->quota, held, transaction__held(txn));
	conn->queue_bytes += transaction__held(txn) - held;
}

static void queue__push(struct conn *conn, struct transaction *txn,
			const struct transaction_sink *sink)
{
	if (conn->newest)
		conn->newest->next = txn;
	else
		conn->oldest = txn;
	conn->newest = txn;
	conn->open++;
	++*sink->in_flight;
	quota__change(sink->quota, 0, transaction__held(txn));
	conn->queue_bytes += transaction__held(txn);
}

/* A request without a transaction: its response must not be taken for another's. */
static void queue__pass(struct conn *conn)
{
	if (conn->newest)
		conn->newest->unfollowed++;
	else
		conn->astray++;
}

static struct transaction *queue__pop(struct conn *conn, const struct transaction_sink *sink)
{
	struct transaction *txn = conn->oldest;

	conn->oldest = txn->next;
	if (!conn->oldest)
		conn->newest = NULL;
	conn->open--;
	--*sink->in_flight;
	quota__change(sink->quota, transaction__held(txn), 0);
	conn->queue_bytes -= transaction__held(txn);
	conn->astray += txn->unfollowed;
	if (conn->request == txn)
		conn->request = NULL;
	if (!conn->open && !conn->pipelines)
		conn->uncertain = false;
	txn->next = NULL;
	return txn;
}

static void queue__finish_oldest(struct conn *conn, uint64_t end_ns,
				 const struct transaction_sink *sink)
{
	struct transaction *txn = queue__pop(conn, sink);

	/* A long body is not copied whole; beginning and end tell all that a span says. */
	if (txn->flags & TXN_GAP && !(txn->flags & TXN_RESPONSE_ENDED))
		txn->flags |= TXN_INCOMPLETE;
	txn->end_ns = end_ns > txn->start_ns ? end_ns : txn->start_ns;
	txn->repeats = &conn->repeats;
	conn->repeats.full = !quota__spares(sink->quota);
	sink->finish(sink->ctx, conn, txn);
}

static void queue__abandon_oldest(struct conn *conn, const struct transaction_sink *sink)
{
	sink->drop(sink->ctx, queue__pop(conn, sink));
	ledger__add(sink->ledger, LEDGER_REQUESTS_ABANDONED, 1);
}

/* No response is expected any more. */
static void queue__end_oldest(struct conn *conn, const char *failure, uint64_t end_ns,
			      const struct transaction_sink *sink)
{
	/* Without one response on this connection, and a first message that others could have
	 * sent too, it may never have been this protocol. */
	if (!conn->proven && !conn->strong) {
		queue__abandon_oldest(conn, sink);
		return;
	}
	conn->oldest->failure = failure;
	if (!failure)
		conn->oldest->flags |= TXN_INCOMPLETE;
	queue__finish_oldest(conn, end_ns, sink);
}

/* The answers went by unseen: who does not pipeline had each before the next request began. */
static void queue__end_unseen(struct conn *conn, const struct transaction_sink *sink)
{
	uint64_t passed_ns = conn->reading[TO_CLIENT].stream.last_ns;

	while (conn->oldest) {
		const struct transaction *next = conn->oldest->next;
		bool before = next && !conn->pipelines && next->start_ns < passed_ns;

		queue__end_oldest(conn, NULL, before ? next->start_ns : passed_ns, sink);
	}
}

/* -- requests ----------------------------------------------------------------------------- */

/* One connection cannot take all the room: what it has must be left to the others, too. */
static bool request__admitted(const struct conn *conn, const struct transaction_sink *sink)
{
	size_t in_flight = *sink->in_flight;

	return in_flight < sink->max_in_flight && conn->open < sink->max_in_flight - in_flight &&
	       quota__allows(sink->quota, conn->queue_bytes + conn->held_bytes);
}

/* What the order of the records, and what was lost, leave of the certainty of the pair. */
static uint32_t request__doubt(struct conn *conn, const struct segment *at)
{
	uint64_t last_ns = conn->reading[TO_CLIENT].stream.last_ns;

	conn->pipelines |= conn->astray || (conn->newest && conn->newest->start_ns == at->start_ns);
	if (!conn->open && at->start_ns > last_ns + QUIET_NS)
		conn->uncertain = false;
	if (conn->orphans && at->start_ns < conn->orphans_ns) {
		conn->orphans--;
		return TXN_INCOMPLETE | TXN_UNPAIRED | TXN_LATE;
	}
	conn->orphans = 0;
	if (!conn->uncertain)
		return 0;
	return conn->pipelines ? TXN_INCOMPLETE | TXN_UNPAIRED : TXN_INCOMPLETE;
}

static void request__begin(struct conn *conn, const struct message *fragment,
			   const struct segment *at, uint64_t pos,
			   const struct transaction_sink *sink)
{
	bool admitted = request__admitted(conn, sink);
	uint32_t doubt;
	struct transaction *txn;

	conn->request = NULL;
	if (fragment->flags & MESSAGE_ONEWAY)
		return;
	doubt = request__doubt(conn, at);
	ledger__add(sink->ledger, LEDGER_REQUESTS, 1);
	txn = admitted ? transaction__new(conn, at, pos) : NULL;
	if (!txn) {
		ledger__add(sink->ledger,
			    admitted ? LEDGER_SPANS_NO_MEMORY : LEDGER_REQUESTS_REFUSED, 1);
		intake__miss(sink->intake, at->tgid, at->start_ns);
		if (!(doubt & TXN_LATE))
			queue__pass(conn);
		return;
	}
	txn->flags |= doubt;
	queue__push(conn, txn, sink);
	conn->request = txn;
}

static void request__fragment(struct conn *conn, const struct message *fragment,
			      const struct segment *at, uint64_t pos,
			      const struct transaction_sink *sink)
{
	struct transaction *txn;

	if (fragment->flags & MESSAGE_BEGIN)
		request__begin(conn, fragment, at, pos, sink);
	txn = conn->request;
	if (!txn)
		return;
	queue__merge(conn, txn, &txn->request, fragment, sink);
	if (fragment->flags & MESSAGE_QUIET)
		txn->flags |= TXN_QUIET;
	if (fragment->flags & MESSAGE_BEGIN)
		sink->begun(sink->ctx, conn, txn);
}

/* -- responses ---------------------------------------------------------------------------- */

/* Could @at answer the oldest request?  Not when it began before the request was sent: then
 * the request it answers was not seen, or not yet. */
static bool response__fits(const struct conn *conn, const struct segment *at)
{
	return conn->oldest && at->start_ns >= conn->oldest->earliest_ns;
}

/* Requests whose responses have passed already. */
static void queue__finish_late(struct conn *conn, const struct transaction_sink *sink)
{
	while (conn->oldest && conn->oldest->flags & TXN_LATE)
		queue__finish_oldest(conn, conn->orphans_ns, sink);
}

static void response__orphan(struct conn *conn, const struct segment *at,
			     const struct transaction_sink *sink)
{
	ledger__add(sink->ledger, LEDGER_RESPONSES_UNMATCHED, 1);
	if (conn->astray) {
		conn->astray--;
		return;
	}
	conn->orphans++;
	conn->orphans_ns = at->start_ns;
}

static void response__begin(struct conn *conn, const struct segment *at,
			    const struct transaction_sink *sink)
{
	if (conn->oldest && conn->oldest->flags & TXN_RESPONSE_BEGUN) {
		/* the end of the one before was in a gap */
		conn->oldest->flags |= TXN_INCOMPLETE;
		queue__finish_oldest(conn, conn->reading[TO_CLIENT].stream.last_ns, sink);
	}
	queue__finish_late(conn, sink);
	conn->cancels = 0;
	conn->orphan = conn->astray || !response__fits(conn, at);
	if (conn->orphan) {
		response__orphan(conn, at, sink);
		return;
	}
	if (conn->oldest->next && conn->oldest->next->start_ns < at->start_ns)
		conn->pipelines = true;
	if (conn->oldest->flags & TXN_UNPAIRED)
		ledger__add(sink->ledger, LEDGER_RESPONSES_UNMATCHED, 1);
}

static void response__fragment(struct conn *conn, const struct message *fragment,
			       const struct segment *at, const struct transaction_sink *sink)
{
	struct transaction *txn;

	conn->proven = true;
	if (fragment->flags & MESSAGE_BEGIN)
		response__begin(conn, at, sink);
	conn->cancels += fragment->cancels;
	txn = conn->oldest;
	if (!txn || conn->orphan)
		return;
	if (!(txn->flags & TXN_RESPONSE_BEGUN) && !(fragment->flags & MESSAGE_BEGIN))
		txn->flags |= TXN_INCOMPLETE;
	txn->flags |= TXN_RESPONSE_BEGUN;
	if (txn->flags & TXN_UNPAIRED)
		return;
	queue__merge(conn, txn, &txn->response, fragment, sink);
	if (fragment->flags & MESSAGE_FAILED)
		txn->flags |= TXN_FAILED;
}

static void response__end(struct conn *conn, uint64_t end_ns, const struct transaction_sink *sink)
{
	if (conn->oldest && !conn->orphan) {
		conn->oldest->flags |= TXN_RESPONSE_ENDED;
		queue__finish_oldest(conn, end_ns, sink);
	}
	conn->orphan = false;
	for (; conn->cancels && (conn->astray || conn->oldest); conn->cancels--) {
		if (conn->astray) {
			conn->astray--;
			continue;
		}
		conn->oldest->flags |= TXN_CANCELLED | TXN_FAILED;
		queue__finish_oldest(conn, end_ns, sink);
	}
}

/* -- the stage ---------------------------------------------------------------------------- */

void transaction__fragment(struct conn *conn, const struct message *fragment,
			   const struct segment *at, uint64_t pos,
			   const struct transaction_sink *sink)
{
	if (fragment->memo.op != MEMO_NONE) {
		memo__edit(&conn->memo, &fragment->memo);
		memo__trim(&conn->memo, quota__left(sink->quota));
	}
	if (fragment->type == MESSAGE_REQUEST)
		request__fragment(conn, fragment, at, pos, sink);
	else if (fragment->type == MESSAGE_RESPONSE)
		response__fragment(conn, fragment, at, sink);
}

void transaction__end(struct conn *conn, enum message_type type, uint64_t end_ns,
		      const struct transaction_sink *sink)
{
	if (type == MESSAGE_REQUEST && conn->request) {
		conn->request->flags |= TXN_REQUEST_ENDED;
		conn->request->end_ns = end_ns;
		conn->request = NULL;
		queue__finish_late(conn, sink);
	} else if (type == MESSAGE_RESPONSE) {
		response__end(conn, end_ns, sink);
	}
}

void transaction__gap(struct conn *conn, enum direction dir, const struct transaction_sink *sink)
{
	if (dir == TO_SERVER) {
		if (conn->request)
			conn->request->flags |= TXN_INCOMPLETE;
		conn->uncertain = true;
		if (conn->role == ROLE_SERVER) /* whole requests, for all that is known */
			intake__miss(sink->intake, conn->reader, conn->last_ns);
		return;
	}
	/* How many responses the gap held is unknown: with more than one request waiting, which
	 * of them the next response answers is not certain. */
	if (conn->open == 1 && !conn->astray && !conn->pipelines) {
		conn->oldest->flags |= conn->oldest->flags & TXN_RESPONSE_BEGUN
					       ? TXN_GAP
					       : TXN_INCOMPLETE | TXN_RESPONSE_BEGUN;
		return;
	}
	if (conn->pipelines && (conn->open || conn->astray))
		conn->uncertain = true;
	queue__end_unseen(conn, sink);
	conn->astray = 0;
	conn->orphan = true;
}

void transaction__finish_all(struct conn *conn, const char *failure, uint64_t end_ns,
			     const struct transaction_sink *sink)
{
	while (conn->oldest)
		queue__end_oldest(conn, failure, end_ns, sink);
}

static bool transaction__overdue(const struct transaction *txn, uint64_t timeout_ns,
				 uint64_t now_ns)
{
	bool waits = txn->flags & TXN_REQUEST_ENDED && !(txn->flags & TXN_RESPONSE_BEGUN);

	return waits && txn->end_ns + timeout_ns <= now_ns;
}

bool transaction__give_up(struct conn *conn, uint64_t timeout_ns, uint64_t now_ns,
			  const struct transaction_sink *sink)
{
	size_t open = conn->open;

	while (conn->oldest && transaction__overdue(conn->oldest, timeout_ns, now_ns)) {
		conn->astray++;
		queue__end_oldest(conn, NULL, conn->oldest->end_ns + timeout_ns, sink);
	}
	return conn->open != open;
}

void transaction__give_up_all(struct conn *conn, uint64_t end_ns,
			      const struct transaction_sink *sink)
{
	bool begun = conn->oldest && conn->oldest->flags & TXN_RESPONSE_BEGUN;
	size_t waiting = conn->open - begun;

	transaction__finish_all(conn, NULL, end_ns, sink);
	conn->astray += waiting;
	conn->orphan |= begun;
}

void transaction__abandon_all(struct conn *conn, const struct transaction_sink *sink)
{
	while (conn->oldest)
		queue__abandon_oldest(conn, sink);
	conn->astray = 0;
}
