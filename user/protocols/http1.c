// SPDX-License-Identifier: Apache-2.0
/*
 * HTTP/1.0 and HTTP/1.1 (RFC 9112), both sides of a connection.
 *
 * A message is one fragment when its length is known: the body is passed over, not read.
 * A chunked body is a fragment per chunk that was not captured whole.  How a response is framed
 * depends on the request it answers: that much is remembered, of REQUESTS_MAX at a time.
 */
#include "bpf/classify/http1.h"
#include "user/protocols/http1_body.h"
#include "user/protocols/http1_head.h"
#include "user/protocols/http1_last.h"
#include "user/protocols/http1_span.h"
#include "user/protocols/protocol.h"

#define REQUESTS_MAX 64 /* waiting for their responses; more are taken for ordinary ones */
#define HEAD_PROBE   64 /* bytes that the classifier reads */

enum request_kind {
	REQUEST_ORDINARY,
	REQUEST_HEAD,
	REQUEST_CONNECT,
};

enum phase {
	PHASE_HEAD,   /* next is a start line */
	PHASE_CHUNKS, /* in a chunked body */
	PHASE_LOST,   /* somewhere in a message whose head was cut */
};

struct side {
	enum phase phase;
	enum http1_chunk chunk;
	bool chunked; /* PHASE_LOST: the message is open and ends with a last chunk */
};

struct http1 {
	struct side side[2]; /* by enum direction */
	struct http1_join join;
	struct http1_last last[2];  /* by enum direction */
	uint8_t kind[REQUESTS_MAX]; /* ring of enum request_kind, @waiting from @oldest */
	unsigned int oldest;
	unsigned int waiting;
	uint32_t surplus; /* further requests: ordinary ones, for all that is known */
};

/* ---- what was asked ----------------------------------------------------------------------- */

static void requests__push(struct http1 *http, struct slice method)
{
	enum request_kind kind = REQUEST_ORDINARY;

	if (slice__eq(method, SLICE("HEAD")))
		kind = REQUEST_HEAD;
	else if (slice__eq(method, SLICE("CONNECT")))
		kind = REQUEST_CONNECT;
	if (http->surplus || http->waiting == REQUESTS_MAX)
		http->surplus++;
	else
		http->kind[(http->oldest + http->waiting++) % REQUESTS_MAX] = kind;
}

static enum request_kind requests__pop(struct http1 *http)
{
	enum request_kind kind;

	if (http->waiting == 0) {
		http->surplus -= http->surplus > 0;
		return REQUEST_ORDINARY;
	}
	kind = http->kind[http->oldest];
	http->oldest = (http->oldest + 1) % REQUESTS_MAX;
	http->waiting--;
	return kind;
}

/* Responses were lost: what is left to be answered is, without pipelining, the last request. */
static void requests__keep_newest(struct http1 *http)
{
	if (http->surplus)
		http->waiting = 0;
	http->surplus = 0;
	while (http->waiting > 1)
		requests__pop(http);
}

/* ---- first bytes -------------------------------------------------------------------------- */

static enum match classify(struct slice in)
{
	__u8 probe[HEAD_PROBE] = { 0 };

	if (in.len >= sizeof(probe))
		return classify_http1((const __u8 *)in.data, sizeof(probe), sizeof(probe), 0);
	if (in.len)
		memcpy(probe, in.data, in.len);
	return classify_http1(probe, (__u32)in.len, (__u32)in.len, 0);
}

static enum match match_of(enum direction dir)
{
	return dir == TO_SERVER ? MATCH_REQUEST : MATCH_RESPONSE;
}

/* May the bytes, whose first line is not complete, become a start line of either direction? */
static bool may_become_head(struct slice in)
{
	static const struct slice version = SLICE("HTTP/1.");

	return slice__starts(version, slice__head(in, version.len)) ||
	       http1_head__is_method(slice__head(in, slice__find(in, ' ')));
}

/* @err: the start line is bad, or 0: not there as a whole.  As protocol->parse: is it one of the other
 * direction, may it be the beginning of one? */
static int refuse_start(const struct parse_input *in, int err)
{
	struct slice bytes = in->bytes;
	enum match match = classify(bytes);

	if (match != MATCH_NONE && match != match_of(in->dir))
		return -EPROTO;
	if (match == MATCH_NONE && slice__find(bytes, '\n') == bytes.len && !may_become_head(bytes))
		return -EBADMSG;
	return bytes.len > HTTP1_HEAD_MAX ? -EBADMSG : err;
}

/* ---- bodies ------------------------------------------------------------------------------- */

/* The body follows a whole head. */
static void begin_body(struct side *side, const struct http1_framing *framing, struct message *out)
{
	switch (framing->coding) {
	case HTTP1_CHUNKED: /* wins over a Content-Length */
		side->phase = PHASE_CHUNKS;
		side->chunk = HTTP1_CHUNK_SIZE;
		return;
	case HTTP1_UNFRAMED:
		if (out->type == MESSAGE_RESPONSE)
			out->flags |= MESSAGE_UNTIL_CLOSE;
		else
			side->phase = PHASE_LOST; /* to be refused, says the RFC */
		break;
	case HTTP1_PLAIN:
		if (framing->length > 0)
			out->skip = (uint64_t)framing->length;
		else if (framing->length < 0 && out->type == MESSAGE_RESPONSE)
			out->flags |= MESSAGE_UNTIL_CLOSE;
		break;
	}
	out->flags |= MESSAGE_END;
}

/*
 * The rest of the head was not captured, nor where it ends.  The end of a chunked response may
 * still be seen; of the others as much is passed over as is known.
 */
static void begin_cut_body(struct side *side, const struct http1_framing *framing,
			   struct message *out)
{
	side->phase = PHASE_LOST;
	out->flags |= MESSAGE_TRUNCATED;
	side->chunked = framing->coding == HTTP1_CHUNKED && out->type == MESSAGE_RESPONSE;
	if (side->chunked)
		return;
	if (framing->coding == HTTP1_PLAIN && framing->length > 0)
		out->skip = (uint64_t)framing->length;
	out->flags |= MESSAGE_END;
}

static bool has_no_body(int64_t status, enum request_kind kind)
{
	return kind == REQUEST_HEAD || status == 204 || status == 304;
}

/* ---- heads -------------------------------------------------------------------------------- */

static void begin_request(struct http1 *http, const struct http1_framing *framing, bool cut,
			  struct message *out)
{
	struct side *side = &http->side[TO_SERVER];

	requests__push(http, out->field[HTTP1_METHOD]);
	out->flags |= MESSAGE_BEGIN;
	if (cut)
		begin_cut_body(side, framing, out);
	else
		begin_body(side, framing, out);
}

static void begin_response(struct http1 *http, const struct http1_framing *framing, bool cut,
			   struct message *out)
{
	static const struct http1_framing nothing = { .length = 0 };
	struct side *side = &http->side[TO_CLIENT];
	int64_t status = out->number[HTTP1_STATUS];
	enum request_kind kind;

	if (status / 100 == 1 && status != 101) { /* the answer is still to come */
		message__init(out);
		side->phase = cut ? PHASE_LOST : PHASE_HEAD;
		return;
	}
	kind = requests__pop(http);
	out->flags |= MESSAGE_BEGIN;
	if (status == 101 || (kind == REQUEST_CONNECT && status / 100 == 2)) {
		out->flags |= MESSAGE_END | MESSAGE_UNBIND;
		return;
	}
	if (has_no_body(status, kind))
		framing = &nothing;
	if (cut)
		begin_cut_body(side, framing, out);
	else
		begin_body(side, framing, out);
}

/* A start line whose end was not captured: counts when its beginning leaves no doubt. */
static int read_cut_start(enum direction dir, struct slice line, struct message *out)
{
	int err;

	if (classify(line) != match_of(dir))
		return 0;
	err = dir == TO_SERVER ? http1_head__cut_request_line(line, out)
			       : http1_head__status_line(line, out);
	return err ? err : 1;
}

/* 1: @out has the start line and @rest what follows it; 0: too short to tell; else an error. */
static int read_start(const struct parse_input *in, struct slice *rest, struct message *out)
{
	struct slice line;
	int err;

	if (!http1_head__line(rest, &line)) {
		line = *rest;
		*rest = slice__skip(*rest, rest->len);
		return in->cut ? read_cut_start(in->dir, line, out) : 0;
	}
	err = in->dir == TO_SERVER ? http1_head__request_line(line, out)
				   : http1_head__status_line(line, out);
	return err ? err : 1;
}

static void begin(struct http1 *http, enum direction dir, const struct http1_framing *framing,
		  bool cut, struct message *out)
{
	if (dir == TO_SERVER)
		begin_request(http, framing, cut, out);
	else
		begin_response(http, framing, cut, out);
}

static ssize_t read_head(struct http1 *http, const struct parse_input *in, struct message *out)
{
	struct http1_framing framing;
	struct slice rest = in->bytes;
	int err, whole;

	err = read_start(in, &rest, out);
	if (err <= 0)
		return refuse_start(in, err);
	whole = http1_head__fields(&rest, &http->join, &framing, out);
	if (whole < 0)
		return whole;
	if (!whole && in->bytes.len > HTTP1_HEAD_MAX)
		return -EBADMSG;
	if (!whole && !in->cut)
		return 0;
	if (whole)
		http1_last__keep(&http->last[in->dir],
				 slice__head(in->bytes, in->bytes.len - rest.len), &framing, out);
	begin(http, in->dir, &framing, !whole, out);
	return (ssize_t)(in->bytes.len - (whole ? rest.len : 0));
}

static size_t line_ends(struct slice in)
{
	size_t len = 0;

	while (len < in.len && (in.data[len] == '\r' || in.data[len] == '\n'))
		len++;
	return len;
}

static ssize_t parse_head(struct http1 *http, const struct parse_input *in, struct message *out)
{
	const struct http1_last *last = &http->last[in->dir];
	struct http1_framing framing;
	size_t passed;

	if (!http1_last__is(last, in->bytes)) {
		passed = line_ends(in->bytes); /* old clients send one more after a body */
		return passed ? (ssize_t)passed : read_head(http, in, out);
	}
	http1_last__tell(last, in->bytes, &framing, out);
	begin(http, in->dir, &framing, false, out);
	return last->len;
}

/* ---- the other phases --------------------------------------------------------------------- */

static ssize_t parse_chunks(struct side *side, const struct parse_input *in, struct message *out)
{
	ssize_t len = http1_body__chunks(&side->chunk, in->bytes, &out->skip);

	if (len < 0) {
		side->phase = PHASE_LOST;
		side->chunked = true;
		return len;
	}
	out->type = in->dir == TO_SERVER ? MESSAGE_REQUEST : MESSAGE_RESPONSE;
	if (side->chunk == HTTP1_CHUNK_END) {
		side->phase = PHASE_HEAD;
		out->flags |= MESSAGE_END;
	}
	return len;
}

/* A message starts only where bytes start that were sent at once: elsewhere it is content. */
static bool starts_message(const struct http1 *http, enum direction dir, struct slice in)
{
	const struct side *side = &http->side[dir];
	bool in_body = side->phase == PHASE_CHUNKS || (side->phase == PHASE_LOST && side->chunked);
	struct message scratch = { 0 };
	struct slice line;

	if (classify(in) != match_of(dir))
		return false;
	if (dir == TO_CLIENT) /* with nothing to answer it is content, too */
		return !in_body || http->waiting || http->surplus;
	return !http1_head__line(&in, &line) || http1_head__request_line(line, &scratch) == 0;
}

static size_t http1__resync(void *state, enum direction dir, struct slice in)
{
	struct http1 *http = state;
	struct side *side = &http->side[dir];
	bool in_body = side->phase == PHASE_CHUNKS || (side->phase == PHASE_LOST && side->chunked);
	size_t at = in.len;

	if (starts_message(http, dir, in)) {
		if (dir == TO_CLIENT && !in_body)
			requests__keep_newest(http);
		*side = (struct side){ .phase = PHASE_HEAD };
		return 0;
	}
	if (in_body)
		at = http1_body__last_chunk(in);
	if (at < in.len)
		*side = (struct side){ .phase = PHASE_CHUNKS };
	else
		*side = (struct side){ .phase = PHASE_LOST, .chunked = in_body };
	return at;
}

static ssize_t http1__parse(void *state, const struct parse_input *in, struct message *out)
{
	struct http1 *http = state;
	struct side *side = &http->side[in->dir];
	size_t passed;

	if (side->phase == PHASE_LOST) {
		passed = http1__resync(state, in->dir, in->bytes);
		if (passed)
			return (ssize_t)passed;
	}
	if (side->phase == PHASE_CHUNKS)
		return parse_chunks(side, in, out);
	return parse_head(http, in, out);
}

const struct protocol protocol_http1 = {
	.id = PROTO_HTTP1,
	.name = "http1",
	.scope = "spanloom/http1",
	.state_size = sizeof(struct http1),
	.traceparent_field = HTTP1_TRACEPARENT,
	.tracestate_field = HTTP1_TRACESTATE,
	.traceparent_count_number = 1 + HTTP1_TRACEPARENTS,
	.parse = http1__parse,
	.resync = http1__resync,
	.describe = http1_span__describe,
	.ignored = http1_span__ignored,
	.exports_traces = http1_span__exports_traces,
};
