// SPDX-License-Identifier: Apache-2.0
/*
 * FastCGI 1.0, both sides of a connection: a web server hands HTTP requests on to an application.
 *
 * A request is one fragment: BEGIN_REQUEST and all of its PARAMS.  Its input is passed over.  A
 * response is a fragment per record, up to END_REQUEST; the header in its output is read, the
 * rest is passed over.  One request at a time, as all servers do it: what is multiplexed is not
 * read on.
 */
#include "bpf/classify/fastcgi.h"

#include "user/flow/span.h"
#include "user/protocols/cgi_head.h"
#include "user/protocols/fastcgi_params.h"
#include "user/protocols/http1_head.h"
#include "user/protocols/http1_span.h"
#include "user/protocols/protocol.h"

#define PARAMS_MAX (128 * 1024) /* bytes of a request, records and all; more is none */
#define PROBE_LEN  64		/* bytes that the classifier reads */

enum number {
	FASTCGI_STATUS = HTTP1_NUMBERS, /* protocolStatus of END_REQUEST, where that is an error */
};

_Static_assert(FASTCGI_STATUS < MESSAGE_NUMBERS, "numbers must fit");

struct fastcgi {
	bool open;     /* a request was read, and no END_REQUEST */
	bool answered; /* a record of its response was */
	uint16_t id;   /* of the request */
	uint32_t need; /* bytes that the request being read has at least */
	uint16_t left; /* bytes of output that may be its header, and the padding behind them */
	uint8_t padding;
	struct cgi_head head;
	struct fastcgi_params params;
};

struct record {
	uint8_t type;
	uint16_t id;
	uint16_t len;
	uint8_t padding;
};

/* ---- records ------------------------------------------------------------------------------ */

/* The types that the one side sends, and the other: bits. */
static unsigned int types_of(enum direction dir)
{
	if (dir == TO_SERVER)
		return 1U << FASTCGI_BEGIN_REQUEST | 1U << FASTCGI_ABORT_REQUEST |
		       1U << FASTCGI_PARAMS | 1U << FASTCGI_STDIN | 1U << FASTCGI_DATA |
		       1U << FASTCGI_GET_VALUES;
	return 1U << FASTCGI_END_REQUEST | 1U << FASTCGI_STDOUT | 1U << FASTCGI_STDERR |
	       1U << FASTCGI_GET_VALUES_RESULT | 1U << FASTCGI_UNKNOWN_TYPE;
}

/* 1: @out is the header at the head of @in; 0: that is cut; else an error as of protocol->parse. */
static int record__read(enum direction dir, struct slice in, struct record *out)
{
	struct reader r = reader__of(in);
	uint64_t version = reader__be(&r, 1);

	out->type = (uint8_t)reader__be(&r, 1);
	out->id = (uint16_t)reader__be(&r, 2);
	out->len = (uint16_t)reader__be(&r, 2);
	out->padding = (uint8_t)reader__be(&r, 1);
	reader__be(&r, 1);
	if (in.len && version != FASTCGI_VERSION)
		return -EBADMSG;
	if (r.bad)
		return 0;
	if (out->type > FASTCGI_UNKNOWN_TYPE)
		return -EBADMSG;
	if (types_of(dir) >> out->type & 1)
		return 1;
	return types_of(!dir) >> out->type & 1 ? -EPROTO : -EBADMSG;
}

/* The record tells nothing. */
static ssize_t pass_over(const struct record *record, struct message *out)
{
	out->skip = record->len + record->padding;
	return FASTCGI_HEADER;
}

/* Two requests at a time: whose is what is not followed. */
static ssize_t give_up(struct message *out)
{
	out->flags |= MESSAGE_UNBIND;
	return FASTCGI_HEADER;
}

/* ---- requests ----------------------------------------------------------------------------- */

/* At @rest of @in @size bytes are to come: before they are there it need not be looked at again. */
static bool is_there(struct fastcgi *f, const struct parse_input *in, struct slice rest,
		     size_t size)
{
	f->need = (uint32_t)(in->bytes.len - rest.len + size);
	return in->bytes.len >= f->need || in->cut;
}

/*
 * Takes the record, whose header is at the head of @rest, off it; its @content, as far as it was
 * captured: what is missing is to be skipped, and @rest empty.  False: more bytes are needed.
 */
static bool take(struct fastcgi *f, const struct parse_input *in, const struct record *record,
		 struct slice *rest, struct slice *content, struct message *out)
{
	size_t size = FASTCGI_HEADER + (size_t)record->len + record->padding;

	if (!is_there(f, in, *rest, size))
		return false;
	*content = slice__head(slice__skip(*rest, FASTCGI_HEADER), record->len);
	if (rest->len < size) {
		out->skip = size - rest->len;
		out->flags |= MESSAGE_TRUNCATED;
	}
	*rest = slice__skip(*rest, size);
	return true;
}

/* Reads the parameters off @rest.  1, or as protocol->parse. */
static int read_params(struct fastcgi *f, uint16_t id, const struct parse_input *in,
		       struct slice *rest, struct message *out)
{
	struct record record;
	struct slice content;
	int err;

	fastcgi_params__start(&f->params);
	do {
		err = record__read(TO_SERVER, *rest, &record);
		if (err < 0)
			return -EBADMSG;
		if (!is_there(f, in, *rest, FASTCGI_HEADER))
			return 0;
		if (err == 0) {
			*rest = slice__skip(*rest, rest->len);
			out->flags |= MESSAGE_TRUNCATED;
			break;
		}
		if (record.type != FASTCGI_PARAMS || record.id != id)
			break; /* that should have been said by an empty record */
		if (!take(f, in, &record, rest, &content, out))
			return 0;
		fastcgi_params__read(&f->params, content, out);
	} while (record.len);
	fastcgi_params__end(&f->params, out);
	return 1;
}

static ssize_t parse_begin(struct fastcgi *f, const struct parse_input *in,
			   const struct record *record, struct message *out)
{
	struct slice rest = in->bytes, body;
	int err;

	if (f->open && record->id != f->id)
		return give_up(out);
	if (in->bytes.len > PARAMS_MAX)
		return -EBADMSG;
	if (in->bytes.len < f->need && !in->cut)
		return 0;
	if (!take(f, in, record, &rest, &body, out))
		return 0;
	err = read_params(f, record->id, in, &rest, out);
	if (err <= 0)
		return err;
	f->open = true;
	f->answered = false;
	f->id = record->id;
	f->need = 0;
	f->left = 0;
	f->head = (struct cgi_head){ 0 };
	out->type = MESSAGE_REQUEST;
	out->flags |= MESSAGE_BEGIN | MESSAGE_END;
	return (ssize_t)(in->bytes.len - rest.len);
}

/* ---- responses ---------------------------------------------------------------------------- */

static void begin_answer(struct fastcgi *f, struct message *out)
{
	out->type = MESSAGE_RESPONSE;
	if (!f->answered)
		out->flags |= MESSAGE_BEGIN;
	f->answered = true;
}

/* The header in the output, as far as it is there. */
static ssize_t read_head(struct fastcgi *f, const struct parse_input *in, struct message *out)
{
	struct slice content = slice__head(in->bytes, f->left);
	size_t len = cgi_head__read(&f->head, content);
	int status;

	out->type = MESSAGE_RESPONSE;
	f->left = (uint16_t)(f->left - len);
	if (f->head.done) {
		status = cgi_head__status(&f->head);
		if (status)
			message__number(out, HTTP1_STATUS, status);
	} else if (f->left && in->cut && len == in->bytes.len) {
		f->head.done = true; /* without its end nothing is certain */
		out->flags |= MESSAGE_TRUNCATED;
	}
	if (f->head.done || !f->left) {
		out->skip = (uint64_t)f->left + f->padding;
		f->left = 0;
	}
	return (ssize_t)len;
}

static ssize_t parse_end(struct fastcgi *f, const struct parse_input *in,
			 const struct record *record, struct message *out)
{
	size_t len = FASTCGI_HEADER + (size_t)record->len;
	struct reader body = reader__of(slice__head(slice__skip(in->bytes, FASTCGI_HEADER), len));
	uint64_t status;

	if (in->bytes.len < len && !in->cut)
		return 0;
	begin_answer(f, out);
	reader__be(&body, 4); /* the exit status of the application: nobody's error by itself */
	status = reader__be(&body, 1);
	if (status)
		message__number(out, FASTCGI_STATUS, (int64_t)status);
	out->flags |= MESSAGE_END;
	out->skip = record->padding;
	if (len > in->bytes.len) {
		out->skip += len - in->bytes.len;
		len = in->bytes.len;
	}
	f->open = false;
	f->answered = false;
	f->head = (struct cgi_head){ 0 };
	return (ssize_t)len;
}

static ssize_t parse_answer(struct fastcgi *f, const struct parse_input *in,
			    const struct record *record, struct message *out)
{
	if (!record->id) /* of the connection, not of a request */
		return pass_over(record, out);
	if (f->open && record->id != f->id)
		return give_up(out);
	if (record->type == FASTCGI_END_REQUEST)
		return parse_end(f, in, record, out);
	begin_answer(f, out);
	if (record->type != FASTCGI_STDOUT || f->head.done || !record->len)
		return pass_over(record, out);
	f->left = record->len;
	f->padding = record->padding;
	return FASTCGI_HEADER;
}

/* ---- the protocol ------------------------------------------------------------------------- */

static ssize_t fastcgi__parse(void *state, const struct parse_input *in, struct message *out)
{
	struct fastcgi *f = state;
	struct record record;
	int err;

	if (in->dir == TO_CLIENT && f->left)
		return read_head(f, in, out);
	err = record__read(in->dir, in->bytes, &record);
	if (err <= 0)
		return err;
	if (in->dir == TO_CLIENT)
		return parse_answer(f, in, &record, out);
	if (record.type == FASTCGI_BEGIN_REQUEST)
		return parse_begin(f, in, &record, out);
	return pass_over(&record, out);
}

static enum match classify(struct slice in)
{
	__u8 probe[PROBE_LEN] = { 0 };
	size_t len = in.len < sizeof(probe) ? in.len : sizeof(probe);

	if (len)
		memcpy(probe, in.data, len);
	return classify_fastcgi(probe, (__u32)len, (__u32)len, 0);
}

/* Behind the last output nothing is sent: what ends a response ends the bytes that were sent at
 * once.  Offset of that, in.len when it is not there. */
static size_t last_record(const struct fastcgi *f, struct slice in)
{
	struct slice last = slice__skip(in, in.len - FASTCGI_BOUNDARY);
	struct record record;

	if (in.len < FASTCGI_BOUNDARY || !fastcgi_is_end((const __u8 *)last.data))
		return in.len; /* what PHP sends in the reserved bytes is of the output before */
	if (record__read(TO_CLIENT, last, &record) != 1 || (f->open && record.id != f->id))
		return in.len;
	return in.len - FASTCGI_BOUNDARY;
}

/* While a request waits for its response, or for the end of it, nothing else begins: what looks so
 * is content. */
static size_t fastcgi__resync(void *state, enum direction dir, struct slice in)
{
	struct fastcgi *f = state;
	enum match match = classify(in);

	if (dir == TO_SERVER) {
		f->need = 0;
		return !f->open && match == MATCH_REQUEST ? 0 : in.len;
	}
	if (f->open && !f->answered && match == MATCH_RESPONSE)
		return 0;
	f->left = 0;
	f->head.done = true;
	return last_record(f, in);
}

/* ---- the span ----------------------------------------------------------------------------- */

static struct slice error_of(int64_t status)
{
	static const struct slice names[] = {
		SLICE("CANT_MPX_CONN"),
		SLICE("OVERLOADED"),
		SLICE("UNKNOWN_ROLE"),
	};

	return status <= 3 ? names[status - 1] : SLICE("_OTHER");
}

static void fastcgi__describe(const struct transaction *txn, const struct flow_config *config,
			      struct span *span)
{
	http1_span__describe(txn, config, span);
	if (txn->response.number_mask & 1U << FASTCGI_STATUS)
		span__fail(span, error_of(txn->response.number[FASTCGI_STATUS]));
}

const struct protocol protocol_fastcgi = {
	.id = PROTO_FASTCGI,
	.name = "fastcgi",
	.scope = "spanloom/fastcgi",
	.state_size = sizeof(struct fastcgi),
	.traceparent_field = HTTP1_TRACEPARENT,
	.tracestate_field = HTTP1_TRACESTATE,
	.traceparent_count_number = 1 + HTTP1_TRACEPARENTS,
	.parse = fastcgi__parse,
	.resync = fastcgi__resync,
	.describe = fastcgi__describe,
	.ignored = http1_span__ignored,
};
