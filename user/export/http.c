// SPDX-License-Identifier: Apache-2.0
#include "user/export/http.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

#include "user/base/loop.h"
#include "user/export/batch.h"
#include "user/export/gzip.h"
#include "user/export/health.h"
#include "user/export/otlp.h"
#include "user/export/printable.h"
#include "user/export/queue.h"
#include "user/export/retry.h"
#include "user/export/transfer.h"
#include "user/flow/span.h"
#include "user/options.h"

#define MS_NS	    1000000ull
#define CAUSE_BYTES 192 /* of a log line */
/* Even when tries may go on for ever, a collector cannot silence us for longer. */
#define MAX_WAIT_S 600

/* The one request under way: being sent, or waiting to be sent again. */
struct request {
	struct batch *batch; /* that @body is of; or NULL: it was compressed ... */
	void *memory;	     /* ... into this, */
	struct slice gzip;   /* as a whole */
	struct body body;
	size_t spans;	      /* in it; 0: there is no request */
	uint64_t deadline_ns; /* for the last try, 0: none */
	struct backoff backoff;
	bool waiting; /* for the next try */
	bool told;    /* how long, by the collector */
	bool over;    /* its deadline comes before that try */
};

/*
 * A span's way: queue -> request -> counts.  It is in exactly one of them.
 */
struct http_exporter {
	const struct otlp_options *options;
	struct transfer *transfer;
	struct loop_timer *delay_timer; /* the queue has waited long enough */
	struct loop_timer *retry_timer;
	struct loop_timer *flush_timer;
	struct queue queue;
	size_t due; /* spans of the queue that shall not wait for a full batch */
	bool delay_armed;
	struct request request;
	uint64_t pause_ns; /* that the collector has asked for; its request is over */
	struct export_counts counts;
	struct health health;
	bool flushing;
	uint64_t flush_deadline_ns;
	void (*flush_done)(void *ctx);
	void *flush_ctx;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 * MS_NS + (uint64_t)ts.tv_nsec;
}

static uint64_t exporter__lost(const struct http_exporter *e)
{
	const struct export_counts *c = &e->counts;

	return c->queue_full + c->rejected + c->refused + c->failed + c->too_large + c->no_memory +
	       c->shutdown;
}

/* ---- queue -> request ------------------------------------------------------------------- */

static int request__compress(struct request *r)
{
	uint8_t *bytes;
	size_t len;
	int err = gzip__compress(&r->body, &bytes, &len);

	if (err)
		return err;
	batch__free(r->batch);
	r->batch = NULL;
	r->memory = bytes;
	r->gzip = slice__of((const char *)bytes, len);
	r->body = (struct body){ .pieces = &r->gzip, .count = 1, .len = len };
	return 0;
}

static void request__reset(struct request *r)
{
	batch__free(r->batch);
	free(r->memory);
	*r = (struct request){ 0 };
}

/* Of the oldest batch in the queue, which has one. */
static void request__build(struct http_exporter *e)
{
	struct request *r = &e->request;
	size_t spans;
	int err;

	r->batch = queue__take(&e->queue);
	spans = r->batch->spans;
	err = batch__encode(r->batch, &r->body);
	e->due -= e->due < spans ? e->due : spans;
	if (!err && e->options->gzip)
		err = request__compress(r);
	if (err) {
		request__reset(r);
		e->counts.no_memory += spans;
	} else {
		r->spans = spans;
	}
}

/* Is there a batch that may go? */
static bool exporter__ready(const struct http_exporter *e)
{
	return !e->pause_ns &&
	       (queue__ready(&e->queue) || e->due > 0 || (e->flushing && e->queue.spans > 0));
}

static uint32_t random_bits(void)
{
	uint32_t bits = 0;

	/* Only jitter: when the kernel has none yet, zero will do. */
	(void)!getrandom(&bits, sizeof(bits), GRND_NONBLOCK);
	return bits;
}

/* @told_s: how long the collector wants us to wait, 0: it did not say.  @status: of HTTP, or 0.
 * What comes of it comes from the loop: tries that fail at once do not pile up on the stack. */
static void exporter__retry(struct http_exporter *e, uint64_t told_s, long status,
			    const char *cause)
{
	struct request *r = &e->request;
	uint64_t now = now_ns();
	uint64_t wait_ns = told_s ? (told_s < MAX_WAIT_S ? told_s : MAX_WAIT_S) * 1000 * MS_NS
				  : backoff__next_ms(&r->backoff, random_bits()) * MS_NS;

	health__unreachable(&e->health, now, exporter__lost(e), status, cause);
	r->waiting = true;
	r->told = told_s > 0;
	r->over = r->deadline_ns && now + wait_ns >= r->deadline_ns;
	if (r->over && r->told)
		e->pause_ns = wait_ns;
	loop_timer__after(e->retry_timer, r->over ? 0 : wait_ns);
}

static void exporter__try(struct http_exporter *e)
{
	struct request *r = &e->request;
	uint64_t timeout_ms = e->options->timeout_ms;
	int err;

	r->waiting = false;
	if (r->deadline_ns) {
		uint64_t now = now_ns();
		uint64_t left_ms = now < r->deadline_ns ? (r->deadline_ns - now) / MS_NS : 0;

		left_ms = left_ms ? left_ms : 1; /* 0 would be no limit */
		timeout_ms = timeout_ms && timeout_ms < left_ms ? timeout_ms : left_ms;
	}
	err = transfer__start(e->transfer, r->body, (uint32_t)timeout_ms);
	if (err)
		exporter__retry(e, 0, 0, "no memory for a transfer");
}

/* Sends the next request, if there is one to send and none is under way. */
static void exporter__advance(struct http_exporter *e)
{
	struct request *r = &e->request;
	bool started = false;

	while (r->spans == 0 && exporter__ready(e)) {
		request__build(e);
		started = r->spans > 0;
	}
	if (e->queue.spans > e->due && !e->delay_armed) {
		e->delay_armed = true;
		loop_timer__after(e->delay_timer, e->options->schedule_delay_ms * MS_NS);
	}
	if (started) {
		uint64_t limit_ms = e->options->export_timeout_ms;

		r->deadline_ns = limit_ms ? now_ns() + limit_ms * MS_NS : 0;
		backoff__init(&r->backoff);
		exporter__try(e);
	}
	if (e->flushing && http_exporter__pending(e) == 0)
		loop_timer__after(e->flush_timer, 0);
}

/* ---- the answer ------------------------------------------------------------------------- */

/* The request is over; its spans have been counted. */
static void exporter__next(struct http_exporter *e)
{
	request__reset(&e->request);
	exporter__advance(e);
}

static void exporter__refused(struct http_exporter *e, long status, const char *cause)
{
	health__refusing(&e->health, now_ns(), exporter__lost(e), status, cause);
	e->counts.refused += e->request.spans;
	exporter__next(e);
}

/* All spans were taken, or all but some that will never be. */
static void exporter__accepted(struct http_exporter *e, struct slice body)
{
	uint64_t spans = e->request.spans;
	uint64_t rejected = 0;
	struct otlp_answer answer;

	if (otlp__decode_answer(body, &answer))
		health__odd_answer(&e->health);
	else if (answer.rejected_spans > 0)
		rejected = (uint64_t)answer.rejected_spans < spans ? (uint64_t)answer.rejected_spans
								   : spans;
	if (rejected || answer.message[0])
		health__partial(&e->health, (int64_t)rejected, answer.message);
	e->counts.rejected += rejected;
	e->counts.exported += spans - rejected;
	health__good(&e->health, now_ns(), exporter__lost(e));
	exporter__next(e);
}

static void exporter__on_answer(struct http_exporter *e, const struct transfer_result *result)
{
	char text[CAUSE_BYTES - 32];
	char cause[CAUSE_BYTES];

	if (result->status >= 200 && result->status < 300) {
		exporter__accepted(e, result->body);
		return;
	}
	printable__copy(text, sizeof(text), result->body);
	snprintf(cause, sizeof(cause), "HTTP %ld%s%s", result->status, text[0] ? ": " : "", text);
	if (retry__allowed(result->status))
		exporter__retry(e, result->retry_after_s, result->status, cause);
	else
		exporter__refused(e, result->status, cause);
}

static void exporter__on_result(void *ctx, const struct transfer_result *result)
{
	char cause[CAUSE_BYTES]; /* which may quote the other side, e.g. its certificate */

	if (result->end == TRANSFER_ANSWERED) {
		exporter__on_answer(ctx, result);
		return;
	}
	printable__copy(cause, sizeof(cause), slice__str(result->error));
	if (result->end == TRANSFER_NO_ANSWER)
		exporter__retry(ctx, 0, 0, cause);
	else
		exporter__refused(ctx, 0, cause);
}

/* ---- timers ----------------------------------------------------------------------------- */

static void exporter__on_delay(void *ctx)
{
	struct http_exporter *e = ctx;

	e->delay_armed = false;
	e->due = e->queue.spans;
	exporter__advance(e);
}

static void exporter__on_retry(void *ctx)
{
	struct http_exporter *e = ctx;

	if (e->request.over) {
		e->counts.failed += e->request.spans;
		if (e->pause_ns)
			loop_timer__after(e->retry_timer, e->pause_ns);
		exporter__next(e);
	} else if (e->request.waiting) {
		exporter__try(e);
	} else {
		e->pause_ns = 0;
		exporter__advance(e);
	}
}

/* All that is left is lost: there is no more time for it. */
static void exporter__give_up(struct http_exporter *e)
{
	e->counts.shutdown += http_exporter__pending(e);
	transfer__cancel(e->transfer);
	loop_timer__stop(e->retry_timer);
	request__reset(&e->request);
	queue__reset(&e->queue);
	e->due = 0;
	e->pause_ns = 0;
}

static void exporter__on_flush(void *ctx)
{
	struct http_exporter *e = ctx;
	uint64_t now = now_ns();

	if (!e->flushing)
		return;
	if (http_exporter__pending(e) && now < e->flush_deadline_ns) {
		loop_timer__after(e->flush_timer, e->flush_deadline_ns - now);
		return;
	}
	exporter__give_up(e);
	e->flushing = false;
	if (e->flush_done)
		e->flush_done(e->flush_ctx); /* which may free @e */
}

/* ---- what the caller sees --------------------------------------------------------------- */

static int exporter__open(struct http_exporter *e, struct loop *loop)
{
	const struct otlp_options *options = e->options;
	size_t capacity = options->max_queue_size ? options->max_queue_size : 1;
	size_t batch_max = options->max_export_batch_size ? options->max_export_batch_size : 1;

	if (batch_max > capacity)
		batch_max = capacity;
	queue__init(&e->queue, capacity, batch_max);
	e->delay_timer = loop__timer(loop, exporter__on_delay, e);
	if (!e->delay_timer)
		return -errno;
	e->retry_timer = loop__timer(loop, exporter__on_retry, e);
	if (!e->retry_timer)
		return -errno;
	e->flush_timer = loop__timer(loop, exporter__on_flush, e);
	if (!e->flush_timer)
		return -errno;
	e->transfer = transfer__new(loop, options, exporter__on_result, e);
	if (!e->transfer)
		return -errno;
	health__init(&e->health, transfer__target(e->transfer), (uint32_t)capacity);
	return 0;
}

struct http_exporter *http_exporter__new(struct loop *loop, const struct otlp_options *options)
{
	struct http_exporter *e = calloc(1, sizeof(*e));
	int err;

	if (!e)
		return NULL;
	e->options = options;
	err = exporter__open(e, loop);
	if (err) {
		http_exporter__free(e);
		errno = -err;
		return NULL;
	}
	return e;
}

void http_exporter__free(struct http_exporter *e)
{
	if (!e)
		return;
	transfer__free(e->transfer);
	if (e->delay_timer)
		loop_timer__stop(e->delay_timer);
	if (e->retry_timer)
		loop_timer__stop(e->retry_timer);
	if (e->flush_timer)
		loop_timer__stop(e->flush_timer);
	request__reset(&e->request);
	queue__reset(&e->queue);
	free(e);
}

void http_exporter__push(struct http_exporter *e, struct span *span)
{
	switch (queue__push(&e->queue, span)) {
	case 0:
		break;
	case -ENOBUFS:
		e->counts.queue_full++;
		break;
	case -E2BIG:
		e->counts.too_large++;
		break;
	default:
		e->counts.no_memory++;
	}
	span__free(span);
	if (exporter__ready(e) || !e->delay_armed)
		exporter__advance(e);
}

void http_exporter__flush(struct http_exporter *e, uint32_t deadline_ms, void (*done)(void *ctx),
			  void *ctx)
{
	e->flushing = true;
	e->flush_deadline_ns = now_ns() + deadline_ms * MS_NS;
	e->flush_done = done;
	e->flush_ctx = ctx;
	loop_timer__after(e->flush_timer, deadline_ms * MS_NS);
	if (e->request.waiting && !e->request.told) {
		/* the last chance is worth a try now rather than after a long back-off */
		backoff__init(&e->request.backoff);
		loop_timer__after(e->retry_timer, 0);
	}
	exporter__advance(e);
}

const struct export_counts *http_exporter__counts(const struct http_exporter *e)
{
	return &e->counts;
}

uint64_t http_exporter__pending(const struct http_exporter *e)
{
	return e->queue.spans + e->request.spans;
}
