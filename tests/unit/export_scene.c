// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/export_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <time.h>
#include <cmocka.h>

#include "user/base/loop.h"
#include "user/flow/span.h"
#include "user/log.h"

#define MS	    1000000ull
#define PATIENCE_MS 60000 /* no test takes that long, unless it fails */

static struct loop *loop;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 * MS + (uint64_t)ts.tv_nsec;
}

void scene__prepare(struct scene *s, const struct answer *script, size_t len, bool listening)
{
	*s = (struct scene){ 0 };
	fake_collector__open(&s->collector, loop, script, len, listening);
	snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%u/v1/traces", s->collector.port);
	s->options = (struct otlp_options){
		.url = s->url,
		.timeout_ms = 30000,
		.schedule_delay_ms = 10,
		.export_timeout_ms = 40000,
		.max_queue_size = 64,
		.max_export_batch_size = 16,
	};
}

void scene__start(struct scene *s)
{
	s->exporter = http_exporter__new(loop, &s->options);
	assert_non_null(s->exporter);
}

void scene__open(struct scene *s, const struct answer *script, size_t len)
{
	scene__prepare(s, script, len, true);
	scene__start(s);
}

/* At any time each span is somewhere. */
static void scene__check_sum(const struct scene *s)
{
	const struct export_counts *c = http_exporter__counts(s->exporter);

	assert_int_equal(c->exported + c->queue_full + c->rejected + c->refused + c->failed +
				 c->too_large + c->no_memory + c->shutdown +
				 http_exporter__pending(s->exporter),
			 s->pushed);
}

void scene__close(struct scene *s)
{
	scene__check_sum(s);
	http_exporter__free(s->exporter);
	fake_collector__close(&s->collector);
}

void scene__push(struct scene *s, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct span *span = span__new();

		assert_non_null(span);
		span->trace_id[0] = span->span_id[0] = 1;
		span->scope = "spanloom/http1";
		span__set_name(span, SLICE("GET /"));
		s->pushed++;
		http_exporter__push(s->exporter, span);
		scene__check_sum(s);
	}
}

void scene__push_text(struct scene *s, struct slice text)
{
	struct span *span = span__new();

	assert_non_null(span);
	span->trace_id[0] = span->span_id[0] = 1;
	span->scope = "spanloom/http1";
	span->name = text;
	s->pushed++;
	http_exporter__push(s->exporter, span);
}

const struct export_counts *scene__counts(const struct scene *s)
{
	return http_exporter__counts(s->exporter);
}

struct watch {
	struct scene *scenes;
	size_t count;
	uint64_t left; /* spans, where there is no more to come */
	uint64_t until_ns;
};

static void on_watch(void *ctx)
{
	const struct watch *w = ctx;
	uint64_t pending = 0;

	for (size_t i = 0; i < w->count; i++) {
		scene__check_sum(&w->scenes[i]);
		pending += http_exporter__pending(w->scenes[i].exporter);
	}
	if (pending <= w->left || now_ns() > w->until_ns)
		loop__stop(loop);
}

static void run(struct watch watch)
{
	struct loop_timer *timer = loop__timer(loop, on_watch, &watch);

	assert_non_null(timer);
	loop_timer__every(timer, MS);
	assert_int_equal(loop__run(loop), 0);
	loop_timer__stop(timer);
}

void scene__run(struct scene *s, uint64_t ms)
{
	run((struct watch){ s, 1, 0, now_ns() + ms * MS });
}

void scene__run_until(struct scene *s, uint64_t left)
{
	run((struct watch){ s, 1, left, now_ns() + PATIENCE_MS * MS });
}

void scene__settle(struct scene *scenes, size_t count)
{
	run((struct watch){ scenes, count, 0, now_ns() + PATIENCE_MS * MS });
	for (size_t i = 0; i < count; i++)
		assert_int_equal(http_exporter__pending(scenes[i].exporter), 0);
}

struct loop *scene__loop(void)
{
	return loop;
}

int scene__set_up(void **state)
{
	log__set_level(LOG_ERROR);
	loop = loop__new();
	return loop ? 0 : -1;
}

int scene__tear_down(void **state)
{
	loop__free(loop);
	return 0;
}
