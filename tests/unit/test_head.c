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

#include "tests/unit/head_scene.h"

/* ---- trace context ------------------------------------------------------------------------ */

struct context_case {
	const char *fields;
	int valid;
	const char *state; /* in normal form */
};

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
	/* HEAD_VIEW bytes of the line, and one more */
	{ "traceparent: " PARENT
	  "                                                            x\r\n",
	  0, "" },
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
	/* what is coded last is behind HEAD_VIEW bytes of the line */
	{ START "Transfer-Encoding: " Z64 Z16 Z16 "zzzzz,chunked,gzip\r\n\r\n", "broken" },
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_context),	     cmocka_unit_test(test_form),
		cmocka_unit_test(test_limits),	     cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_what_follows),
	};

	return cmocka_run_group_tests(tests, head_scene__map, NULL);
}
