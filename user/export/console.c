// SPDX-License-Identifier: Apache-2.0
#include "user/export/console.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <unistd.h>

#include "user/base/hash.h"
#include "user/export/console_json.h"
#include "user/export/console_outlet.h"
#include "user/export/console_span.h"
#include "user/export/console_tree.h"
#include "user/flow/span.h"
#include "user/log.h"

#define TRACES_MAX	     4096 /* waiting to be shown */
#define SPANS_MAX	     8192 /* of all waiting traces */
#define TRACE_SPANS_MAX	     1000 /* of one of them */

#define QUIET_NS	     300000000ULL /* a trace with its root is complete after so much silence */
#define WAIT_NS		     2000000000ULL /* and any other after so long */
#define SECOND_NS	     1000000000ULL

#define TRACES_PER_SECOND    20
#define TRACES_PER_SECOND_OK 15 /* the rest is kept for traces with errors */

#define LAST_WAIT_MS	     100 /* for a slow reader, at the end */

#define WIDTH_DEFAULT	     120
#define WIDTH_MIN	     80

struct console_trace {
	uint8_t id[16];
	struct console_span *spans; /* in order of arrival */
	struct console_span **tail;
	size_t count;
	uint64_t cut; /* spans that were not kept */
	bool rooted;
	bool failed;
	uint64_t first_ns;
	uint64_t last_ns;
	TAILQ_ENTRY(console_trace) order;
	UT_hash_handle hh;
};

struct console {
	struct console_outlet outlet;
	enum console_format format;
	struct console_style style;
	struct console_json json;
	uint64_t now_ns;
	uint64_t shown;
	uint64_t hidden;
	uint64_t held; /* of those shown: since the outlet was empty */
	bool broken;   /* the output takes no more: everything is hidden */
	struct console_trace *by_id;
	TAILQ_HEAD(, console_trace) traces; /* oldest first */
	size_t span_count;		    /* in all of them */
	/* of the second that began at @second_ns */
	uint64_t second_ns;
	unsigned int printed;
	uint64_t left_out;
	uint64_t left_out_failed;
};

static bool locale_is_utf8(void)
{
	static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = getenv(names[i]);

		if (value && value[0])
			return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
	}
	return false;
}

/* The window may be resized at any time; a file or a pipe has no edge to cut lines at. */
static void console__measure(struct console *c)
{
	FILE *out = c->outlet.out;
	struct winsize size;

	c->style.edge = fileno(out) >= 0 && !ioctl(fileno(out), TIOCGWINSZ, &size) && size.ws_col;
	c->style.width = c->style.edge ? size.ws_col : WIDTH_DEFAULT;
	if (c->style.width < WIDTH_MIN)
		c->style.width = WIDTH_MIN;
}

struct console *console__new(FILE *out, enum console_format format, bool color)
{
	struct console *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	if (console_outlet__init(&c->outlet, out)) {
		free(c);
		return NULL;
	}
	c->format = format;
	c->style.color = color;
	c->style.utf8 = color && locale_is_utf8();
	console__measure(c);
	TAILQ_INIT(&c->traces);
	return c;
}

/* What is held counts as hidden: at most a part of it was written. */
static void console__forget_held(struct console *c)
{
	c->shown -= c->held;
	c->hidden += c->held;
	c->held = 0;
}

static void console__break(struct console *c, int err)
{
	c->broken = true;
	console__forget_held(c);
	log_warn("console", "cannot write: %s; spans are no longer shown", errstr(err));
}

static void console__drain(struct console *c, int wait_ms)
{
	int ret;

	if (c->broken)
		return;
	ret = console_outlet__drain(&c->outlet, wait_ms);
	if (ret < 0)
		console__break(c, ret);
	else if (ret)
		c->held = 0;
}

static bool console__writable(const struct console *c)
{
	return !c->broken && console_outlet__has_room(&c->outlet);
}

static void console__drop(struct console *c, struct console_trace *trace)
{
	struct console_span *span = trace->spans;

	TAILQ_REMOVE(&c->traces, trace, order);
	HASH_DEL(c->by_id, trace);
	c->span_count -= trace->count;
	while (span) {
		struct console_span *next = span->next;

		free(span);
		span = next;
	}
	free(trace);
}

void console__free(struct console *c)
{
	if (!c)
		return;
	while (!TAILQ_EMPTY(&c->traces))
		console__drop(c, TAILQ_FIRST(&c->traces));
	console_json__reset(&c->json);
	console_outlet__free(&c->outlet);
	free(c);
}

static void console__print(struct console *c, const struct console_trace *trace)
{
	struct console_span *spans[TRACE_SPANS_MAX];
	size_t count = 0;

	for (struct console_span *span = trace->spans; span; span = span->next)
		spans[count++] = span;
	console_tree__print(c->outlet.text, &c->style, spans, count);
	if (trace->cut)
		fprintf(c->outlet.text, "... %llu more spans of this trace not shown\n",
			(unsigned long long)trace->cut);
	c->shown += count;
	c->held += count;
}

/* Shows a trace, or leaves it out when there were enough in this second. */
static void console__finish(struct console *c, struct console_trace *trace)
{
	unsigned int limit = trace->failed ? TRACES_PER_SECOND : TRACES_PER_SECOND_OK;

	if (trace->count && c->printed < limit && console__writable(c)) {
		console__print(c, trace);
		c->printed++;
	} else {
		c->hidden += trace->count;
		c->left_out++;
		c->left_out_failed += trace->failed;
	}
	console__drop(c, trace);
}

static struct console_trace *console__trace(struct console *c, const uint8_t id[16])
{
	struct console_trace *trace;

	HASH_FIND(hh, c->by_id, id, sizeof(trace->id), trace);
	if (trace)
		return trace;
	if (HASH_COUNT(c->by_id) >= TRACES_MAX)
		console__finish(c, TAILQ_FIRST(&c->traces));
	trace = calloc(1, sizeof(*trace));
	if (!trace)
		return NULL;
	memcpy(trace->id, id, sizeof(trace->id));
	trace->tail = &trace->spans;
	trace->first_ns = c->now_ns;
	HASH_ADD(hh, c->by_id, id, sizeof(trace->id), trace);
	if (!hash__has(&trace->hh)) {
		free(trace);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&c->traces, trace, order);
	return trace;
}

static void console__collect(struct console *c, const struct span *span)
{
	static const uint8_t none[sizeof(span->parent_id)];
	struct console_trace *trace = console__trace(c, span->trace_id);
	struct console_span *copy = NULL;

	if (!trace) {
		c->hidden++;
		return;
	}
	trace->last_ns = c->now_ns;
	trace->failed |= span->status == STATUS_ERROR;
	trace->rooted |= memcmp(span->parent_id, none, sizeof(none)) == 0;
	if (trace->count < TRACE_SPANS_MAX && c->span_count < SPANS_MAX)
		copy = malloc(sizeof(*copy));
	if (!copy) {
		trace->cut++;
		c->hidden++;
		return;
	}
	console_span__init(copy, span);
	*trace->tail = copy;
	trace->tail = &copy->next;
	trace->count++;
	c->span_count++;
}

static void console__print_json(struct console *c, const struct span *span)
{
	if (!console__writable(c) || console_json__print(&c->json, c->outlet.text, span)) {
		c->hidden++;
		return;
	}
	c->shown++;
	c->held++;
}

void console__span(struct console *c, const struct span *span)
{
	if (c->broken)
		c->hidden++;
	else if (c->format == CONSOLE_TREE)
		console__collect(c, span);
	else
		console__print_json(c, span);
	if (console_outlet__is_due(&c->outlet))
		console__drain(c, 0);
}

/* The line that tells of what was left out, once a second. */
static void console__turn_second(struct console *c)
{
	if (c->left_out && !console__writable(c))
		return; /* told later */
	if (c->left_out)
		fprintf(c->outlet.text,
			"... %llu traces not shown in the last second (%llu with errors)\n",
			(unsigned long long)c->left_out, (unsigned long long)c->left_out_failed);
	c->second_ns = c->now_ns;
	c->printed = 0;
	c->left_out = 0;
	c->left_out_failed = 0;
}

static bool trace__complete(const struct console_trace *trace, uint64_t now_ns)
{
	if (trace->rooted && now_ns - trace->last_ns >= QUIET_NS)
		return true;
	return now_ns - trace->first_ns >= WAIT_NS;
}

void console__tick(struct console *c, uint64_t now_ns)
{
	struct console_trace *trace = TAILQ_FIRST(&c->traces);

	c->now_ns = now_ns;
	if (now_ns - c->second_ns >= SECOND_NS)
		console__turn_second(c);
	if (trace)
		console__measure(c);
	while (trace) {
		struct console_trace *next = TAILQ_NEXT(trace, order);

		if (trace__complete(trace, now_ns))
			console__finish(c, trace);
		trace = next;
	}
	console__drain(c, 0);
}

void console__flush(struct console *c)
{
	console__turn_second(c);
	console__measure(c);
	while (!TAILQ_EMPTY(&c->traces))
		console__finish(c, TAILQ_FIRST(&c->traces));
	console__turn_second(c);
	console__drain(c, LAST_WAIT_MS);
	console__forget_held(c);
}

uint64_t console__shown(const struct console *c)
{
	return c->shown;
}

uint64_t console__hidden(const struct console *c)
{
	return c->hidden;
}
