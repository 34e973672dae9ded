// SPDX-License-Identifier: Apache-2.0
/*
 * The kernel's reader of request heads.  Each head is read whole, byte by byte and torn at every
 * place, with bytes behind each piece that would mislead, and with a guard page behind them; the
 * outcome must be the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/head.h"
#include "user/flow/tracestate.h"
#include "user/protocols/http1_head.h"

#define T	  "12345678901234567890123456789012"
#define P	  "1234567890123456"
#define PARENT	  "00-" T "-" P "-01"
#define OTHER	  "00-" T "-" P "-00"

#define START	  "GET /x HTTP/1.1\r\nHost: a\r\n"
#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))
#define HEAD_ROOM (70 * 1024)

static struct head_work *work; /* behind it any read faults */

static int map_guard(void **unused)
{
	size_t page = (size_t)getpagesize();
	size_t room = (sizeof(*work) + page - 1) / page * page;
	char *at =
		mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED || mprotect(at + room, page, PROT_NONE))
		return -1;
	work = (struct head_work *)(at + room - sizeof(*work));
	return 0;
}

/* ---- reading ------------------------------------------------------------------------------ */

static const char misleading[] =
	"\r\n\r\ntraceparent: 00-\r\ntracestate: a=1\r\n\n\n        \n\t\r\n";

static size_t scan(struct slice piece)
{
	size_t skip = piece.len & 1; /* CR LF comes next, or LF */

	memset(work->bytes, '\n', sizeof(work->bytes));
	memcpy(work->bytes + HEAD_WINDOW, misleading, sizeof(misleading));
	memcpy(work->bytes, piece.data, piece.len);
	if (piece.len < HEAD_WINDOW - sizeof(misleading))
		memcpy(work->bytes + piece.len, misleading + skip, sizeof(misleading) - skip);
	work->len = (uint32_t)piece.len;
	return head__scan(work);
}

/* Reads @in in pieces of at most @step bytes, but for the first one of @first; what was used. */
static size_t feed(struct slice in, size_t first, size_t step)
{
	size_t used = 0;

	memset(&work->head, 0xa5, sizeof(work->head));
	head__start(&work->head);
	while (used < in.len && !work->head.done && !work->head.broken) {
		struct slice piece = slice__head(slice__skip(in, used), used ? step : first);
		size_t got = scan(piece);

		assert_true(got <= piece.len);
		assert_true(got == piece.len || work->head.done);
		used += got;
	}
	return used;
}

static size_t feed_whole(struct slice in)
{
	return feed(in, HEAD_WINDOW, HEAD_WINDOW);
}

/* What a caller may look at. */
static struct head visible(void)
{
	struct head h = work->head;
	size_t parent_len = h.parent_len < HEAD_PARENT_MAX ? h.parent_len : HEAD_PARENT_MAX;

	memset(h.tail, 0, sizeof(h.tail));
	memset(h.traceparent + parent_len, 0, HEAD_PARENT_MAX - parent_len);
	memset(h.tracestate + h.state_len, 0, sizeof(h.tracestate) - h.state_len);
	if (h.done)
		h.unfinished = h.last = 0;
	if (h.broken) {
		memset(&h, 0, sizeof(h));
		h.broken = 1;
	}
	return h;
}

static void expect_same(struct slice in, const struct head *want, size_t used, const char *how)
{
	struct head got = visible();

	if (memcmp(&got, want, sizeof(got)) || (!want->broken && used != work->head.size))
		fail_msg("%s differs: \"%.*s\"", how, (int)in.len, in.data);
}

/* Reads @in in every way; leaves it read whole. */
static void read_head(struct slice in)
{
	size_t used = feed_whole(in);
	struct head want = visible();

	for (size_t cut = 1; cut < in.len; cut++) {
		used = feed(in, cut, HEAD_WINDOW);
		expect_same(in, &want, used, "torn in two");
	}
	for (size_t step = 1; step < 24; step += 11) {
		used = feed(in, step, step);
		expect_same(in, &want, used, "in small pieces");
	}
	used = feed_whole(in);
	expect_same(in, &want, used, "again");
}

/* ---- trace context ------------------------------------------------------------------------ */

struct context_case {
	const char *fields;
	int valid;
	const char *state; /* in normal form */
};

#define Z16	 "zzzzzzzzzzzzzzzz"
#define Z64	 Z16 Z16 Z16 Z16
#define Z256	 Z64 Z64 Z64 Z64
#define M8	 "a=1,b=2,c=3,d=4,e=5,f=6,g=7,h=8"
#define M16	 M8 ",i=1,j=2,k=3,l=4,m=5,n=6,o=7,p=8"
#define ALL_KEYS "abcdefghijklmnopqrstuvwxyz0123456789_-*/@"
#define ALL_VALUES                                                                                 \
	" !\"#$%&'()*+-./0123456789:;<>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ"                               \
	"[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"
#define FULL_B "b=" Z64 Z64 Z64 Z16 Z16 Z16 "zzzzzzzzzzz"
#define FULL   "a=" Z256 "," FULL_B
#define TP     "traceparent: " PARENT "\r\n"
#define TS     "tracestate: "

static const struct context_case contexts[] = {
	{ "", 0, "" },
	{ TP, 1, "" },
	{ "traceparent:" PARENT "\r\n", 1, "" },
	{ "traceparent: " PARENT "\n", 1, "" },
	{ TP "traceparent: 00-" T "-" P "-02\r\n", 0, "" },
	{ TP TP, 0, "" },
	{ "trace-parent: " PARENT "\r\n", 0, "" },
	{ "trace.parent: " PARENT "\r\n", 0, "" },
	{ "traceparent : " PARENT "\r\n", 0, "" },
	{ "xtraceparent: " PARENT "\r\n", 0, "" },
	{ "traceparents: " PARENT "\r\n", 0, "" },
	{ "TraceParent: " PARENT "\r\n", 1, "" },
	{ "TrAcEpArEnT: " PARENT "\r\n", 1, "" },
	{ "TRACEPARENT: " PARENT "\r\n", 1, "" },
	{ "traceparent: " PARENT ".\r\n", 0, "" },
	{ "traceparent: " PARENT "-what-the-future-will-be-like\r\n", 0, "" },
	{ "traceparent: cc-" T "-" P "-01\r\n", 1, "" },
	{ "traceparent: cc-" T "-" P "-01-what-the-future-will-be-like\r\n", 1, "" },
	{ "traceparent: cc-" T "-" P "-01-" Z256 "\r\n", 1, "" },
	{ "traceparent: 00-" T "-" P "-01-" Z256 "\r\n", 0, "" },
	{ "traceparent: cc-" T "-" P "-01.what-the-future-will-be-like\r\n", 0, "" },
	{ "traceparent: ff-" T "-" P "-01\r\n", 0, "" },
	{ "traceparent: .0-" T "-" P "-01\r\n", 0, "" },
	{ "traceparent: 0.-" T "-" P "-01\r\n", 0, "" },
	{ "traceparent: 000-" T "-" P "-01\r\n", 0, "" },
	{ "traceparent: 0000-" T "-" P "-01\r\n", 0, "" },
	{ "traceparent: 0-" T "-" P "-01\r\n", 0, "" },
	{ "traceparent: 00-00000000000000000000000000000000-" P "-01\r\n", 0, "" },
	{ "traceparent: 00-" T "3-" P "-01\r\n", 0, "" },
	{ "traceparent: 00-1234567890123456789012345678901-" P "-01\r\n", 0, "" },
	{ "traceparent: 00-.2345678901234567890123456789012-" P "-01\r\n", 0, "" },
	{ "traceparent: 00-" T "-0000000000000000-01\r\n", 0, "" },
	{ "traceparent: 00-" T "-" P "7-01\r\n", 0, "" },
	{ "traceparent: 00-" T "-123456789012345-01\r\n", 0, "" },
	{ "traceparent: 00-" T "-.234567890123456-01\r\n", 0, "" },
	{ "traceparent: 00-" T "-" P "-.0\r\n", 0, "" },
	{ "traceparent: 00-" T "-" P "-0.\r\n", 0, "" },
	{ "traceparent: 00-" T "-" P "-001\r\n", 0, "" },
	{ "traceparent: 00-" T "-" P "-1\r\n", 0, "" },
	{ "traceparent: 00-1234567890123456789012345678901A-" P "-01\r\n", 0, "" },
	{ "traceparent: 00-" T "-" P "-ff\r\n", 1, "" },
	{ "traceparent:  " PARENT "\r\n", 1, "" },
	{ "traceparent:\t" PARENT "\r\n", 1, "" },
	{ "traceparent: " PARENT " \r\n", 1, "" },
	{ "traceparent: " PARENT "\t\r\n", 1, "" },
	{ "traceparent:\t \t" PARENT " \t \t\r\n", 1, "" },
	{ "traceparent:                              " PARENT "                          \r\n", 1,
	  "" },
	{ "traceparent:\r\n " PARENT "\r\n", 0, "" },
	{ "traceparent: " PARENT "\r\n -x\r\n", 0, "" },
	{ "traceparent: " PARENT "\r\nAccept: a\r\n b\r\n", 1, "" },
	{ "traceparent:\r\n", 0, "" },
	{ "traceparent", 0, "" },
	{ TP TS "foo=1\r\n", 1, "foo=1" },
	{ TP TS "foo=1,bar=2\r\n", 1, "foo=1,bar=2" },
	{ TS "foo=1,bar=2\r\n" TP, 1, "foo=1,bar=2" },
	{ TP "trace-state: foo=1\r\n", 1, "" },
	{ TP "trace.state: foo=1\r\n", 1, "" },
	{ TP "tracestates: foo=1\r\n", 1, "" },
	{ TP "TraceState: foo=1\r\n", 1, "foo=1" },
	{ TP "TrAcEsTaTe: foo=1\r\n", 1, "foo=1" },
	{ TP "TRACESTATE: foo=1\r\n", 1, "foo=1" },
	{ TP TS "\r\n", 1, "" },
	{ TP TS "foo=1\r\n" TS "\r\n", 1, "foo=1" },
	{ TP TS "\r\n" TS "foo=1\r\n", 1, "foo=1" },
	{ TP TS "foo=1,bar=2\r\n" TS "rojo=1,congo=2\r\n" TS "baz=3\r\n", 1,
	  "foo=1,bar=2,rojo=1,congo=2,baz=3" },
	{ TP TS "foo=1,foo=1\r\n", 1, "foo=1" },
	{ TP TS "foo=1,foo=2\r\n", 1, "foo=1" },
	{ TP TS "foo=1\r\n" TS "foo=2\r\n", 1, "foo=1" },
	{ TP TS "a=1,b=2,a=3,c=4,b=5\r\n", 1, "a=1,b=2,c=4" },
	{ TP TS ALL_KEYS "=" ALL_VALUES "\r\n", 1, ALL_KEYS "=" ALL_VALUES },
	{ TP TS "foo=1 \t , \t bar=2, \t baz=3\r\n", 1, "foo=1,bar=2,baz=3" },
	{ TP TS "foo=1\t \t,\t \tbar=2,\t \tbaz=3\r\n", 1, "foo=1,bar=2,baz=3" },
	{ TP TS " foo=1\r\n", 1, "foo=1" },
	{ TP TS "\tfoo=1\r\n", 1, "foo=1" },
	{ TP TS "foo=1 \r\n", 1, "foo=1" },
	{ TP TS "foo=1\t\r\n", 1, "foo=1" },
	{ TP TS "\t foo=1 \t\r\n", 1, "foo=1" },
	{ TP TS "foo= 1\r\n", 1, "foo= 1" },
	{ TP TS ",foo=1,,bar=2,\r\n", 1, "foo=1,bar=2" },
	{ TP TS ",\r\n", 1, "" },
	{ TP TS "foo =1\r\n", 1, "" },
	{ TP TS "FOO=1\r\n", 1, "" },
	{ TP TS "foo.bar=1\r\n", 1, "" },
	{ TP TS "foo@=1,bar=2\r\n", 1, "foo@=1,bar=2" },
	{ TP TS "foo@@bar=1,bar=2\r\n", 1, "foo@@bar=1,bar=2" },
	{ TP TS "foo@bar@baz=1,bar=2\r\n", 1, "foo@bar@baz=1,bar=2" },
	{ TP TS "@foo=1,bar=2\r\n", 1, "" },
	{ TP TS "0foo=1\r\n", 1, "0foo=1" },
	{ TP TS M16 "\r\n" TS "q=1,r=2,s=3,t=4,u=5,v=6,w=7,x=8\r\n" TS "y=1,z=2,0=3,1=4,2=5\r\n" TS
		    "3=6,4=7,5=8\r\n",
	  1, M16 ",q=1,r=2,s=3,t=4,u=5,v=6,w=7,x=8,y=1,z=2,0=3,1=4,2=5,3=6,4=7,5=8" },
	{ TP TS M16 "\r\n" TS "q=1,r=2,s=3,t=4,u=5,v=6,w=7,x=8\r\n" TS "y=1,z=2,0=3,1=4,2=5\r\n" TS
		    "3=6,4=7,5=8,6=9\r\n",
	  1, "" },
	{ TP TS "foo=1," Z256 "=1\r\n", 1, "foo=1," Z256 "=1" },
	{ TP TS "foo=1," Z256 "z=1\r\n", 1, "" },
	{ TP TS "foo=" Z256 "\r\n", 1, "foo=" Z256 },
	{ TP TS "foo=" Z256 "z\r\n", 1, "" },
	{ TP TS "foo=bar=baz\r\n", 1, "" },
	{ TP TS "foo=,bar=3\r\n", 1, "" },
	{ TP TS "foo,bar=3\r\n", 1, "" },
	{ TP TS "=1\r\n", 1, "" },
	{ TP TS "foo=a\tb\r\n", 1, "" },
	{ TP TS "foo=\x7f\r\n", 1, "" },
	{ TP TS "foo=\xc3\xa4\r\n", 1, "" },
	{ TP TS "foo=1\r\n\tbar=2\r\n", 1, "" },
	{ TP TS "foo=" Z256 "\r\n\tbar=2\r\n", 1, "" },
	{ TP TS "foo=1\r\nAccept: x\r\n y\r\n", 1, "foo=1" },
	/* 512 bytes, and one more */
	{ TP TS FULL "\r\n", 1, FULL },
	{ TP TS FULL "z\r\n", 1, "" },
	{ TP TS FULL " \t  \t\r\n", 1, FULL },
	{ TP TS "a=" Z256 "\r\n" TS FULL_B "\r\n", 1, FULL },
	{ TP TS "a=" Z256 "\r\n" TS FULL_B "z\r\n", 1, "" },
};

static void expect_state(const char *text, const char *want)
{
	struct slice got;

	head__normalise(work);
	got = slice__of(work->head.tracestate, work->head.state_len);
	if (!slice__eq(got, slice__str(want)))
		fail_msg("\"%s\" gives \"%.*s\"", text, (int)got.len, got.data);
}

static void test_context(void **unused)
{
	static const uint8_t id[16] = { 0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56,
					0x78, 0x90, 0x12, 0x34, 0x56, 0x78, 0x90, 0x12 };

	for (size_t i = 0; i < COUNT(contexts); i++) {
		const struct context_case *c = &contexts[i];
		struct traceparent out;
		char text[2048];

		snprintf(text, sizeof(text), START "%s%s\r\nbody", c->fields,
			 strchr(c->fields, '\n') || !*c->fields ? "" : "\r\n");
		read_head(slice__str(text));
		assert_true(work->head.done);
		assert_int_equal(work->head.size, strlen(text) - 4);
		if (head__context(&work->head, &out) != c->valid)
			fail_msg("\"%s\"", text);
		if (c->valid)
			assert_memory_equal(out.trace_id, id, 16);
		expect_state(text, c->state);
	}
}

/* ---- framing and form --------------------------------------------------------------------- */

struct form_case {
	const char *head;
	const char *want; /* what say() makes of it */
};

static const struct form_case forms[] = {
	{ "GET / HTTP/1.1\r\n\r\n", "done" },
	{ "GET / HTTP/1.0\n\n", "done" },
	{ "\r\n\n\r\nGET / HTTP/1.1\r\n\r\n", "done" },
	{ "M-SEARCH_X * HTTP/1.1\r\n\r\n", "done" },
	{ "ABCDEFGHIJKLMNOPQRST / HTTP/1.1\r\n\r\n", "done" },
	{ "ABCDEFGHIJKLMNOPQRSTU / HTTP/1.1\r\n\r\n", "broken" },
	{ "GET /" Z256 Z256 " HTTP/1.1\r\n\r\n", "done" },
	{ "GET /" Z256 Z256 " HTTP/1.11\r\n\r\n", "broken" },
	{ "GET /a b HTTP/1.1\r\n\r\n", "done" },
	{ "GET / HTTP/1.1", "" },
	{ "GET / HTTP/1.1\r\n\r", "" },
	{ "GE", "" },
	{ "\r", "" },
	{ "", "" },
	{ "get / HTTP/1.1\r\n\r\n", "broken" },
	{ "g", "broken" },
	{ " GET / HTTP/1.1\r\n\r\n", "broken" },
	{ "GET  / HTTP/1.1\r\n\r\n", "broken" },
	{ "GET HTTP/1.1\r\n\r\n", "broken" },
	{ "GET  HTTP/1.1\r\n\r\n", "broken" },
	{ "GET /\r\n\r\n", "broken" },
	{ "GET\r\n\r\n", "broken" },
	{ "GET / HTTP/2.0\r\n\r\n", "broken" },
	{ "GET / HTTP/1.x\r\n\r\n", "broken" },
	{ "GET / HTTP/1.1 \r\n\r\n", "broken" },
	{ "GET / HTTP/1.1\r\r\n\r\n", "broken" },
	{ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "broken" },
	{ "HTTP/1.1 200 OK\r\n\r\n", "broken" },
	{ "\x16\x03\x01", "broken" },
	{ "GET / HTTP/1.1\r\n folded: to what\r\n\r\n", "broken" },
	{ "CONNECT a:1 HTTP/1.1\r\n\r\n", "done upgrade" },
	{ START "Upgrade: websocket\r\n\r\n", "done upgrade" },
	{ START "upgrade:h2c\r\n\r\n", "done upgrade" },
	{ START "Upgrade-Insecure-Requests: 1\r\n\r\n", "done" },
	{ START "Content-Length: 5\r\n\r\n", "done len=5" },
	{ START "content-length:0\r\n\r\n", "done len=0" },
	{ START "CONTENT-LENGTH: \t 17 \t \r\n\r\n", "done len=17" },
	{ START "Content-Length: 5\n\n", "done len=5" },
	{ START "Content-Length: 000000000000000005\r\n\r\n", "done len=5" },
	{ START "Content-Length: 999999999999999999\r\n\r\n", "done len=999999999999999999" },
	{ START "Content-Length: 1000000000000000000\r\n\r\n", "broken" },
	{ START "Content-Length: 18446744073709551617\r\n\r\n", "broken" },
	{ START "Content-Length: 5, 5\r\n\r\n", "done len=5" },
	{ START "Content-Length: 5,5 ,5\r\n\r\n", "done len=5" },
	{ START "Content-Length: 5, 6\r\n\r\n", "broken" },
	{ START "Content-Length: 5,\r\n\r\n", "broken" },
	{ START "Content-Length: ,5\r\n\r\n", "broken" },
	{ START "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", "done len=5" },
	{ START "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", "broken" },
	{ START "Content-Length: 5\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", "broken" },
	{ START "Content-Length: +5\r\n\r\n", "broken" },
	{ START "Content-Length: -5\r\n\r\n", "broken" },
	{ START "Content-Length: 0x5\r\n\r\n", "broken" },
	{ START "Content-Length: 5 5\r\n\r\n", "broken" },
	{ START "Content-Length:\r\n\r\n", "broken" },
	{ START "Content-Length: 5\r\n 6\r\n\r\n", "broken" },
	{ START "Content-Length: 5" Z256 "\r\n\r\n", "broken" },
	{ START "Content\rLength: 5\r\n\r\n", "done" },
	{ START "Content-Length : 5\r\n\r\n", "done" },
	{ START "Content-Type: 5\r\n\r\n", "done" },
	{ START "Transfer-Encoding: chunked\r\n\r\n", "done chunked" },
	{ START "TRANSFER-ENCODING:CHUNKED \r\n\r\n", "done chunked" },
	{ START "Transfer-Encoding: gzip, chunked\r\n\r\n", "done chunked" },
	{ START "Transfer-Encoding: gzip\t,\tchunked\r\n\r\n", "done chunked" },
	{ START "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n", "broken" },
	{ START "Transfer-Encoding: chunked, gzip\r\n\r\n", "broken" },
	{ START "Transfer-Encoding: xchunked\r\n\r\n", "broken" },
	{ START "Transfer-Encoding: gzip chunked\r\n\r\n", "broken" },
	{ START "Transfer-Encoding:\r\n\r\n", "broken" },
	{ START "Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\n", "done len=3" },
	{ START "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "done chunked" },
	{ START "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", "done chunked" },
	{ START "User-Agent: curl/8\r\n\r\n", "done" },
	{ START "User-Agent: spanloom/0.1\r\n\r\n", "done telemetry" },
	{ START "user-agent:spanloom/0.1\r\n\r\n", "done telemetry" },
	{ START "User-Agent: OTel-OTLP-Exporter-Python/1.2\r\n\r\n", "done telemetry" },
	{ START "User-Agent: OTel-OTLP-Exporter\r\n\r\n", "done" },
	{ START "User-Agent: x spanloom/0.1\r\n\r\n", "done" },
	{ START "User-Agent: spanloomy/0.1\r\n\r\n", "done" },
	{ START "User-Agent: " Z256 "\r\n\r\n", "done" },
	{ START "Cookie: " Z256 Z256 "\r\nUpgrade: x\r\n\r\n", "done upgrade" },
};

static const char *say(char *text, size_t size)
{
	const struct head *h = &work->head;
	int len = 0;

	text[0] = '\0';
	if (h->broken)
		return "broken";
	if (h->has_length)
		len = snprintf(text, size, " len=%llu", (unsigned long long)h->content_length);
	snprintf(text + len, size - (size_t)len, "%s%s%s", h->chunked ? " chunked" : "",
		 h->upgrade ? " upgrade" : "", h->telemetry ? " telemetry" : "");
	return text;
}

static void test_form(void **unused)
{
	for (size_t i = 0; i < COUNT(forms); i++) {
		const struct form_case *c = &forms[i];
		char text[128], all[160];

		read_head(slice__str(c->head));
		snprintf(all, sizeof(all), "%s%s", work->head.done ? "done" : "",
			 say(text, sizeof(text)));
		if (strcmp(all, c->want))
			fail_msg("\"%s\" gives \"%s\"", c->head, all);
	}
}

static char *repeated(const char *start, const char *line, size_t count)
{
	size_t len = strlen(line);
	char *text = malloc(strlen(start) + count * len + 8);
	char *at = text;

	assert_non_null(text);
	at += snprintf(at, strlen(start) + 1, "%s", start);
	for (size_t i = 0; i < count; i++, at += len)
		memcpy(at, line, len);
	snprintf(at, 8, "\r\n");
	return text;
}

/* @count lines end as whole as they end piece by piece: done, or broken. */
static void expect_end(const char *start, const char *line, size_t count, bool done)
{
	static const size_t steps[] = { HEAD_WINDOW, 1000, 129, 128, 127, 7, 1 };
	char *text = repeated(start, line, count);

	for (size_t i = 0; i < COUNT(steps); i++) {
		feed(slice__str(text), steps[i], steps[i]);
		if (work->head.done != done || work->head.broken == done)
			fail_msg("%zu * \"%s\" by %zu", count, line, steps[i]);
	}
	free(text);
}

static void test_limits(void **unused)
{
	expect_end(START, "a: b\r\n", HEAD_LINES_MAX - 3, true);
	expect_end(START, "a: b\r\n", HEAD_LINES_MAX - 2, false);
	expect_end("", "\n", 4096, false);
	expect_end(START, "c: d\r\n", HEAD_NEAR_MAX - 1, true);
	expect_end(START, "c: d\r\n", HEAD_NEAR_MAX, false);
	expect_end(START, "\xff\n", 3000, false);
	expect_end(START, "Cookie: " Z256 "\r\n", HEAD_NEAR_MAX - 1, true);
	expect_end(START, "Cookie: " Z256 "\r\n", HEAD_NEAR_MAX, false);
	expect_end(START, "Host: " Z256 "\r\n", 120, true);
}

static void test_too_long(void **unused)
{
	char *text = malloc(HEAD_MAX + 2);

	assert_non_null(text);
	memset(text, 'a', HEAD_MAX + 2);
	memcpy(text, START "A: ", sizeof(START "A: ") - 1);
	memcpy(text + HEAD_MAX - 4, "\r\n\r\n", 4);
	assert_int_equal(feed_whole(slice__of(text, HEAD_MAX + 2)), HEAD_MAX);
	assert_true(work->head.done);
	memcpy(text + HEAD_MAX - 3, "\r\n\r\n", 4);
	feed_whole(slice__of(text, HEAD_MAX + 2));
	assert_true(work->head.broken);
	feed(slice__of(text, HEAD_MAX + 2), 100, 100);
	assert_true(work->head.broken);
	free(text);
}

/* What came after the head is not read, and a head that is done reads no more. */
static void test_what_follows(void **unused)
{
	struct slice in = SLICE(START "\r\n" START TP "\r\n");
	struct head want;

	assert_int_equal(feed_whole(in), sizeof(START "\r\n") - 1);
	want = visible();
	assert_int_equal(scan(in), 0);
	expect_same(in, &want, sizeof(START "\r\n") - 1, "after the end");
	assert_int_equal(feed_whole(SLICE("nothing like it\r\n\r\n")), 19);
	assert_int_equal(scan(in), in.len); /* broken stays broken */
	assert_true(work->head.broken);
}

/* ---- against the parser of user space ----------------------------------------------------- */

static uint32_t seed;

static uint32_t draw(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

struct draft {
	char bytes[2 * HEAD_WINDOW];
	size_t len;
};

static void draft__add(struct draft *d, const char *text)
{
	size_t len = strlen(text);

	if (len > sizeof(d->bytes) - d->len)
		return;
	memcpy(d->bytes + d->len, text, len);
	d->len += len;
}

static void draft__state(struct draft *d)
{
	static const char *const good[] = {
		"foo=1", "bar=2", "x=" Z64, "foo=3", "a=1,b=2,c=3", "n=v ", "\ta@b=c d", "",
	};
	static const char *const bad[] = {
		"k=", "=", "\t", "Z=1", "0", "_=1", Z16, "~", "\x7f", "a b=1", "a=1\t2",
	};

	for (uint32_t n = draw(12); n > 0; n--) {
		draft__add(d, draw(40) ? good[draw(COUNT(good))] : bad[draw(COUNT(bad))]);
		if (draw(40))
			draft__add(d, draw(4) ? "," : " , ");
	}
}

static void draft__line(struct draft *d)
{
	static const char *const lines[] = {
		"Host: a.example",
		"Accept: */*",
		"Cookie: a=b; c=d",
		"User-Agent: x",
		"Content-Length: 3",
		"Cache-Control: no-cache",
		"Content-Type: text/plain",
		"Connection: close",
		"TE: trailers",
		"traceparent: cc-" T "-" P "-01-more",
		"Cookie: " Z256,
		"Upgrade-Insecure-Requests: 1",
	};

	switch (draw(6)) {
	case 0:
		draft__add(d, draw(2) ? "traceparent: " : "TraceParent:");
		draft__add(d, draw(4) ? PARENT : OTHER " \t");
		break;
	case 1:
	case 2:
		draft__add(d, draw(4) ? "tracestate: " : "TRACESTATE:\t");
		draft__state(d);
		break;
	default:
		draft__add(d, lines[draw(COUNT(lines))]);
		break;
	}
	draft__add(d, draw(8) ? "\r\n" : "\n");
}

static void draft__mutate(struct draft *d)
{
	static const char bytes[] = "\r\n \t:,=-\0\x80tT0a";
	size_t at = draw((uint32_t)d->len);

	switch (draw(3)) {
	case 0:
		d->bytes[at] = bytes[draw(sizeof(bytes) - 1)];
		break;
	case 1:
		memmove(d->bytes + at, d->bytes + at + 1, d->len - at - 1);
		d->len--;
		break;
	default:
		memmove(d->bytes + at + 1, d->bytes + at, d->len - at);
		d->bytes[at] = bytes[draw(sizeof(bytes) - 1)];
		d->len++;
		break;
	}
}

static void draft__write(struct draft *d)
{
	d->len = 0;
	draft__add(d, draw(10) ? "POST /some/where?a=b HTTP/1.1\r\n" : "\r\nGET / HTTP/1.0\n");
	for (uint32_t n = draw(10); n > 0; n--)
		draft__line(d);
	draft__add(d, "\r\n");
	if (draw(2))
		draft__mutate(d);
}

/* What the two take differently on purpose: folded lines, blanks around names, control characters
 * in targets, CR in a line. */
static bool is_contested(struct slice in)
{
	struct slice line = SLICE("");

	while (line.len == 0 && http1_head__line(&in, &line))
		;
	for (size_t i = 0; i < line.len; i++)
		if ((unsigned char)line.data[i] < ' ')
			return true;
	while (http1_head__line(&in, &line)) {
		struct slice name = slice__head(line, slice__find(line, ':'));

		if (slice__trim(name).len != name.len || memchr(line.data, '\r', line.len))
			return true;
	}
	return false;
}

static bool parse(struct slice in, struct http1_join *join, struct message *out)
{
	struct http1_framing framing;
	struct slice line = SLICE("");

	memset(out, 0, sizeof(*out));
	while (line.len == 0)
		if (!http1_head__line(&in, &line))
			return false;
	return http1_head__request_line(line, out) == 0 &&
	       http1_head__fields(&in, join, &framing, out) == 1;
}

static void expect_agreement(struct slice in)
{
	struct traceparent ours, theirs;
	struct http1_join join;
	struct message m;
	struct slice value;
	struct arena arena;
	int valid;

	if (!parse(in, &join, &m))
		fail_msg("done: \"%.*s\"", (int)in.len, in.data);
	value = m.field[HTTP1_TRACEPARENT];
	valid = m.number[HTTP1_TRACEPARENTS] == 1 &&
		traceparent_parse(value.data, (unsigned int)value.len, &theirs);
	if (head__context(&work->head, &ours) != valid)
		fail_msg("traceparent of \"%.*s\"", (int)in.len, in.data);
	if (valid)
		assert_memory_equal(&ours, &theirs, sizeof(ours));
	if (work->head.state_cut || work->head.state_len > HTTP1_JOIN_BYTES)
		return; /* of too long a list user space keeps what it can */
	arena__init(&arena, 64 * 1024);
	value = tracestate__normalise(&arena, m.field[HTTP1_TRACESTATE]);
	head__normalise(work);
	if (!slice__eq(slice__of(work->head.tracestate, work->head.state_len), value))
		fail_msg("tracestate of \"%.*s\"", (int)in.len, in.data);
	arena__reset(&arena);
}

/* A line put in at end_at, and a value put in place of the one at parent_at, are found. */
static void expect_offsets(struct slice in)
{
	static const char line[] = "traceparent: " OTHER "\r\n";
	struct head h = work->head;
	struct traceparent out;
	struct http1_join join;
	struct message m;
	char text[3 * HEAD_WINDOW];
	size_t len = sizeof(line) - 1;

	memcpy(text, in.data, h.end_at);
	memcpy(text + h.end_at, line, len);
	memcpy(text + h.end_at + len, in.data + h.end_at, in.len - h.end_at);
	assert_true(parse(slice__of(text, in.len + len), &join, &m));
	assert_int_equal(m.number[HTTP1_TRACEPARENTS], h.count[HEAD_PARENT] + 1);
	assert_true(slice__eq(m.field[HTTP1_TRACEPARENT], SLICE(OTHER)));
	if (!head__context(&h, &out) || h.parent_len != TRACEPARENT_LEN)
		return;
	memcpy(text, in.data, in.len);
	memcpy(text + h.parent_at, OTHER, sizeof(OTHER) - 1);
	assert_true(parse(slice__of(text, in.len), &join, &m));
	assert_true(slice__eq(m.field[HTTP1_TRACEPARENT], SLICE(OTHER)));
}

static void test_random_heads(void **unused)
{
	uint32_t done = 0;

	for (uint32_t i = 0; i < 5000; i++) {
		struct draft d;
		struct slice in;
		struct head want;
		size_t step, used;

		seed = i;
		draft__write(&d);
		in = slice__of(d.bytes, d.len);
		step = 1 + draw(200);
		used = feed(in, step, step);
		want = visible();
		expect_same(in, &want, used, "itself");
		used = feed_whole(in);
		expect_same(in, &want, used, "whole");
		in = slice__head(in, used);
		if (!work->head.done || is_contested(in))
			continue;
		done++;
		expect_offsets(in);
		expect_agreement(in);
	}
	assert_true(done > 2000);
}

static void test_random_states(void **unused)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < 20000; i++) {
		struct arena arena;
		struct slice want;
		struct draft d;

		seed = i;
		d.len = 0;
		draft__state(&d);
		for (uint32_t n = draw(3); n > 0 && d.len; n--)
			draft__mutate(&d);
		if (d.len > HEAD_STATE_MAX)
			continue;
		memset(&work->head, 0, sizeof(work->head));
		memset(work->head.tracestate, 'x', sizeof(work->head.tracestate));
		memcpy(work->head.tracestate, d.bytes, d.len);
		work->head.state_len = (uint16_t)d.len;
		d.bytes[d.len] = '\0';
		arena__init(&arena, 64 * 1024);
		want = tracestate__normalise(&arena, slice__of(d.bytes, d.len));
		head__normalise(work);
		if (!slice__eq(slice__of(work->head.tracestate, work->head.state_len), want))
			fail_msg("\"%.*s\"", (int)d.len, d.bytes);
		kept += want.len > 0;
		arena__reset(&arena);
	}
	assert_true(kept > 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_context),	      cmocka_unit_test(test_form),
		cmocka_unit_test(test_limits),	      cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_what_follows),  cmocka_unit_test(test_random_heads),
		cmocka_unit_test(test_random_states),
	};

	return cmocka_run_group_tests(tests, map_guard, NULL);
}
