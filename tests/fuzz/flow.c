// SPDX-License-Identifier: Apache-2.0
/*
 * One connection through the pipeline.  However its bytes are cut into records, the spans must be
 * the same; and seen from its other end, as many requests must come of it.
 *
 *	input:	a byte of enum script_flag; how many lengths of pieces, and these, a byte each;
 *		then what happens: a byte of enum script_op and, in its upper five bits, how long
 *		after what was before; with bytes their length in two bytes, and the bytes
 *
 * Where the bytes are not of the protocol throughout, only the ledger's sums must agree: where the
 * next message begins is then told by where records do.
 */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "tests/unit/replay_print.h"
#include "user/flow/conn.h"
#include "user/flow/pipeline.h"
#include "user/flow/resource.h"
#include "user/flow/span.h"
#include "user/protocols/protocol.h"

#define CONN	   7
#define STEP_NS	   50000ULL
#define START_NS   3600000000000ULL /* later than every time-out */
#define PIECES_MAX 15
#define TICK_NS	   20000000000ULL

enum script_flag {
	SCRIPT_SERVER = 1 << 0, /* the traced process is the server */
	SCRIPT_UNKNOWN = 1 << 1,
	SCRIPT_OLD = 1 << 2, /* the connection was there before */
	SCRIPT_DB_CLIENTS_ONLY = 1 << 3,
};

enum script_op {
	OP_SEND,
	OP_RECV,
	OP_SKIP_SENT, /* so many bytes were not captured */
	OP_SKIP_RECEIVED,
	OP_EOF,
	OP_RESET,
	OP_CLOSE,
	OP_TICK,
};

/* How records are made of what happens. */
struct way {
	struct slice pieces; /* lengths, again and again; 0: all that is left.  Empty: likewise */
	bool other_end;
};

struct play {
	const struct way *way;
	struct pipeline *pipeline;
	struct resource *resource;
	struct ledger ledger;
	FILE *out;
	unsigned int proto;
	uint64_t now_ns;
	uint64_t pos[2];
	size_t piece;
	int last_dir;
};

/* What came of it. */
struct outcome {
	char *spans;
	struct ledger ledger;
};

static void play__on_span(void *ctx, struct span *span)
{
	struct play *p = ctx;

	replay__print(p->out, span);
	span__free(span);
}

static struct resource *play__on_resource(void *ctx, uint32_t tgid, const char *comm)
{
	return resource__get(((struct play *)ctx)->resource);
}

/* ---- records ------------------------------------------------------------------------------ */

static void play__feed(struct play *p, const void *record, size_t len)
{
	assert_int_equal(pipeline__record(p->pipeline, record, len), 0);
}

static void play__range(struct play *p, enum event_dir dir, struct slice payload, size_t size)
{
	size_t len = sizeof(struct event_data) + payload.len;
	struct event_data data = {
		.hdr = { EVENT_DATA, (uint32_t)len, p->now_ns, CONN },
		.start_ns = p->now_ns,
		.pos = p->pos[dir],
		.size = (uint32_t)size,
		.captured = (uint32_t)payload.len,
		.tgid = 1,
		.tid = 1,
		.flags = DATA_EXACT_START,
		.dir = dir,
		.proto = (uint8_t)p->proto,
	};
	char *record = malloc(len);

	assert_non_null(record);
	if (p->last_dir != (int)dir)
		data.flags |= DATA_TURN | DATA_SAMPLED;
	p->last_dir = (int)dir;
	p->pos[dir] += size;
	memcpy(record, &data, sizeof(data));
	if (payload.len)
		memcpy(record + sizeof(data), payload.data, payload.len);
	play__feed(p, record, len);
	free(record);
}

static size_t play__next_piece(struct play *p, size_t left)
{
	const struct slice *pieces = &p->way->pieces;
	size_t len = 0;

	if (pieces->len)
		len = (unsigned char)pieces->data[p->piece++ % pieces->len];
	return len && len < left ? len : left;
}

static void play__bytes(struct play *p, enum event_dir dir, struct slice bytes)
{
	while (bytes.len) {
		size_t len = play__next_piece(p, bytes.len);

		play__range(p, dir, slice__head(bytes, len), len);
		bytes = slice__skip(bytes, len);
	}
}

static void play__close(struct play *p, enum close_kind kind)
{
	struct event_close event = {
		.hdr = { EVENT_CLOSE, sizeof(event), p->now_ns, CONN },
		.kind = kind,
	};

	play__feed(p, &event, sizeof(event));
}

static void play__open(struct play *p, unsigned int flags)
{
	bool server = !!(flags & SCRIPT_SERVER) != p->way->other_end;
	struct event_conn event = {
		.hdr = { EVENT_CONN, sizeof(event), p->now_ns, CONN },
		.family = AF_INET,
		.local_port = 1,
		.peer_port = 2,
		.local_addr = { 192, 0, 2, 1 },
		.peer_addr = { 192, 0, 2, 2 },
		.role = server ? ROLE_SERVER : ROLE_CLIENT,
		.flags = flags & SCRIPT_OLD ? 0 : CONN_FRESH,
		.tgid = 1,
		.comm = "fuzz",
	};

	if (flags & SCRIPT_UNKNOWN)
		event.role = ROLE_UNKNOWN;
	play__feed(p, &event, sizeof(event));
}

/* ---- the script --------------------------------------------------------------------------- */

static void play__op(struct play *p, struct reader *r)
{
	unsigned int byte = (unsigned int)reader__be(r, 1), op = byte & 7;
	enum event_dir dir = (op & 1) != p->way->other_end ? DIR_RECV : DIR_SEND;
	struct slice bytes;
	size_t len;

	p->now_ns += (byte >> 3) * STEP_NS;
	switch (op) {
	case OP_SEND:
	case OP_RECV:
		len = reader__be(r, 2);
		bytes = slice__head(r->rest, len);
		r->rest = slice__skip(r->rest, len);
		play__bytes(p, dir, bytes);
		break;
	case OP_SKIP_SENT:
	case OP_SKIP_RECEIVED:
		len = reader__be(r, 2);
		if (len)
			play__range(p, dir, slice__of("", 0), len);
		break;
	case OP_TICK:
		p->now_ns += (byte >> 3) * TICK_NS;
		pipeline__tick(p->pipeline, p->now_ns);
		break;
	default:
		play__close(p, op == OP_EOF	? CLOSE_PEER_EOF
			       : op == OP_RESET ? CLOSE_RESET
						: CLOSE_DONE);
		break;
	}
}

static void check_sums(const struct ledger *l, size_t in_flight)
{
	const uint64_t *n = l->count;

	assert_int_equal(n[LEDGER_REQUESTS],
			 n[LEDGER_SPANS] + n[LEDGER_QUIET] + n[LEDGER_IGNORED] +
				 n[LEDGER_EXCLUDED] + n[LEDGER_SDK] + n[LEDGER_SAMPLED_OUT] +
				 n[LEDGER_SPANS_NO_MEMORY] + n[LEDGER_REQUESTS_REFUSED] +
				 n[LEDGER_REQUESTS_ABANDONED] + in_flight);
}

static struct outcome play(struct slice script, unsigned int proto, const struct way *way)
{
	struct play p = { .way = way, .proto = proto, .now_ns = START_NS, .last_dir = -1 };
	struct pipeline_callbacks callbacks = {
		.span = play__on_span,
		.resource = play__on_resource,
		.ctx = &p,
	};
	struct reader r = reader__of(script);
	unsigned int flags = (unsigned int)reader__be(&r, 1);
	struct flow_config config;
	struct outcome outcome;
	size_t len;

	flow_config__defaults(&config);
	config.db_server_spans = !(flags & SCRIPT_DB_CLIENTS_ONLY);
	p.resource = resource__new(1);
	p.out = open_memstream(&outcome.spans, &len);
	p.pipeline = pipeline__new(&config, &callbacks, &p.ledger);
	assert_true(p.resource && p.out && p.pipeline);
	reader__bytes(&r, reader__be(&r, 1) & PIECES_MAX);
	play__open(&p, flags);
	while (r.rest.len && !r.bad) {
		play__op(&p, &r);
		check_sums(&p.ledger, pipeline__in_flight(p.pipeline));
	}
	pipeline__drain(p.pipeline);
	assert_int_equal(pipeline__in_flight(p.pipeline), 0);
	assert_int_equal(pipeline__held(p.pipeline), 0);
	check_sums(&p.ledger, 0);
	assert_int_equal(p.ledger.count[LEDGER_BYTES],
			 p.ledger.count[LEDGER_BYTES_PARSED] + p.ledger.count[LEDGER_BYTES_GAP] +
				 p.ledger.count[LEDGER_BYTES_DROPPED]);
	pipeline__free(p.pipeline);
	resource__put(p.resource);
	fclose(p.out);
	outcome.ledger = p.ledger;
	return outcome;
}

/* ---- what must hold ----------------------------------------------------------------------- */

static bool is_clean(const struct outcome *o)
{
	const uint64_t *n = o->ledger.count;

	return !n[LEDGER_PARSE_ERRORS] && !n[LEDGER_RESYNCS] && !n[LEDGER_BYTES_GAP] &&
	       !n[LEDGER_BYTES_DROPPED];
}

static void expect_same_spans(struct slice script, unsigned int proto, const struct outcome *whole,
			      struct slice pieces)
{
	struct outcome torn = play(script, proto, &(struct way){ .pieces = pieces });

	if (is_clean(whole))
		assert_string_equal(torn.spans, whole->spans);
	free(torn.spans);
}

/* The other end has the same requests, if the talk has an end that both see alike: a client that
 * exports spans of its own is left to these, its server is not. */
static void expect_as_many(struct slice script, unsigned int proto, const struct outcome *whole)
{
	static const enum ledger_entry alike[] = {
		LEDGER_REQUESTS,     LEDGER_SPANS, LEDGER_QUIET, LEDGER_RESPONSES_UNMATCHED,
		LEDGER_BYTES_PARSED,
	};
	struct outcome other = play(script, proto, &(struct way){ .other_end = true });

	bool is_alike = is_clean(whole) && !whole->ledger.count[LEDGER_SDK] &&
			!other.ledger.count[LEDGER_SDK];

	for (size_t i = 0; is_alike && i < sizeof(alike) / sizeof(alike[0]); i++)
		assert_int_equal(other.ledger.count[alike[i]], whole->ledger.count[alike[i]]);
	free(other.spans);
}

static struct reader script__of(struct slice script)
{
	struct reader r = reader__of(script);

	reader__be(&r, 1);
	reader__bytes(&r, reader__be(&r, 1) & PIECES_MAX);
	return r;
}

/* The next operation, whose bytes are passed over. */
static unsigned int script__next(struct reader *r)
{
	unsigned int op = (unsigned int)reader__be(r, 1) & 7;
	size_t len = op <= OP_SKIP_RECEIVED ? reader__be(r, 2) : 0;

	if (op <= OP_RECV)
		r->rest = slice__skip(r->rest, len);
	return op;
}

static bool ends_itself(struct slice script)
{
	struct reader r = script__of(script);

	while (r.rest.len && !r.bad) {
		unsigned int op = script__next(&r);

		if (op >= OP_EOF && op <= OP_CLOSE)
			return true;
	}
	return false;
}

/* Bytes that come behind an end, as no connection has them: where pieces are cut then decides
 * what was whole before. */
static bool goes_on_behind_its_end(struct slice script)
{
	struct reader r = script__of(script);
	bool eof = false, closed = false;

	while (r.rest.len && !r.bad) {
		unsigned int op = script__next(&r);

		if (op <= OP_SKIP_RECEIVED && (closed || (eof && op & 1)))
			return true;
		eof |= op == OP_EOF;
		closed |= op == OP_RESET || op == OP_CLOSE;
	}
	return false;
}

void fuzz_flow(struct slice in, unsigned int proto)
{
	static const struct slice one = SLICE("\1");
	struct outcome whole = play(in, proto, &(struct way){ .pieces = slice__of("", 0) });
	struct reader r = reader__of(in);
	unsigned int flags = (unsigned int)reader__be(&r, 1);
	struct slice pieces = reader__bytes(&r, reader__be(&r, 1) & PIECES_MAX);

	if (goes_on_behind_its_end(in))
		pieces = slice__of("", 0);
	else
		expect_same_spans(in, proto, &whole, one);
	if (pieces.len)
		expect_same_spans(in, proto, &whole, pieces);
	if (!(flags & (SCRIPT_UNKNOWN | SCRIPT_DB_CLIENTS_ONLY)) && !ends_itself(in))
		expect_as_many(in, proto, &whole);
	free(whole.spans);
}
