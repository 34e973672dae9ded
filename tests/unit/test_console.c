// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include <jansson.h>

#include "user/export/console.h"
#include "user/flow/resource.h"
#include "user/flow/span.h"

#define MS   1000000ULL
#define NOON 1700049601234000000ULL /* 2023-11-15T12:00:01.234Z */

/* A console that writes to memory. */
struct screen {
	struct console *console;
	FILE *out;
	char *text;
	size_t len;
	uint64_t now_ns;
};

static void screen__open(struct screen *s, enum console_format format, bool color)
{
	*s = (struct screen){ .now_ns = 1000000 * MS };
	s->out = open_memstream(&s->text, &s->len);
	assert_non_null(s->out);
	s->console = console__new(s->out, format, color);
	assert_non_null(s->console);
	console__tick(s->console, s->now_ns);
}

static void screen__close(struct screen *s)
{
	console__free(s->console);
	fclose(s->out);
	free(s->text);
}

static void screen__pass(struct screen *s, uint64_t ns)
{
	s->now_ns += ns;
	console__tick(s->console, s->now_ns);
}

static void assert_screen(struct screen *s, const char *expected)
{
	fflush(s->out);
	assert_string_equal(s->text, expected);
	fseek(s->out, 0, SEEK_SET);
	/* memory streams keep the longer text */
	memset(s->text, 0, s->len);
}

static struct span *make_span(uint8_t trace, uint8_t id, uint8_t parent, uint64_t start_ms,
			      uint64_t duration_ns, const char *service)
{
	struct span *span = span__new();

	assert_non_null(span);
	span->trace_id[15] = trace;
	span->span_id[7] = id;
	span->parent_id[7] = parent;
	span->trace_flags = 1;
	span->start_unix_ns = NOON + start_ms * MS;
	span->end_unix_ns = span->start_unix_ns + duration_ns;
	span->scope = "spanloom/test";
	span->resource = resource__new(42);
	resource__add(span->resource, "service.name", slice__str(service));
	span->resource->service_name = span->resource->attributes[0].string;
	return span;
}

static void show(struct screen *s, struct span *span)
{
	console__span(s->console, span);
	span__free(span);
}

static struct span *http_client(uint8_t trace, uint8_t id, uint8_t parent, uint64_t start_ms,
				uint64_t duration_ns)
{
	struct span *span =
		make_span(trace, id, parent, start_ms, duration_ns, "unknown_service:curl");

	span->kind = SPAN_CLIENT;
	span__set_name(span, SLICE("GET"));
	span__add(span, "url.full", SLICE("http://127.0.0.1:8080/users/42?page=3"));
	span__add(span, "server.address", SLICE("127.0.0.1"));
	span__add_int(span, "server.port", 8080);
	span__add_int(span, "http.response.status_code", 200);
	return span;
}

static struct span *http_server(uint8_t trace, uint8_t id, uint8_t parent, uint64_t start_ms,
				uint64_t duration_ns, int status)
{
	struct span *span = make_span(trace, id, parent, start_ms, duration_ns, "shop");

	span->kind = SPAN_SERVER;
	span__set_name(span, SLICE("GET /users/{id}"));
	span__add(span, "http.route", SLICE("/users/{id}"));
	span__add(span, "url.path", SLICE("/users/42"));
	span__add(span, "client.address", SLICE("10.0.0.7"));
	span__add_int(span, "http.response.status_code", status);
	if (status >= 500)
		span__fail(span, SLICE("500"));
	return span;
}

static struct span *query(uint8_t trace, uint8_t id, uint8_t parent, uint64_t start_ms,
			  uint64_t duration_ns)
{
	struct span *span = make_span(trace, id, parent, start_ms, duration_ns, "shop");

	span->kind = SPAN_CLIENT;
	span__set_name(span, SLICE("SELECT users"));
	span__add(span, "db.system.name", SLICE("postgresql"));
	span__add(span, "db.query.text",
		  SLICE("SELECT *\n  FROM users WHERE id = $1 AND deleted = ?"));
	span__add(span, "server.address", SLICE("::1"));
	span__add_int(span, "server.port", 5433);
	return span;
}

static void test_one_span(void **state)
{
	struct screen s;

	screen__open(&s, CONSOLE_TREE, false);
	show(&s, http_client(1, 1, 0, 0, 12300000));
	screen__pass(&s, 100 * MS);
	assert_screen(&s, "");
	screen__pass(&s, 200 * MS);
	assert_screen(&s, "12:00:01.234  curl              GET /users/42                      "
			  "          12.3 ms  200     -> 127.0.0.1:8080\n");
	assert_int_equal(console__shown(s.console), 1);
	assert_int_equal(console__hidden(s.console), 0);
	screen__close(&s);
}

/* The spans of a trace, in the order in which they end. */
static void show_trace(struct screen *s)
{
	show(s, query(1, 4, 3, 5, 950000));
	show(s, query(1, 5, 3, 8, 9900));
	show(s, http_server(1, 3, 2, 2, 20 * MS, 500));
	show(s, http_server(1, 6, 1, 30, 1500 * MS, 404));
	show(s, http_client(1, 2, 1, 1, 22 * MS));
	show(s, http_client(1, 1, 0, 0, 150 * MS));
	screen__pass(s, 300 * MS);
}

static void test_tree(void **state)
{
	struct screen s;

	screen__open(&s, CONSOLE_TREE, false);
	show_trace(&s);
	assert_screen(&s, "12:00:01.234  curl              GET /users/42                           "
			  "    150.0 ms"
			  "  200     -> 127.0.0.1:8080\n"
			  "     +1.0 ms  curl              |- GET /users/42                        "
			  "     22.0 ms"
			  "  200     -> 127.0.0.1:8080\n"
			  "     +2.0 ms  shop              |  `- GET /users/{id} /users/42         "
			  "     20.0 ms"
			  "  500     <- 10.0.0.7\n"
			  "     +5.0 ms  shop              |     |- SELECT * FROM users WHERE id = "
			  "$~    950 us"
			  "  ok      -> postgresql [::1]:5433\n"
			  "     +8.0 ms  shop              |     `- SELECT * FROM users WHERE id = "
			  "$~    9.9 us"
			  "  ok      -> postgresql [::1]:5433\n"
			  "    +30.0 ms  shop              `- GET /users/{id} /users/42            "
			  "      1.50 s"
			  "  404     <- 10.0.0.7\n");
	screen__close(&s);
}

static void test_color(void **state)
{
	struct screen s;

	setenv("LC_ALL", "en_US.UTF-8", 1);
	screen__open(&s, CONSOLE_TREE, true);
	show(&s, http_client(1, 1, 0, 0, 150 * MS));
	show(&s, http_server(1, 2, 1, 2, 20 * MS, 500));
	screen__pass(&s, 300 * MS);
	assert_screen(&s, "\x1b[2m12:00:01.234\x1b[0m  \x1b[36mcurl\x1b[0m              "
			  "\x1b[1mGET\x1b[0m \x1b[2m/users/42\x1b[0m                               "
			  "\x1b[33m150.0 ms\x1b[0m  200     \x1b[2m\xe2\x86\x92 \x1b[0m"
			  "\x1b[2m127.0.0.1:8080\x1b[0m\n"
			  "     \x1b[2m+2.0 ms\x1b[0m  \x1b[36mshop\x1b[0m              "
			  "\x1b[2m\xe2\x94\x94\xe2\x94\x80 \x1b[0m\x1b[31mGET /users/{id}\x1b[0m "
			  "\x1b[2m/users/42\x1b[0m                 20.0 ms  \x1b[31m500\x1b[0m     "
			  "\x1b[2m\xe2\x86\x90 \x1b[0m\x1b[2m10.0.0.7\x1b[0m\n");
	screen__close(&s);
	setenv("LC_ALL", "C", 1);
}

/* Nothing of the network may move the terminal, or hide what is there. */
static void test_hostile_text(void **state)
{
	struct screen s;
	struct span *span;

	setenv("LC_ALL", "C.utf8", 1);
	for (int color = 0; color < 2; color++) {
		screen__open(&s, CONSOLE_TREE, color);
		span = http_server(1, 1, 0, 0, MS, 200);
		span__set_name(span, SLICE("\x1b]0;t\x07G\r\nE\x00T\xc2\x9b"
					   "2J\xff\xe2\x80\xae"
					   "x"));
		show(&s, span);
		screen__pass(&s, 300 * MS);
		fflush(s.out);
		assert_null(memchr(s.text, '\x07', s.len));
		assert_null(memchr(s.text, '\r', s.len));
		assert_null(memchr(s.text, '\0', s.len));
		assert_ptr_equal(memchr(s.text, '\n', s.len), s.text + s.len - 1);
		assert_null(strstr(s.text, "\xc2\x9b"));
		assert_null(strstr(s.text, "\xe2\x80\xae"));
		assert_null(strstr(s.text, "\x1b]"));
		assert_non_null(strstr(s.text, "]0;t G E T 2J"));
		if (!color)
			for (size_t i = 0; i < s.len - 1; i++)
				assert_true(s.text[i] >= ' ' && s.text[i] < 0x7f);
		screen__close(&s);
	}
	setenv("LC_ALL", "C", 1);
}

static void test_results(void **state)
{
	struct screen s;
	struct span *span;

	screen__open(&s, CONSOLE_TREE, false);
	span = http_client(1, 1, 0, 0, MS);
	span__fail(span, SLICE("eof"));
	span__add_bool(span, "spanloom.incomplete", true);
	show(&s, span);
	span = make_span(2, 1, 0, 0, 0, "");
	span->kind = SPAN_CLIENT;
	span__set_name(span, SLICE("MULTI SET"));
	span__add(span, "db.query.text", SLICE("SET a ?; SET b ?"));
	span__fail(span, SLICE("connection_refused"));
	show(&s, span);
	screen__pass(&s, 300 * MS);
	assert_screen(&s, "12:00:01.234  curl              GET /users/42                      "
			  "           1.0 ms  200 eof (incomplete)  -> 127.0.0.~\n"
			  "12:00:01.234                    MULTI SET SET a ?; SET b ?         "
			  "           0.0 us  connection_refused\n");
	screen__close(&s);
}

/* A parent that is not there, one that is its own, two that are each other's, a twin. */
static void test_odd_parents(void **state)
{
	struct screen s;
	size_t lines = 0;

	screen__open(&s, CONSOLE_TREE, false);
	show(&s, http_client(1, 1, 9, 0, MS));
	show(&s, http_client(1, 2, 2, 0, MS));
	show(&s, http_client(1, 3, 4, 0, MS));
	show(&s, http_client(1, 4, 3, 0, MS));
	show(&s, http_client(1, 1, 9, 0, MS));
	show(&s, http_client(1, 5, 1, 0, MS));
	/* without a root it waits longer */
	screen__pass(&s, 1900 * MS);
	assert_screen(&s, "");
	screen__pass(&s, 100 * MS);
	for (size_t i = 0; i < s.len; i++)
		lines += s.text[i] == '\n';
	assert_int_equal(lines, 6);
	assert_int_equal(console__shown(s.console), 6);
	screen__close(&s);
}

static void test_deep_tree(void **state)
{
	struct screen s;
	char *line;

	screen__open(&s, CONSOLE_TREE, false);
	for (int i = 1; i <= 250; i++)
		show(&s, http_client(1, (uint8_t)i, (uint8_t)(i - 1), (uint64_t)i, MS));
	screen__pass(&s, 300 * MS);
	fflush(s.out);
	for (line = s.text; *line; line = strchr(line, '\n') + 1)
		assert_true(strchr(line, '\n') - line <= 120);
	assert_int_equal(console__shown(s.console), 250);
	screen__close(&s);
}

static struct span *numbered(int number, bool failed)
{
	struct span *span = http_server(0, 1, 0, 0, MS, failed ? 500 : 200);

	memcpy(span->trace_id, &number, sizeof(number));
	span->trace_id[15] = 1;
	return span;
}

static size_t count_of(const char *text, const char *needle)
{
	size_t count = 0;

	for (text = strstr(text, needle); text; text = strstr(text + 1, needle))
		count++;
	return count;
}

static void test_rate_limit(void **state)
{
	struct screen s;

	screen__open(&s, CONSOLE_TREE, false);
	for (int i = 0; i < 200; i++)
		show(&s, numbered(i, i % 10 == 9));
	screen__pass(&s, 300 * MS);
	fflush(s.out);
	/* 15 of those without errors, and room left for those with */
	assert_int_equal(count_of(s.text, "\n"), 20);
	assert_true(count_of(s.text, "  500  ") >= 5);
	assert_int_equal(console__shown(s.console), 20);
	assert_int_equal(console__hidden(s.console), 180);
	assert_null(strstr(s.text, "..."));
	screen__pass(&s, 700 * MS);
	fflush(s.out);
	assert_non_null(
		strstr(s.text, "... 180 traces not shown in the last second (14 with errors)\n"));
	/* the next second has room again */
	show(&s, numbered(999, false));
	screen__pass(&s, 1000 * MS);
	assert_int_equal(console__shown(s.console), 21);
	fflush(s.out);
	assert_int_equal(count_of(s.text, "..."), 1);
	screen__close(&s);
}

/* Bounds: traces, spans of a trace, spans of all. */
static void test_bounds(void **state)
{
	struct screen s;

	screen__open(&s, CONSOLE_TREE, false);
	for (int i = 0; i < 5000; i++)
		show(&s, numbered(i, false));
	assert_int_equal(console__shown(s.console) + console__hidden(s.console), 5000 - 4096);
	console__flush(s.console);
	assert_int_equal(console__shown(s.console) + console__hidden(s.console), 5000);
	screen__close(&s);

	screen__open(&s, CONSOLE_TREE, false);
	for (int i = 0; i < 1200; i++) {
		struct span *span = http_client(1, 1, 0, 0, MS);

		memcpy(span->span_id, &i, sizeof(i));
		show(&s, span);
	}
	console__flush(s.console);
	fflush(s.out);
	assert_int_equal(console__shown(s.console), 1000);
	assert_int_equal(console__hidden(s.console), 200);
	assert_non_null(strstr(s.text, "\n... 200 more spans of this trace not shown\n"));
	screen__close(&s);
}

static void assert_string(const json_t *object, const char *key, const char *value)
{
	const json_t *member = json_object_get(object, key);

	assert_non_null(member);
	assert_string_equal(json_string_value(member), value);
}

static void test_json(void **state)
{
	static const struct slice items[] = { { "a", 1 }, { "b", 1 } };
	struct screen s;
	struct span *span = http_server(1, 2, 3, 0, 12300000, 500);
	const json_t *attributes;
	json_t *object;

	span__add(span, "user_agent.original",
		  SLICE("\x1b[2J\xc2\x9b\xff"
			"x"));
	span__add_bool(span, "spanloom.incomplete", true);
	span->attributes[span->count++] = (struct attribute){
		.key = "list", .type = ATTRIBUTE_STRINGS, .strings = { .item = items, .count = 2 }
	};
	resource__add_int(span->resource, "process.pid", 42);
	screen__open(&s, CONSOLE_JSON, true);
	show(&s, span);
	screen__pass(&s, 0);
	for (size_t i = 0; i + 1 < s.len; i++)
		assert_true(s.text[i] >= ' ' && s.text[i] < 0x7f);
	assert_int_equal(s.text[s.len - 1], '\n');

	object = json_loads(s.text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(object);
	assert_string(object, "trace_id", "00000000000000000000000000000001");
	assert_string(object, "span_id", "0000000000000002");
	assert_string(object, "parent_span_id", "0000000000000003");
	assert_string(object, "name", "GET /users/{id}");
	assert_string(object, "kind", "SERVER");
	assert_string(object, "status", "ERROR");
	assert_string(object, "scope", "spanloom/test");
	assert_int_equal(json_integer_value(json_object_get(object, "flags")), 1);
	assert_true(json_integer_value(json_object_get(object, "start_unix_ns")) == (int64_t)NOON);
	assert_true(json_integer_value(json_object_get(object, "end_unix_ns")) ==
		    (int64_t)NOON + 12300000);
	assert_int_equal(json_integer_value(json_object_get(object, "duration_ns")), 12300000);
	attributes = json_object_get(object, "attributes");
	assert_string(attributes, "user_agent.original", "\x1b[2J\xc2\x9b\xef\xbf\xbdx");
	assert_int_equal(
		json_integer_value(json_object_get(attributes, "http.response.status_code")), 500);
	assert_true(json_is_true(json_object_get(attributes, "spanloom.incomplete")));
	assert_int_equal(json_array_size(json_object_get(attributes, "list")), 2);
	assert_string(json_object_get(object, "resource"), "service.name", "shop");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(object, "resource"),
							    "process.pid")),
			 42);
	json_decref(object);
	assert_int_equal(console__shown(s.console), 1);
	screen__close(&s);
}

static void test_json_is_complete(void **state)
{
	struct screen s;

	screen__open(&s, CONSOLE_JSON, false);
	for (int i = 0; i < 3000; i++)
		show(&s, numbered(i, false));
	screen__pass(&s, 0);
	assert_int_equal(count_of(s.text, "\n"), 3000);
	assert_int_equal(count_of(s.text, "\"parent_span_id\":\"\""), 3000);
	assert_int_equal(console__shown(s.console), 3000);
	screen__close(&s);
}

/* A disk that is full, a pipe whose reader has left. */
static void test_broken_output(void **state)
{
	for (int format = CONSOLE_TREE; format <= CONSOLE_JSON; format++) {
		struct screen s = { .now_ns = 1000000 * MS };

		s.out = fopen("/dev/full", "w");
		assert_non_null(s.out);
		s.console = console__new(s.out, (enum console_format)format, false);
		console__tick(s.console, s.now_ns);
		show(&s, numbered(1, false));
		screen__pass(&s, 300 * MS);
		for (int i = 0; i < 10; i++) {
			show(&s, numbered(i, false));
			screen__pass(&s, 300 * MS);
		}
		assert_int_equal(console__shown(s.console), 0);
		assert_int_equal(console__hidden(s.console), 11);
		console__flush(s.console);
		screen__close(&s);
	}
}

/* A pipe whose reader has stopped: the agent goes on, and tells how much was not shown. */
static void test_stopped_reader(void **state)
{
	for (int format = CONSOLE_TREE; format <= CONSOLE_JSON; format++) {
		struct screen s = { .now_ns = 1000000 * MS };
		int fds[2];

		assert_int_equal(pipe(fds), 0);
		s.out = fdopen(fds[1], "w");
		assert_non_null(s.out);
		s.console = console__new(s.out, (enum console_format)format, false);
		for (int i = 0; i < 20000; i++) {
			show(&s, numbered(i, false));
			screen__pass(&s, 10 * MS);
		}
		console__flush(s.console);
		assert_true(console__hidden(s.console) > 0);
		assert_int_equal(console__shown(s.console) + console__hidden(s.console), 20000);
		close(fds[0]);
		screen__close(&s);
	}
}

static int setup(void **state)
{
	setenv("TZ", "UTC", 1);
	setenv("LC_ALL", "C", 1);
	tzset();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_span),
		cmocka_unit_test(test_tree),
		cmocka_unit_test(test_color),
		cmocka_unit_test(test_hostile_text),
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_odd_parents),
		cmocka_unit_test(test_deep_tree),
		cmocka_unit_test(test_rate_limit),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_json_is_complete),
		cmocka_unit_test(test_broken_output),
		cmocka_unit_test(test_stopped_reader),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
