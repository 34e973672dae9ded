// SPDX-License-Identifier: Apache-2.0
/* HTTP transactions as spans: each row is a request, a response and all that the span says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <sys/socket.h>

#include "user/flow/config.h"
#include "user/flow/repeat.h"
#include "user/flow/span.h"
#include "user/protocols/protocol.h"

#define GOT_BYTES 4096

static struct flow_config config;
static struct endpoint server = { .family = AF_INET, .port = 8080, .addr = { 127, 0, 0, 1 } };
static struct endpoint client = { .family = AF_INET, .port = 40000, .addr = { 10, 0, 0, 9 } };

static void parse(void *state, enum direction dir, const char *text, struct message *out)
{
	struct parse_input in = { .dir = dir, .bytes = slice__str(text) };

	memset(out, 0, sizeof(*out));
	if (in.bytes.len)
		assert_int_equal(protocol_http1.parse(state, &in, out), in.bytes.len);
}

/* "name|status|key=value|..." in the order of the attributes. */
static void render(const struct span *span, char *out, size_t room)
{
	static const char *const status[] = { "unset", "ok", "error" };
	size_t at = (size_t)snprintf(out, room, "%.*s|%s", (int)span->name.len, span->name.data,
				     status[span->status]);
	struct attribute a;
	size_t next = 0;

	while (attributes__next(&span->attributes, &next, &a)) {
		at += (size_t)snprintf(out + at, room - at, "|%.*s=", (int)a.key.len, a.key.data);
		if (a.type == ATTRIBUTE_STRING)
			at += (size_t)snprintf(out + at, room - at, "%.*s", (int)a.string.len,
					       a.string.data);
		else
			at += (size_t)snprintf(out + at, room - at, "%lld", (long long)a.integer);
		assert_true(at < room);
		/* no key comes twice */
		assert_ptr_equal(attributes__find(&span->attributes, a.key).key.data, a.key.data);
	}
}

static size_t text_limit = SPAN_TEXT_BYTES; /* of the next spans */
static uint32_t dropped_attributes;	    /* of the last one */

/* On a connection of which @repeats are known, and whose parser has the @state. */
static void describe_next(void *state, enum conn_role role, const char *request,
			  const char *response, const char *failure, struct repeats *repeats,
			  char got[GOT_BYTES])
{
	struct transaction *txn = calloc(1, sizeof(*txn));
	struct span *span = span__new();

	assert_non_null(txn);
	assert_non_null(span);
	parse(state, TO_SERVER, request, &txn->request);
	parse(state, TO_CLIENT, response, &txn->response);
	txn->role = role;
	txn->server = &server;
	txn->client = &client;
	txn->failure = failure;
	txn->repeats = repeats;
	span->text.limit_bytes = text_limit;
	protocol_http1.describe(txn, &config, span);
	dropped_attributes = span->dropped_attributes;
	render(span, got, GOT_BYTES);
	span__free(span);
	free(txn);
}

/* The first of its connection. */
static void describe(enum conn_role role, const char *request, const char *response,
		     const char *failure, struct repeats *repeats, char got[GOT_BYTES])
{
	void *state = calloc(1, protocol_http1.state_size);

	assert_non_null(state);
	describe_next(state, role, request, response, failure, repeats, got);
	free(state);
}

/* The same each time that it comes. */
static void check(enum conn_role role, const char *request, const char *response,
		  const char *failure, const char *want)
{
	struct repeats repeats = { 0 };
	char got[GOT_BYTES];

	for (int times = 0; times < 4; times++) {
		describe(role, request, response, failure, times ? &repeats : NULL, got);
		if (strcmp(got, want) != 0)
			fail_msg("\n%s\nnot\n%s", got, want);
	}
	repeats__reset(&repeats);
}

#define OK   "HTTP/1.1 200 OK\r\n\r\n"
#define PEER "|network.peer.address=10.0.0.9|network.peer.port=40000|network.protocol.version=1.1"
#define HOST "|server.address=h|server.port=80|client.address=10.0.0.9" PEER
#define BACK "|network.peer.address=127.0.0.1|network.peer.port=8080|network.protocol.version=1.1"

static void test_server(void **unused)
{
	config.route_heuristic = false;
	check(ROLE_SERVER, "GET /a?b=c HTTP/1.1\r\nHost: h\r\nUser-Agent: x/1\r\n\r\n", OK, NULL,
	      "GET|unset|http.request.method=GET|url.path=/a|url.query=b=c|url.scheme=http" HOST
	      "|user_agent.original=x/1|http.response.status_code=200");
	check(ROLE_SERVER, "GET /a?sig=s&x=1 HTTP/1.0\r\n\r\n", "HTTP/1.1 404 No\r\n\r\n", NULL,
	      "GET|unset|http.request.method=GET|url.path=/a|url.query=sig=REDACTED&x=1"
	      "|url.scheme=http|server.address=127.0.0.1|server.port=8080|client.address=10.0.0.9"
	      "|network.peer.address=10.0.0.9|network.peer.port=40000|network.protocol.version=1.0"
	      "|http.response.status_code=404");
	check(ROLE_SERVER, "BREW / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 503 No\r\n\r\n", NULL,
	      "HTTP|error|http.request.method=_OTHER|http.request.method_original=BREW|url.path=/"
	      "|url.scheme=http" HOST "|http.response.status_code=503|error.type=503");
	check(ROLE_SERVER, "get / HTTP/1.1\r\nHost: h\r\nUser-Agent: a\r\n b\r\n\r\n", "", NULL,
	      "HTTP|unset|http.request.method=_OTHER|http.request.method_original=get|url.path=/"
	      "|url.scheme=http" HOST "|user_agent.original=a   b");
	check(ROLE_SERVER, "OPTIONS * HTTP/1.1\r\nHost: [::1]:99\r\n\r\n", OK, NULL,
	      "OPTIONS|unset|http.request.method=OPTIONS|url.path=*|url.scheme=http"
	      "|server.address=::1|server.port=99|client.address=10.0.0.9" PEER
	      "|http.response.status_code=200");
	check(ROLE_SERVER, "GET http://t:81/p HTTP/1.1\r\nHost: other\r\n\r\n", OK, NULL,
	      "GET|unset|http.request.method=GET|url.path=/p|url.scheme=http|server.address=t"
	      "|server.port=81|client.address=10.0.0.9" PEER "|http.response.status_code=200");
	check(ROLE_SERVER, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 600 ?\r\n\r\n", NULL,
	      "GET|error|http.request.method=GET|url.path=/|url.scheme=http" HOST
	      "|http.response.status_code=600|error.type=600");
	check(ROLE_SERVER, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 500 ?\r\n\r\n", "eof",
	      "GET|unset|http.request.method=GET|url.path=/|url.scheme=http" HOST
	      "|http.response.status_code=500");
}

static void test_forwarded(void **unused)
{
	static const struct {
		const char *lines;
		const char *scheme, *host, *port, *client;
	} cases[] = {
		{ "Forwarded: for=192.0.2.60;proto=https;host=pub", "https", "pub", "443",
		  "192.0.2.60" },
		{ "Forwarded: For=\"[2001:db8::1]:4711\" ; Host=\"pub:8443\", for=9.9.9.9", "http",
		  "pub", "8443", "2001:db8::1" },
		{ "Forwarded: for=unknown;proto=https\r\nX-Forwarded-For: 1.2.3.4", "https", "h",
		  "443", "1.2.3.4" },
		{ "Forwarded: for=_hidden", "http", "h", "80", "_hidden" },
		{ "X-Forwarded-For: 1.2.3.4:567, 5.6.7.8", "http", "h", "80", "1.2.3.4" },
		{ "X-Forwarded-For: 2001:db8::2", "http", "h", "80", "2001:db8::2" },
		{ "X-Forwarded-For: ::z", "http", "h", "80", "10.0.0.9" },
		{ "X-Forwarded-For: a b", "http", "h", "80", "10.0.0.9" },
		{ "X-Forwarded-Proto: https, http\r\nX-Forwarded-Host: pub, inner", "https", "pub",
		  "443", "10.0.0.9" },
		{ "X-Forwarded-Proto: gopher\r\nX-Forwarded-Host: /", "http", "h", "80",
		  "10.0.0.9" },
		{ "Forwarded: \"unclosed;for=1.1.1.1", "http", "h", "80", "10.0.0.9" },
	};
	char request[512], want[1024];

	config.route_heuristic = false;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(request, sizeof(request), "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n",
			 cases[i].lines);
		snprintf(want, sizeof(want),
			 "GET|unset|http.request.method=GET|url.path=/|url.scheme=%s"
			 "|server.address=%s|server.port=%s|client.address=%s" PEER
			 "|http.response.status_code=200",
			 cases[i].scheme, cases[i].host, cases[i].port, cases[i].client);
		check(ROLE_SERVER, request, OK, NULL, want);
	}
}

static void test_client(void **unused)
{
	config.route_heuristic = true;
	check(ROLE_CLIENT, "GET /u/42?sig=s HTTP/1.1\r\nHost: h\r\nUser-Agent: x\r\n\r\n", OK, NULL,
	      "GET|unset|http.request.method=GET|url.full=http://h/u/42?sig=REDACTED"
	      "|server.address=h|server.port=80" BACK "|http.response.status_code=200");
	check(ROLE_CLIENT, "GET http://u:p@proxied:81/x HTTP/1.1\r\nHost: h\r\n\r\n",
	      "HTTP/1.1 404 No\r\n\r\n", NULL,
	      "GET|error|http.request.method=GET"
	      "|url.full=http://REDACTED:REDACTED@proxied:81/x|server.address=proxied"
	      "|server.port=81" BACK "|http.response.status_code=404|error.type=404");
	check(ROLE_CLIENT, "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n",
	      "HTTP/1.1 407 No\r\n\r\n", NULL,
	      "CONNECT|error|http.request.method=CONNECT|url.full=http://h:443"
	      "|server.address=h|server.port=443" BACK
	      "|http.response.status_code=407|error.type=407");
	check(ROLE_CLIENT, "OPTIONS * HTTP/1.1\r\nHost: h:99\r\n\r\n", OK, NULL,
	      "OPTIONS|unset|http.request.method=OPTIONS|url.full=http://h:99|server.address=h"
	      "|server.port=99" BACK "|http.response.status_code=200");
	/* what proxies said is of no concern to a client */
	check(ROLE_CLIENT, "GET / HTTP/1.1\r\nX-Forwarded-Host: evil\r\n\r\n", "", NULL,
	      "GET|unset|http.request.method=GET|url.full=http://127.0.0.1:8080/"
	      "|server.address=127.0.0.1|server.port=8080" BACK);
}

static void test_sockets(void **unused)
{
	static const char request[] = "GET / HTTP/1.1\r\n\r\n";
	struct endpoint old_server = server, old_client = client;

	config.route_heuristic = false;
	server = (struct endpoint){ .family = AF_INET6, .port = 81, .addr = { [15] = 1 } };
	check(ROLE_CLIENT, request, "", NULL,
	      "GET|unset|http.request.method=GET|url.full=http://[::1]:81/|server.address=::1"
	      "|server.port=81|network.peer.address=::1|network.peer.port=81"
	      "|network.protocol.version=1.1");
	server = (struct endpoint){ .family = AF_UNIX, .path = "/run/x.sock" };
	client = (struct endpoint){ .family = AF_UNIX };
	check(ROLE_CLIENT, request, "", NULL,
	      "GET|unset|http.request.method=GET|url.full=http://localhost/"
	      "|server.address=/run/x.sock|network.peer.address=/run/x.sock"
	      "|network.protocol.version=1.1");
	check(ROLE_SERVER, request, "", NULL,
	      "GET|unset|http.request.method=GET|url.path=/|url.scheme=http"
	      "|server.address=/run/x.sock|network.protocol.version=1.1");
	server = (struct endpoint){ 0 };
	check(ROLE_SERVER, request, "", NULL,
	      "GET|unset|http.request.method=GET|url.path=/|url.scheme=http"
	      "|network.protocol.version=1.1");
	server = old_server;
	client = old_client;
}

static void test_routes(void **unused)
{
	static const char *const routes[] = { "/u/{id}", NULL };
	static const char request[] = "GET /u/42 HTTP/1.1\r\nHost: h\r\n\r\n";

	config.route_heuristic = true;
	check(ROLE_SERVER, request, OK, NULL,
	      "GET /u/{id}|unset|http.request.method=GET|url.path=/u/42|http.route=/u/{id}"
	      "|spanloom.route.source=heuristic|url.scheme=http" HOST
	      "|http.response.status_code=200");
	/* of a path that the server does not know nothing is guessed */
	check(ROLE_SERVER, request, "HTTP/1.1 404 No\r\n\r\n", NULL,
	      "GET|unset|http.request.method=GET|url.path=/u/42|url.scheme=http" HOST
	      "|http.response.status_code=404");
	config.routes = routes;
	check(ROLE_SERVER, request, "HTTP/1.1 404 No\r\n\r\n", NULL,
	      "GET /u/{id}|unset|http.request.method=GET|url.path=/u/42|http.route=/u/{id}"
	      "|url.scheme=http" HOST "|http.response.status_code=404");
	config.routes = NULL;
}

/* It is not made anew: that would show what never changes on a connection, and does here. */
static void test_what_is_kept_is_used(void **unused)
{
	static const char request[] = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
	struct endpoint old_client = client;
	struct repeats repeats = { 0 };
	char want[GOT_BYTES], got[GOT_BYTES];

	config.route_heuristic = true;
	for (int times = 0; times < 2; times++)
		describe(ROLE_SERVER, request, OK, NULL, &repeats, want);
	client.addr[3]++;
	config.route_heuristic = false;
	describe(ROLE_SERVER, request, OK, NULL, &repeats, got);
	assert_string_equal(got, want);
	describe(ROLE_SERVER, request, OK, NULL, NULL, got);
	assert_null(strstr(got, "GET /a|"));
	assert_null(strstr(got, "10.0.0.9"));
	client = old_client;
	repeats__reset(&repeats);
}

/* Requests of one connection that differ in one thing only: none is taken for another. */
static void test_what_is_known_of_a_connection(void **unused)
{
	static const char *const requests[] = {
		"GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /b HTTP/1.1\r\nHost: h\r\n\r\n",
		"PUT /a HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: i:81\r\n\r\n",
		"GET /a HTTP/1.0\r\nHost: h\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: h\r\nUser-Agent: x\r\n\r\n",
		"GET http://j/a HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: h\r\nX-Forwarded-Host: k\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: h\r\nX-Forwarded-Proto: https\r\n\r\n",
		"GET /a?sig=x HTTP/1.1\r\nHost: h\r\n\r\n",
		"CONNECT /x@k HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /a HTTP/1.1\r\n\r\n",
	};
	static const char *const responses[] = { OK, "HTTP/1.1 404 No\r\n\r\n", "" };
	char want[GOT_BYTES], got[GOT_BYTES];

	config.route_heuristic = true;
	for (enum conn_role role = ROLE_CLIENT; role <= ROLE_SERVER; role++) {
		struct repeats repeats = { 0 };

		for (size_t i = 0; i < 8 * 13 * 13; i++) {
			const char *request = requests[i % 3 ? i / 8 % 13 : i / 104];
			const char *response = responses[i * 5 / 7 % 3];

			describe(role, request, response, NULL, NULL, want);
			describe(role, request, response, NULL, &repeats, got);
			assert_string_equal(got, want);
		}
		assert_non_null(repeats.peers.kept);
		repeats__reset(&repeats);
	}
}

/* What is made for an attribute, and finds no room in the span, is counted; and the next requests of
 * the connection are told of in full. */
static void test_what_finds_no_room(void **unused)
{
	static const struct {
		enum conn_role role;
		const char *before;
		int len; /* of what stands between the two */
		const char *after;
		const char *lost;
		uint32_t dropped;
	} cases[] = {
		{ ROLE_SERVER, "GET /a?", 1200, " HTTP/1.1\r\n\r\n", "|url.query=", 1 },
		{ ROLE_SERVER, "GET /1/", 1018, " HTTP/1.1\r\n\r\n", "|http.route=", 1 },
		{ ROLE_SERVER, "GET /abcd?", 508, " HTTP/1.1\r\n\r\n", "GET /abcd|", 0 },
		{ ROLE_CLIENT, "GET /", 1200, " HTTP/1.1\r\n\r\n", "|url.full=", 1 },
		{ ROLE_CLIENT, "GET /?", 1200, " HTTP/1.1\r\n\r\n", "|url.full=", 1 },
		{ ROLE_SERVER, "GET /a HTTP/1.1\r\nUser-Agent: a\r\n ", 1200, "\r\n\r\n",
		  "|user_agent.original=", 1 },
	};
	char text[1200], request[1400], want[GOT_BYTES], got[GOT_BYTES];

	config.route_heuristic = true;
	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct repeats repeats = { 0 };

		snprintf(request, sizeof(request), "%s%.*s%s", cases[i].before, cases[i].len, text,
			 cases[i].after);
		describe(cases[i].role, request, OK, NULL, &repeats, want);
		assert_non_null(strstr(want, cases[i].lost));
		text_limit = 0; /* but for the bytes that each span has */
		describe(cases[i].role, request, OK, NULL, &repeats, got);
		text_limit = SPAN_TEXT_BYTES;
		assert_null(strstr(got, cases[i].lost));
		assert_int_equal(dropped_attributes, cases[i].dropped);
		for (int times = 0; times < 3; times++) {
			describe(cases[i].role, request, OK, NULL, &repeats, got);
			assert_string_equal(got, want);
		}
		repeats__reset(&repeats);
	}
}

/* Of a request whose head comes again all is kept: it is what reading it would give, whatever it is
 * answered with and whatever came between. */
static void test_whole_is_kept(void **unused)
{
	static const struct {
		const char *request, *response, *failure;
		bool kept;
	} cases[] = {
		{ "GET /a/1 HTTP/1.1\r\nHost: h\r\nUser-Agent: x\r\n\r\n", OK, NULL, true },
		{ "GET /a/1 HTTP/1.1\r\nHost: h\r\nUser-Agent: x\r\n\r\n",
		  "HTTP/1.1 404 No\r\n\r\n", NULL, false },
		{ "GET /a/1 HTTP/1.1\r\nHost: h\r\nUser-Agent: y\r\n\r\n", OK, NULL, true },
		{ "GET /a/1 HTTP/1.1\r\nHost: h\r\nUser-Agent: y\r\n\r\n",
		  "HTTP/1.1 503 No\r\n\r\n", NULL, false },
		{ "GET /a/1 HTTP/1.1\r\nHost: h\r\nUser-Agent: y\r\n\r\n", OK, "eof", false },
		{ "GET /a/1 HTTP/1.1\r\nHost: h\r\nUser-Agent: y\r\n\r\n", "", NULL, false },
		{ "GET /a/1 HTTP/1.1\r\nHost: h\r\nUser-Agent: y\r\n\r\n", "HTTP/1.1 600 ?\r\n\r\n",
		  NULL, false },
		{ "GET /b/1 HTTP/1.1\r\nHost: h\r\nUser-Agent: y\r\nForwarded: for=c\r\n\r\n", OK,
		  NULL, true },
	};

	config.route_heuristic = true;
	for (enum conn_role role = ROLE_CLIENT; role <= ROLE_SERVER; role++) {
		void *state = calloc(1, protocol_http1.state_size);
		char got[GOT_BYTES], want[GOT_BYTES];
		struct repeats repeats = { 0 };

		assert_non_null(state);
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			describe(role, cases[i].request, cases[i].response, cases[i].failure, NULL,
				 want);
			for (int times = 0; times < 5; times++) {
				describe_next(state, role, cases[i].request, cases[i].response,
					      cases[i].failure, &repeats, got);
				assert_string_equal(got, want);
			}
			if (cases[i].kept)
				assert_non_null(repeats.whole.kept);
		}
		repeats__reset(&repeats);
		free(state);
	}
}

static void test_known_methods(void **unused)
{
	static const char *const methods[] = { "BREW", NULL };

	config.route_heuristic = false;
	config.known_methods = methods;
	check(ROLE_SERVER, "BREW / HTTP/1.1\r\nHost: h\r\n\r\n", "", NULL,
	      "BREW|unset|http.request.method=BREW|url.path=/|url.scheme=http" HOST);
	check(ROLE_SERVER, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "", NULL,
	      "HTTP|unset|http.request.method=_OTHER|http.request.method_original=GET|url.path=/"
	      "|url.scheme=http" HOST);
	config.known_methods = NULL;
}

static void test_ignored(void **unused)
{
	static const char *const globs[] = { "/health", NULL };
	struct transaction *txn = calloc(1, sizeof(*txn));
	void *state = calloc(1, protocol_http1.state_size);

	assert_non_null(txn);
	assert_non_null(state);
	parse(state, TO_SERVER, "GET /health?x HTTP/1.1\r\n\r\n", &txn->request);
	assert_false(protocol_http1.ignored(txn, &config));
	config.ignore_paths = globs;
	assert_true(protocol_http1.ignored(txn, &config));
	parse(state, TO_SERVER, "GET /other HTTP/1.1\r\n\r\n", &txn->request);
	assert_false(protocol_http1.ignored(txn, &config));
	config.ignore_paths = NULL;
	free(state);
	free(txn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_server),
		cmocka_unit_test(test_forwarded),
		cmocka_unit_test(test_client),
		cmocka_unit_test(test_sockets),
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_what_finds_no_room),
		cmocka_unit_test(test_known_methods),
		cmocka_unit_test(test_ignored),
		cmocka_unit_test(test_what_is_kept_is_used),
		cmocka_unit_test(test_what_is_known_of_a_connection),
		cmocka_unit_test(test_whole_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
