// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/console_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "user/flow/resource.h"

void screen__open(struct screen *s, enum console_format format, bool color)
{
	*s = (struct screen){ .now_ns = 1000000 * MS };
	s->out = open_memstream(&s->text, &s->len);
	assert_non_null(s->out);
	s->console = console__new(s->out, format, color);
	assert_non_null(s->console);
	console__tick(s->console, s->now_ns);
}

void screen__close(struct screen *s)
{
	console__free(s->console);
	fclose(s->out);
	free(s->text);
}

void screen__pass(struct screen *s, uint64_t ns)
{
	s->now_ns += ns;
	console__tick(s->console, s->now_ns);
}

void assert_screen(struct screen *s, const char *expected)
{
	fflush(s->out);
	assert_string_equal(s->text, expected);
	fseek(s->out, 0, SEEK_SET);
	/* memory streams keep the longer text */
	memset(s->text, 0, s->len);
}

struct span *make_span(uint8_t trace, uint8_t id, uint8_t parent, uint64_t start_ms,
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
	span->resource->service_name = slice__str(service);
	return span;
}

void show(struct screen *s, struct span *span)
{
	console__span(s->console, span);
	span__free(span);
}

struct span *http_client(uint8_t trace, uint8_t id, uint8_t parent, uint64_t start_ms,
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

struct span *http_server(uint8_t trace, uint8_t id, uint8_t parent, uint64_t start_ms,
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

struct span *query(uint8_t trace, uint8_t id, uint8_t parent, uint64_t start_ms,
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

struct span *numbered(int number, bool failed)
{
	struct span *span = http_server(0, 1, 0, 0, MS, failed ? 500 : 200);

	memcpy(span->trace_id, &number, sizeof(number));
	span->trace_id[15] = 1;
	return span;
}

size_t count_of(const char *text, const char *needle)
{
	size_t count = 0;

	for (text = strstr(text, needle); text; text = strstr(text + 1, needle))
		count++;
	return count;
}

int screen__setup(void **state)
{
	setenv("TZ", "UTC", 1);
	setenv("LC_ALL", "C", 1);
	tzset();
	return 0;
}
