// SPDX-License-Identifier: Apache-2.0
/*
 * The HTTP/1.x parser.  Each exchange is read whole, byte by byte and torn
 * at every place, with the input ending on a guard page; the outcome must be the same.
 *
 * Notation of what came out: "<GET /x>" a request, "[200]" a response; "." its end, "+N" the
 * bytes passed over before the end, "~" until close, "T" truncated, "!" another protocol
 * follows, "E" and a number an error.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/mman.h>
#include <unistd.h>

#include "user/protocols/http1_head.h"
#include "user/protocols/protocol.h"

#define ROOM (128 * 1024)

static char *guarded; /* ROOM bytes, behind which any read faults */

static int map_guard(void **unused)
{
	char *at = mmap(NULL, ROOM + (size_t)getpagesize(), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED || mprotect(at + ROOM, (size_t)getpagesize(), PROT_NONE))
		return -1;
	guarded = at;
	return 0;
}

/* ---- a small pipeline --------------------------------------------------------------------- */

struct feed {
	void *state;
	size_t pos[2]; /* next byte to read, by direction */
	uint64_t skip[2];
	uint32_t flags[2]; /* of the fragment that @skip belongs to */
	char said[2][512];
};

static void say(struct feed *f, enum direction dir, const char *text)
{
	size_t at = strlen(f->said[dir]), len = strlen(text);

	assert_true(at + len < sizeof(f->said[dir]));
	memcpy(f->said[dir] + at, text, len + 1);
}

static void say_fragment(struct feed *f, enum direction dir, const struct message *m)
{
	char text[256] = "";
	struct slice method = m->field[HTTP1_METHOD];
	struct slice target = m->field[HTTP1_TARGET];

	if (m->type == MESSAGE_REQUEST && m->flags & MESSAGE_BEGIN)
		snprintf(text, sizeof(text), "<%.*s %.*s>", (int)method.len, method.data,
			 (int)target.len, target.data);
	if (m->type == MESSAGE_RESPONSE && m->flags & MESSAGE_BEGIN)
		snprintf(text, sizeof(text), "[%d]", (int)m->number[HTTP1_STATUS]);
	say(f, dir, text);
	if (m->flags & MESSAGE_TRUNCATED)
		say(f, dir, "T");
	if (m->flags & MESSAGE_UNTIL_CLOSE)
		say(f, dir, "~");
	if (m->flags & MESSAGE_END && m->skip) {
		snprintf(text, sizeof(text), "+%llu", (unsigned long long)m->skip);
		say(f, dir, text);
	}
	if (m->flags & MESSAGE_END)
		say(f, dir, ".");
	if (m->flags & MESSAGE_UNBIND)
		say(f, dir, "!");
}

/* Reads what there is of @in up to @end; false after an error, and where nobody reads on. */
static bool feed__read(struct feed *f, enum direction dir, struct slice in, size_t end, bool cut)
{
	while (f->pos[dir] < end) {
		struct parse_input input = { .dir = dir, .cut = cut };
		struct message m = { 0 };
		size_t len = end - f->pos[dir];
		char text[32];
		ssize_t got;

		if (f->skip[dir]) {
			size_t pass = f->skip[dir] < len ? (size_t)f->skip[dir] : len;

			f->skip[dir] -= pass;
			f->pos[dir] += pass;
			continue;
		}
		input.bytes = slice__of(guarded + ROOM - len, len);
		memcpy(guarded + ROOM - len, in.data + f->pos[dir], len);
		got = protocol_http1.parse(f->state, &input, &m);
		assert_true(got <= (ssize_t)len);
		if (got < 0) {
			snprintf(text, sizeof(text), "E%d", (int)-got);
			say(f, dir, text);
			return false;
		}
		if (got == 0)
			return true;
		say_fragment(f, dir, &m);
		f->pos[dir] += (size_t)got;
		f->skip[dir] = m.skip;
		if (m.flags & (MESSAGE_UNBIND | MESSAGE_UNTIL_CLOSE))
			return false;
	}
	return true;
}

static void feed__init(struct feed *f)
{
	memset(f, 0, sizeof(*f));
	f->state = calloc(1, protocol_http1.state_size);
	assert_non_null(f->state);
}

/* Feeds one direction in two pieces torn at @at, or byte by byte when @at is 0. */
static void feed__torn(struct feed *f, enum direction dir, struct slice in, size_t at)
{
	if (at && !feed__read(f, dir, in, at, false))
		return;
	if (!at)
		for (size_t i = 1; i < in.len; i++)
			if (!feed__read(f, dir, in, i, false))
				return;
	feed__read(f, dir, in, in.len, false);
}

/* ---- exchanges ---------------------------------------------------------------------------- */

struct exchange {
	const char *request, *response;
	const char *requests, *responses; /* expected */
};

#define Q(method)  method " / HTTP/1.1\r\nHost: h\r\n\r\n"
#define OK(fields) "HTTP/1.1 200 OK\r\n" fields "\r\n"

static const struct exchange exchanges[] = {
	{ Q("GET"), OK("Content-Length: 5\r\n") "hello", "<GET />.", "[200]+5." },
	{ Q("GET") Q("GET") Q("HEAD") Q("GET"),
	  OK("Content-Length: 1\r\n") "a" OK("Content-Length: 0\r\n") OK("Content-Length: 99\r\n")
		  OK("Content-Length: 2\r\n") "bb",
	  "<GET />.<GET />.<HEAD />.<GET />.", "[200]+1.[200].[200].[200]+2." },
	{ "POST /p HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc" Q("GET"),
	  "HTTP/1.1 201 Created\r\ncontent-length:0\r\n\r\n" OK("content-length:0\r\n"),
	  "<POST /p>+3.<GET />.", "[201].[200]." },
	{ "POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
	  "4;ext=\"a\"\r\nwiki\r\nA \r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n" Q("GET"),
	  OK("Transfer-Encoding: gzip, chunked\r\n") "3\r\n0\r\n\r\n0\r\n\r\n" OK(
		  "Content-Length: 0\r\n"),
	  "<POST /c>.<GET />.", "[200].[200]." },
	/* chunked wins over a length */
	{ Q("GET"),
	  OK("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n") "0\r\n\r\n" OK(
		  "Content-Length: 0\r\n"),
	  "<GET />.", "[200].[200]." },
	{ Q("GET"), OK("") "until the end", "<GET />.", "[200]~." },
	{ Q("GET"), OK("Transfer-Encoding: gzip\r\nContent-Length: 1\r\n") "x", "<GET />.",
	  "[200]~." },
	{ Q("GET") Q("GET") Q("GET"),
	  "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: "
	  "7\r\n\r\n" OK("Content-Length: 0\r\n"),
	  "<GET />.<GET />.<GET />.", "[204].[304].[200]." },
	{ "PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
	  "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" OK(
		  "Content-Length: 0\r\n"),
	  "<PUT />+2.", "[200]." },
	{ "GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
	  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x05", "<GET /ws>.",
	  "[101].!" },
	{ "CONNECT h:443 HTTP/1.1\r\n\r\n", "HTTP/1.1 200 Established\r\n\r\n\x16\x03",
	  "<CONNECT h:443>.", "[200].!" },
	{ "CONNECT h:443 HTTP/1.1\r\n\r\n" Q("GET"),
	  "HTTP/1.1 407 No\r\nContent-Length: 1\r\n\r\nx" OK("Content-Length: 0\r\n"),
	  "<CONNECT h:443>.<GET />.", "[407]+1.[200]." },
	{ "\r\n\r\n" Q("GET") "\r\n" Q("GET"), "", "<GET />.<GET />.", "" },
	{ "GET / HTTP/1.0\n\n", "HTTP/1.0 200\nContent-Length:1\n\nx", "<GET />.", "[200]+1." },
	{ "GET /a b HTTP/1.1\r\n\r\n", "", "<GET /a b>.", "" },
	{ "M-SEARCH * HTTP/1.1\r\n\r\nget /lower HTTP/1.1\r\n\r\n", "",
	  "<M-SEARCH *>.<get /lower>.", "" },
	{ "POST / HTTP/1.1\r\nContent-Length:\r\n 2\r\n\r\nab" Q("GET"), "", "<POST />+2.<GET />.",
	  "" },
	{ "POST / HTTP/1.1\r\nContent-Length : 2, 2\r\ncontent-length: 2\r\n\r\nab" Q("GET"), "",
	  "<POST />+2.<GET />.", "" },
	{ "GET / HTTP/1.1\r\nno colon\r\n: no name\r\n\r\n", "", "<GET />.", "" },
	{ "POST / HTTP/1.1\r\nContent-Length: 2, 3\r\n\r\n", "", "E74", "" },
	{ "POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n", "", "E74", "" },
	{ "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "", "E74", "" },
	{ "POST / HTTP/1.1\r\nContent-Length: 9999999999999999999\r\n\r\n", "", "E74", "" },
	{ "POST / HTTP/1.1\r\nContent-Length: 999999999999999999\r\n\r\n", "",
	  "<POST />+999999999999999999.", "" },
	{ "", OK("Transfer-Encoding: chunked\r\n") "x\r\n", "", "[200]E74" },
	{ "", OK("Transfer-Encoding: chunked\r\n") "ffffffffffffffff\r\n", "", "[200]E74" },
	{ "", OK("Transfer-Encoding: chunked\r\n") "fffffffffffffff\r\n", "", "[200]" },
	{ "GET / HTTP/2.0\r\n\r\n", "", "E74", "" },
	{ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "", "E74", "" },
	{ "\x16\x03\x01\x02", "\x15\x03\x01", "E74", "E74" },
	{ "+OK\r\n", "-ERR\r\n", "E74", "E74" },
	{ "GET /\r\n", "HTTP/1.1 2000 OK\r\n", "E74", "E74" },
	{ "HTTP/1.1 200 OK\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "E71", "E71" },
};

static void check_exchange(const struct exchange *x, size_t at_request, size_t at_response)
{
	struct feed f;

	feed__init(&f);
	feed__torn(&f, TO_SERVER, slice__str(x->request), at_request);
	feed__torn(&f, TO_CLIENT, slice__str(x->response), at_response);
	if (strcmp(f.said[TO_SERVER], x->requests) != 0 ||
	    strcmp(f.said[TO_CLIENT], x->responses) != 0)
		fail_msg("torn at %zu, %zu: %s|%s, not %s|%s", at_request, at_response,
			 f.said[TO_SERVER], f.said[TO_CLIENT], x->requests, x->responses);
	free(f.state);
}

static void test_exchanges(void **unused)
{
	for (size_t i = 0; i < sizeof(exchanges) / sizeof(exchanges[0]); i++) {
		const struct exchange *x = &exchanges[i];
		size_t request_len = strlen(x->request);
		size_t response_len = strlen(x->response);

		check_exchange(x, request_len, response_len);
		check_exchange(x, 0, 0);
		for (size_t at = 1; at < request_len; at++)
			check_exchange(x, at, response_len);
		for (size_t at = 1; at < response_len; at++)
			check_exchange(x, request_len, at);
	}
}

/* ---- fields ------------------------------------------------------------------------------- */

static const char rich_head[] = "GET /x?y HTTP/1.1\r\n"
				"HOST:h:8080\r\n"
				"Cookie: secret=1\r\n"
				"Authorization: Bearer secret\r\n"
				"user-agent:  curl/8 \t\r\n folded\r\n"
				"TraceParent: first\r\n"
				"traceparent: second\r\n"
				"tracestate: foo=1\r\n"
				"TRACESTATE:\r\n"
				"tracestate: bar=2 , baz=3\r\n"
				"tracestate: last=4\r\n"
				"trace-state: no=1\r\n"
				"Forwarded: for=1.2.3.4\r\n"
				"X-Forwarded-For: 5.6.7.8, 9.9.9.9\r\n"
				"X-Forwarded-For: 7.7.7.7\r\n"
				"X-Forwarded-Proto: https\r\n"
				"X-Forwarded-Host: public\r\n"
				"Upgrade: h2c\r\n"
				"\r\n";

static void assert_field(const struct message *m, enum http1_field field, const char *want)
{
	if (!slice__eq(m->field[field], slice__str(want)))
		fail_msg("field %d is \"%.*s\", not \"%s\"", field, (int)m->field[field].len,
			 m->field[field].data, want);
}

static void test_fields(void **unused)
{
	struct parse_input in = { .dir = TO_SERVER, .bytes = SLICE(rich_head) };
	void *state = calloc(1, protocol_http1.state_size);
	struct message m = { 0 };

	assert_non_null(state);
	assert_int_equal(protocol_http1.parse(state, &in, &m), sizeof(rich_head) - 1);
	assert_field(&m, HTTP1_METHOD, "GET");
	assert_field(&m, HTTP1_TARGET, "/x?y");
	assert_field(&m, HTTP1_VERSION, "1.1");
	assert_field(&m, HTTP1_HOST, "h:8080");
	assert_field(&m, HTTP1_USER_AGENT, "curl/8 \t\r\n folded");
	assert_field(&m, HTTP1_TRACEPARENT, "second");
	assert_int_equal(m.number[protocol_http1.traceparent_count_number - 1], 2);
	assert_field(&m, HTTP1_TRACESTATE, "foo=1,bar=2 , baz=3,last=4");
	assert_field(&m, HTTP1_FORWARDED, "for=1.2.3.4");
	assert_field(&m, HTTP1_FORWARDED_FOR, "5.6.7.8, 9.9.9.9");
	assert_field(&m, HTTP1_FORWARDED_PROTO, "https");
	assert_field(&m, HTTP1_FORWARDED_HOST, "public");
	assert_field(&m, HTTP1_UPGRADE, "h2c");
	for (int i = 0; i < MESSAGE_FIELDS; i++)
		assert_int_equal(slice__search(m.field[i], SLICE("secret")), m.field[i].len);
	free(state);
}

static void test_long_tracestate(void **unused)
{
	char head[2048];
	struct parse_input in = { .dir = TO_SERVER };
	void *state = calloc(1, protocol_http1.state_size);
	struct message m = { 0 };
	int len;

	assert_non_null(state);
	len = snprintf(head, sizeof(head),
		       "GET / HTTP/1.1\r\ntracestate: a=1\r\ntracestate: b=%0600d\r\n"
		       "tracestate: c=3\r\n\r\n",
		       0);
	in.bytes = slice__of(head, (size_t)len);
	assert_int_equal(protocol_http1.parse(state, &in, &m), len);
	assert_field(&m, HTTP1_TRACESTATE, "a=1,c=3");
	free(state);
}

/* ---- cut heads and gaps ------------------------------------------------------------------- */

static void check_cut(enum direction dir, const char *head, const char *want)
{
	struct feed f;

	feed__init(&f);
	feed__read(&f, dir, slice__str(head), strlen(head), true);
	if (strcmp(f.said[dir], want) != 0)
		fail_msg("\"%s\" cut: %s, not %s", head, f.said[dir], want);
	free(f.state);
}

static void test_cut(void **unused)
{
	check_cut(TO_SERVER, "GET /long/pa", "<GET /long/pa>T.");
	check_cut(TO_SERVER, "GET /a HTTP/1.1\r\nHost: h\r\nCoo", "<GET /a>T.");
	check_cut(TO_SERVER, "PUT /a HTTP/1.1\r\nContent-Length: 7\r\nX", "<PUT /a>T+7.");
	check_cut(TO_SERVER, "PUT /a HTTP/1.1\r\nContent-Length: 7", "<PUT /a>T.");
	check_cut(TO_SERVER, "GE", "");
	check_cut(TO_SERVER, "FOO /", "");
	check_cut(TO_CLIENT, "HTTP/1.1 200 O", "[200]T.");
	check_cut(TO_CLIENT, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nSet-", "[200]T+9.");
	check_cut(TO_CLIENT, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nSet-", "[200]T");
	check_cut(TO_CLIENT, "HTTP/1.1 100 Continue\r\nX", "");
	check_cut(TO_CLIENT, "HTTP/1.1 101 Switching\r\nX", "[101].!");
	check_cut(TO_CLIENT, "HTTP/1.", "");
}

/* What resync answers after a gap that follows @before. */
static void check_resync(enum direction dir, const char *before, bool cut, bool asked,
			 const char *after, size_t want)
{
	struct slice in = slice__str(after);
	struct feed f;
	size_t got;

	feed__init(&f);
	feed__read(&f, dir, slice__str(before), strlen(before), cut);
	if (asked)
		feed__read(&f, TO_SERVER, SLICE(Q("GET")), strlen(Q("GET")), false);
	memcpy(guarded + ROOM - in.len, in.data, in.len);
	got = protocol_http1.resync(f.state, dir, slice__of(guarded + ROOM - in.len, in.len));
	if (got != want)
		fail_msg("after \"%s\": \"%s\" goes on at %zu, not %zu", before, after, got, want);
	free(f.state);
}

static void test_resync(void **unused)
{
	static const char chunked[] = OK("Transfer-Encoding: chunked\r\n") "5\r\nhello\r\n";
	static const char cut_chunked[] =
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nSet-Coo";
	static const char upload[] =
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";

	check_resync(TO_SERVER, "", false, false, Q("GET"), 0);
	check_resync(TO_SERVER, "", false, false, "GET /unfinished", 0);
	check_resync(TO_SERVER, "", false, false, "GET /it said\r\n", 14);
	check_resync(TO_SERVER, "", false, false, "xx" Q("GET"), strlen(Q("GET")) + 2);
	check_resync(TO_SERVER, upload, false, false, "data\r\n0\r\n\r\n", 6);
	check_resync(TO_SERVER, upload, false, false, Q("GET"), 0);
	check_resync(TO_CLIENT, "", false, false, OK(""), 0);
	check_resync(TO_CLIENT, "", false, false, "body", 4);
	check_resync(TO_CLIENT, chunked, false, false, "data\r\n0\r\n\r\n", 6);
	check_resync(TO_CLIENT, chunked, false, false, "0\r\n\r\n", 0);
	check_resync(TO_CLIENT, chunked, false, false, "0\r\nA: b\r\n\r\n", 0);
	check_resync(TO_CLIENT, chunked, false, false, "x\r\n0\r\nA: b\r\nC: d\r\n\r\n", 3);
	check_resync(TO_CLIENT, chunked, false, false, "x0\r\n\r\n", 6);
	check_resync(TO_CLIENT, chunked, false, false, "x\r\n0\r\n\r\ny", 9);
	check_resync(TO_CLIENT, chunked, false, false, "x\r\n0\r\n\r\n\r\n0\r\n\r\n", 10);
	check_resync(TO_CLIENT, cut_chunked, true, false, "data\r\n0\r\n\r\n", 6);
	/* in a body, a response is one only when a request waits for it */
	check_resync(TO_CLIENT, chunked, false, false, OK(""), strlen(OK("")));
	check_resync(TO_CLIENT, chunked, false, true, OK(""), 0);
	check_resync(TO_CLIENT, OK("Content-Length: 9\r\n"), false, false, "\r\n0\r\n\r\n", 7);
}

/* After the end of a chunked body was found behind a gap, reading goes on with the next one. */
static void test_after_gap(void **unused)
{
	static const char head[] = OK("Transfer-Encoding: chunked\r\n");
	static const char end[] = "x\r\n0\r\n\r\n";
	struct feed f;

	feed__init(&f);
	feed__read(&f, TO_CLIENT, SLICE(head), sizeof(head) - 1, false);
	f.pos[TO_CLIENT] = protocol_http1.resync(f.state, TO_CLIENT, SLICE(end));
	assert_int_equal(f.pos[TO_CLIENT], 3);
	feed__read(&f, TO_CLIENT, SLICE(end), sizeof(end) - 1, false);
	f.pos[TO_CLIENT] = 0;
	feed__read(&f, TO_CLIENT, SLICE(head), sizeof(head) - 1, false);
	assert_string_equal(f.said[TO_CLIENT], "[200].[200]");
	free(f.state);
}

/* A lost response of a HEAD request must not take the next response's body away. */
static void test_lost_response(void **unused)
{
	static const char requests[] = Q("HEAD") Q("GET");
	static const char response[] = OK("Content-Length: 2\r\n") "ab";
	struct feed f;

	feed__init(&f);
	feed__read(&f, TO_SERVER, SLICE(requests), sizeof(requests) - 1, false);
	assert_int_equal(protocol_http1.resync(f.state, TO_CLIENT, SLICE(response)), 0);
	feed__read(&f, TO_CLIENT, SLICE(response), sizeof(response) - 1, false);
	assert_string_equal(f.said[TO_CLIENT], "[200]+2.");
	free(f.state);
}

/* More requests in flight than are remembered: the ones beyond are taken for ordinary. */
static void test_deep_pipeline(void **unused)
{
	static const char request[] = Q("HEAD");
	static const char response[] = OK("Content-Length: 0\r\n");
	struct feed f;

	feed__init(&f);
	for (int i = 0; i < 1000; i++) {
		f.pos[TO_SERVER] = 0;
		f.said[TO_SERVER][0] = '\0';
		feed__read(&f, TO_SERVER, SLICE(request), sizeof(request) - 1, false);
		assert_string_equal(f.said[TO_SERVER], "<HEAD />.");
	}
	for (int i = 0; i < 1001; i++) {
		f.pos[TO_CLIENT] = 0;
		f.said[TO_CLIENT][0] = '\0';
		feed__read(&f, TO_CLIENT, SLICE(response), sizeof(response) - 1, false);
		assert_string_equal(f.said[TO_CLIENT], "[200].");
	}
	free(f.state);
}

static void test_endless_head(void **unused)
{
	struct parse_input in = { .dir = TO_SERVER };
	void *state = calloc(1, protocol_http1.state_size);
	struct message m = { 0 };

	assert_non_null(state);
	memset(guarded, 'a', ROOM);
	memcpy(guarded, "GET /", 5);
	in.bytes = slice__of(guarded, HTTP1_HEAD_MAX);
	assert_int_equal(protocol_http1.parse(state, &in, &m), 0);
	in.bytes = slice__of(guarded, HTTP1_HEAD_MAX + 1);
	assert_int_equal(protocol_http1.parse(state, &in, &m), -EBADMSG);
	free(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exchanges),	cmocka_unit_test(test_fields),
		cmocka_unit_test(test_long_tracestate), cmocka_unit_test(test_cut),
		cmocka_unit_test(test_resync),		cmocka_unit_test(test_after_gap),
		cmocka_unit_test(test_lost_response),	cmocka_unit_test(test_deep_pipeline),
		cmocka_unit_test(test_endless_head),
	};

	return cmocka_run_group_tests(tests, map_guard, NULL);
}
