// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/console_scene.h"

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
			  "           1.0 ms  200 eof (incomplete)  -> 127.0.0.1:8080\n"
			  "12:00:01.234                    MULTI SET SET a ?; SET b ?         "
			  "           0.0 us  connection_refused\n");
	screen__close(&s);
}

/* A terminal would wrap what is longer than it is wide. */
static void test_narrow_terminal(void **state)
{
	struct screen s = { .now_ns = 1000000 * MS };
	int terminal = posix_openpt(O_RDWR | O_NOCTTY);
	struct winsize size = { .ws_row = 24, .ws_col = 120 };
	char text[256] = "";
	struct span *span;

	assert_int_equal(grantpt(terminal) | unlockpt(terminal), 0);
	s.out = fopen(ptsname(terminal), "w");
	assert_non_null(s.out);
	assert_int_equal(ioctl(terminal, TIOCSWINSZ, &size), 0);
	s.console = console__new(s.out, CONSOLE_TREE, false);
	console__tick(s.console, s.now_ns);
	span = http_client(1, 1, 0, 0, MS);
	span__fail(span, SLICE("eof"));
	span__add_bool(span, "spanloom.incomplete", true);
	show(&s, span);
	screen__pass(&s, 300 * MS);
	assert_true(read(terminal, text, sizeof(text) - 1) > 0);
	assert_string_equal(text,
			    "12:00:01.234  curl              GET /users/42                      "
			    "           1.0 ms  200 eof (incomplete)  -> 127.0.0.~\r\n");
	screen__close(&s);
	close(terminal);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_span),       cmocka_unit_test(test_tree),
		cmocka_unit_test(test_color),	       cmocka_unit_test(test_hostile_text),
		cmocka_unit_test(test_results),	       cmocka_unit_test(test_odd_parents),
		cmocka_unit_test(test_deep_tree),      cmocka_unit_test(test_rate_limit),
		cmocka_unit_test(test_bounds),	       cmocka_unit_test(test_broken_output),
		cmocka_unit_test(test_stopped_reader), cmocka_unit_test(test_narrow_terminal),
	};

	return cmocka_run_group_tests(tests, screen__setup, NULL);
}
