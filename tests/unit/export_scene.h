/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An exporter and its collector on one loop, for tests.
 */
#ifndef SPANLOOM_EXPORT_SCENE_H
#define SPANLOOM_EXPORT_SCENE_H

#include "tests/unit/fake_collector.h"
#include "user/export/http.h"
#include "user/options.h"

#define STATUS(line) "HTTP/1.1 " line "\r\nContent-Length: 0\r\n\r\n"
#define BYTES(text)                                                                                \
	{                                                                                          \
		ANSWER_BYTES, SLICE(text),                                                         \
		{                                                                                  \
			NULL, 0                                                                    \
		}                                                                                  \
	}
#define OK_ANSWER BYTES(STATUS("200 OK"))
#define SILENT                                                                                     \
	{                                                                                          \
		ANSWER_SILENCE, { NULL, 0 },                                                       \
		{                                                                                  \
			NULL, 0                                                                    \
		}                                                                                  \
	}
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct scene {
	struct fake_collector collector;
	struct otlp_options options;
	char url[64];
	struct http_exporter *exporter;
	uint64_t pushed;
};

/* For cmocka_run_group_tests(). */
int scene__set_up(void **state);
int scene__tear_down(void **state);
struct loop *scene__loop(void);

/* scene__prepare() makes options that may be changed before scene__start(). */
void scene__prepare(struct scene *s, const struct answer *script, size_t len, bool listening);
void scene__start(struct scene *s);
/* Both, with a collector that listens. */
void scene__open(struct scene *s, const struct answer *script, size_t len);
void scene__close(struct scene *s);

void scene__push(struct scene *s, size_t count);
/* A span with this name, borrowed. */
void scene__push_text(struct scene *s, struct slice text);

const struct export_counts *scene__counts(const struct scene *s);

/* The sums of each scene must agree at any time while it runs: for @ms, or until no span is
 * pending ... */
void scene__run(struct scene *s, uint64_t ms);
/* ... until @left are ... */
void scene__run_until(struct scene *s, uint64_t left);
/* ... until none is in any scene, and they must get there. */
void scene__settle(struct scene *scenes, size_t count);

#endif
