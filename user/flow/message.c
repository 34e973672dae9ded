// SPDX-License-Identifier: Apache-2.0
#include "user/flow/message.h"

#include "user/flow/conn.h"
#include "user/flow/ledger.h"
#include "user/protocols/protocol.h"

/* So many parse errors, with less than GOOD_FRAGMENTS read well between each, and the
 * connection is taken for something else. */
#define FAULTS_MAX	  3
#define GOOD_FRAGMENTS	  8
#define RESYNC_KEEP_BYTES 256  /* may be the beginning of a start that cannot be told yet */
#define RESYNC_BYTES	  4096 /* looked at in one step */

/* Bytes that no parser can use: the run at the cursor. */
static void message__drop(struct conn *conn, enum direction dir, uint64_t len,
			  const struct transaction_sink *sink)
{
	stream__advance(&conn->reading[dir].stream, len);
	ledger__add(sink->ledger, LEDGER_BYTES_DROPPED, len);
}

static void message__lose(struct conn *conn, enum direction dir,
			  const struct transaction_sink *sink)
{
	conn->reading[dir].lost = true;
	transaction__gap(conn, dir, sink);
}

/* The bytes of a fragment have all passed. */
static inline void message__passed(struct conn *conn, enum direction dir, enum message_type type,
				   uint32_t flags, const struct transaction_sink *sink)
{
	if (flags & MESSAGE_END)
		transaction__end(conn, type, conn->reading[dir].stream.last_ns, sink);
	if (flags & MESSAGE_UNBIND)
		sink->unbind(sink->ctx, conn);
}

/* Passes over bytes of the current fragment that nobody reads. */
static bool message__skip(struct conn *conn, enum direction dir,
			  const struct transaction_sink *sink)
{
	struct reading *r = &conn->reading[dir];
	uint64_t len = stream__left(&r->stream);

	if (!r->until_close && len > r->skip)
		len = r->skip;
	stream__advance(&r->stream, len);
	ledger__add(sink->ledger, LEDGER_BYTES_PARSED, len);
	if (r->until_close) {
		r->until_close = !r->ended;
		if (r->ended)
			message__passed(conn, dir, r->type, r->flags, sink);
		return false;
	}
	r->skip -= len;
	if (r->skip)
		return false;
	message__passed(conn, dir, r->type, r->flags, sink);
	return true;
}

/* Offset in @bytes of the next start of a message, bytes.len: none.  Messages start where bytes
 * start that were moved at once, and some parsers look there only. */
static size_t message__find_start(struct conn *conn, enum direction dir, struct slice bytes)
{
	const struct stream *s = &conn->reading[dir].stream;

	for (size_t i = 0; stream__range(s, i) < bytes.len; i++) {
		size_t from = stream__range(s, i);
		struct slice rest = slice__skip(bytes, from);
		size_t offset = conn->protocol->resync(conn->state, dir, rest);

		if (offset < rest.len)
			return from + offset;
		if (conn->protocol->resync_scans)
			break; /* for each byte that was sent alone it would cost a cube */
	}
	return bytes.len;
}

/* The run at the cursor. */
static struct parse_input message__input(const struct conn *conn, enum direction dir)
{
	const struct stream *s = &conn->reading[dir].stream;

	return (struct parse_input){
		.dir = dir,
		.bytes = stream__run(s),
		.cut = stream__cut(s),
		.first = conn->fresh && s->cursor == 0,
	};
}

/* After a gap.  Like all steps along the stream: false when there is nothing more to be done now. */
static bool message__resync(struct conn *conn, const struct parse_input *in,
			    const struct transaction_sink *sink)
{
	enum direction dir = in->dir;
	struct reading *r = &conn->reading[dir];
	struct slice bytes = slice__head(in->bytes, RESYNC_BYTES);
	bool last = bytes.len == in->bytes.len;
	size_t len = bytes.len, offset = message__find_start(conn, dir, bytes);

	if (offset < len) {
		message__drop(conn, dir, offset, sink);
		r->lost = false;
		ledger__add(sink->ledger, LEDGER_RESYNCS, 1);
		return true;
	}
	if (last && !in->cut && len <= RESYNC_KEEP_BYTES)
		return false;
	message__drop(conn, dir, last && in->cut ? len : len - RESYNC_KEEP_BYTES, sink);
	return in->cut || !last;
}

/* What was read in the wrong role: where its messages begin is not known. */
static void reading__restart(struct reading *r)
{
	r->skip = 0;
	r->until_close = false;
	r->lost = r->stream.last_ns > 0;
}

/* The roles were guessed from bytes that both sides may send, and wrongly so: @dir shows it. */
static void message__flip(struct conn *conn, enum direction dir,
			  const struct transaction_sink *sink)
{
	enum conn_role role = conn->role == ROLE_CLIENT ? ROLE_SERVER : ROLE_CLIENT;
	struct reading swap;

	transaction__abandon_all(conn, sink);
	if (!sink->bind(sink->ctx, conn, conn->protocol, role))
		return;
	reading__restart(&conn->reading[!dir]);
	swap = conn->reading[TO_SERVER];
	conn->reading[TO_SERVER] = conn->reading[TO_CLIENT];
	conn->reading[TO_CLIENT] = swap;
	conn->role_certain = true;
	message__read(conn, TO_SERVER, sink);
	if (conn->protocol)
		message__read(conn, TO_CLIENT, sink);
}

/* Returns whether reading of this direction goes on. */
static bool message__fault(struct conn *conn, enum direction dir, ssize_t err,
			   const struct transaction_sink *sink)
{
	ledger__add(sink->ledger, LEDGER_PARSE_ERRORS, 1);
	if (err == -EPROTO && !conn->role_certain && !conn->proven) {
		message__flip(conn, dir, sink);
		return false;
	}
	conn->good = 0;
	if (++conn->faults >= FAULTS_MAX) {
		sink->unbind(sink->ctx, conn);
		return false;
	}
	message__drop(conn, dir, 1, sink);
	message__lose(conn, dir, sink);
	return true;
}

/* @len bytes were parsed; what the fragment skips is passed over as far as it has come. */
static void message__take(struct conn *conn, enum direction dir, size_t len,
			  const struct message *fragment, const struct transaction_sink *sink)
{
	struct reading *r = &conn->reading[dir];
	const struct segment *at = stream__here(&r->stream);
	uint64_t pos = r->stream.cursor, skip = fragment->skip;

	if (++conn->good >= GOOD_FRAGMENTS)
		conn->faults = 0;
	transaction__fragment(conn, fragment, at, pos, sink);
	if (skip > stream__left(&r->stream) - len)
		skip = stream__left(&r->stream) - len;
	stream__advance(&r->stream, len + skip);
	ledger__add(sink->ledger, LEDGER_BYTES_PARSED, len + skip);
	if (fragment->skip == skip && !(fragment->flags & MESSAGE_UNTIL_CLOSE)) {
		message__passed(conn, dir, fragment->type, fragment->flags, sink);
		return;
	}
	r->skip = fragment->skip - skip;
	r->type = fragment->type;
	r->flags = fragment->flags;
	r->until_close = fragment->flags & MESSAGE_UNTIL_CLOSE;
}

/* Where no message can be read: bytes that are skipped, a gap, or what is behind one. */
static bool message__pass(struct conn *conn, enum direction dir,
			  const struct transaction_sink *sink)
{
	struct reading *r = &conn->reading[dir];
	uint64_t gap = stream__gap(&r->stream);
	struct parse_input in;

	if (r->skip || r->until_close)
		return message__skip(conn, dir, sink);
	if (gap) {
		stream__advance(&r->stream, gap);
		ledger__add(sink->ledger, LEDGER_BYTES_GAP, gap);
		message__lose(conn, dir, sink);
		return true;
	}
	in = message__input(conn, dir);
	return message__resync(conn, &in, sink);
}

/* The parser has not taken a message, but said @len. */
static bool message__refuse(struct conn *conn, const struct parse_input *in, ssize_t len,
			    const struct transaction_sink *sink)
{
	if (len < 0)
		return message__fault(conn, in->dir, len, sink);
	if (len == 0 && !in->cut)
		return false;
	message__drop(conn, in->dir, in->bytes.len, sink);
	message__lose(conn, in->dir, sink);
	return true;
}

void message__forget(struct conn *conn, enum direction dir, const struct transaction_sink *sink)
{
	uint64_t left = stream__left(&conn->reading[dir].stream);

	if (left == 0)
		return;
	message__drop(conn, dir, left, sink);
	message__lose(conn, dir, sink);
}

void message__resume(struct conn *conn, const struct transaction_sink *sink)
{
	/* the answers were in what nobody told of */
	transaction__finish_all(conn, NULL, conn__last_byte_ns(conn), sink);
	conn->orphans = 0;
	for (int dir = TO_SERVER; dir <= TO_CLIENT; dir++) {
		message__forget(conn, dir, sink);
		conn->reading[dir].resumed = true;
	}
}

void message__reach(struct conn *conn, enum direction dir, uint64_t pos)
{
	struct reading *r = &conn->reading[dir];

	if (!r->resumed)
		return;
	stream__skip_to(&r->stream, pos);
	r->resumed = false;
}

void message__read(struct conn *conn, enum direction dir, const struct transaction_sink *sink)
{
	struct reading *r = &conn->reading[dir];
	struct message fragment;
	struct parse_input in;
	bool more = true;
	ssize_t len;

	while (more && reading__ready(r) && conn->protocol) {
		if (r->skip || r->until_close || r->lost || stream__gap(&r->stream)) {
			more = message__pass(conn, dir, sink);
			continue;
		}
		in = message__input(conn, dir);
		message__init(&fragment);
		len = conn->protocol->parse(conn->state, &in, &fragment);
		if (len > 0 && (size_t)len <= in.bytes.len)
			message__take(conn, dir, (size_t)len, &fragment, sink);
		else
			more = message__refuse(conn, &in, len, sink);
	}
}
