/* SPDX-License-Identifier: Apache-2.0 */
/* A console that writes to memory, and spans to show on it. */
#ifndef SPANLOOM_CONSOLE_SCENE_H
#define SPANLOOM_CONSOLE_SCENE_H

#include "user/export/console.h"
#include "user/flow/span.h"

#define MS   1000000ULL
#define NOON 1700049601234000000ULL /* 2023-11-15T12:00:01.234Z */

struct screen {
	struct console *console;
	FILE *out;
	char *text;
	size_t len;
	uint64_t now_ns;
};

void screen__open(struct screen *s, enum console_format format, bool color);
void screen__close(struct screen *s);
void screen__pass(struct screen *s, uint64_t ns);
void assert_screen(struct screen *s, const char *expected);
struct span *make_span(uint8_t trace, uint8_t id, uint8_t parent, uint64_t start_ms,
		       uint64_t duration_ns, const char *service);
void show(struct screen *s, struct span *span);
struct span *http_client(uint8_t trace, uint8_t id, uint8_t parent, uint64_t start_ms,
			 uint64_t duration_ns);
struct span *http_server(uint8_t trace, uint8_t id, uint8_t parent, uint64_t start_ms,
			 uint64_t duration_ns, int status);
struct span *query(uint8_t trace, uint8_t id, uint8_t parent, uint64_t start_ms,
		   uint64_t duration_ns);
struct span *numbered(int number, bool failed);
size_t count_of(const char *text, const char *needle);

/* For cmocka: time zone and language of what is shown. */
int screen__setup(void **state);

#endif
