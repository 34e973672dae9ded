// SPDX-License-Identifier: Apache-2.0
#include "user/export/console_tree.h"

#include <limits.h>
#include <time.h>

#include "user/base/utf8.h"
#include "user/export/console_span.h"

#define TIME_COLUMNS	 12 /* 12:00:01.234 */
#define SERVICE_COLUMNS	 16
#define DURATION_COLUMNS 8
#define RESULT_COLUMNS	 6
#define GAP		 2
#define LEVEL_COLUMNS	 3
#define LEVELS_MAX	 12

#define MILLISECOND_NS	 1000000ULL
#define SECOND_NS	 1000000000ULL

#define BOLD		 "\x1b[1m"
#define DIM		 "\x1b[2m"
#define RED		 "\x1b[31m"
#define YELLOW		 "\x1b[33m"
#define CYAN		 "\x1b[36m"
#define RESET		 "\x1b[0m"

/* A line while it is written. */
struct line {
	FILE *out;
	const struct console_style *style;
	unsigned int column;  /* where the next character goes */
	unsigned int pending; /* spaces before it, not yet written: lines end without any */
};

static uint32_t code_point(struct slice character)
{
	const unsigned char *c = (const unsigned char *)character.data;

	switch (character.len) {
	case 2:
		return (c[0] & 0x1fu) << 6 | (c[1] & 0x3fu);
	case 3:
		return (c[0] & 0x0fu) << 12 | (c[1] & 0x3fu) << 6 | (c[2] & 0x3fu);
	case 4:
		return (c[0] & 0x07u) << 18 | (c[1] & 0x3fu) << 12 | (c[2] & 0x3fu) << 6 |
		       (c[3] & 0x3fu);
	}
	return c[0];
}

/* East Asian and emoji blocks take two columns, combining marks none. */
static unsigned int char_columns(struct slice character)
{
	static const struct {
		uint32_t first;
		uint32_t last;
		unsigned int columns;
	} ranges[] = {
		{ 0x300, 0x36f, 0 },   { 0x1100, 0x115f, 2 },	{ 0x200b, 0x200d, 0 },
		{ 0x2e80, 0xa4cf, 2 }, { 0xac00, 0xd7a3, 2 },	{ 0xf900, 0xfaff, 2 },
		{ 0xfe00, 0xfe0f, 0 }, { 0xfe30, 0xfe6f, 2 },	{ 0xff00, 0xff60, 2 },
		{ 0xffe0, 0xffe6, 2 }, { 0x1f300, 0x1faff, 2 }, { 0x20000, 0x3fffd, 2 },
	};
	uint32_t code = code_point(character);

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (code >= ranges[i].first && code <= ranges[i].last)
			return ranges[i].columns;
	return 1;
}

static struct slice first_char(struct slice in)
{
	size_t len = utf8__sequence(in);

	return slice__head(in, len ? len : 1);
}

static unsigned int text_columns(const char *text)
{
	struct slice in = slice__str(text);
	unsigned int columns = 0;

	while (in.len) {
		struct slice character = first_char(in);

		columns += char_columns(character);
		in = slice__skip(in, character.len);
	}
	return columns;
}

static void line__space(struct line *line, unsigned int columns)
{
	line->column += columns;
	line->pending += columns;
}

/* Spaces up to @column. */
static void line__goto(struct line *line, unsigned int column)
{
	if (column > line->column)
		line__space(line, column - line->column);
}

/* @text in @color, at most @room columns of it. */
static void line__put(struct line *line, const char *color, const char *text, unsigned int room)
{
	const char *more = line->style->utf8 ? "\xe2\x80\xa6" : "~";
	bool cut = text_columns(text) > room;
	struct slice in = slice__str(text);
	unsigned int used = 0;

	if (room == 0 || in.len == 0)
		return;
	color = line->style->color ? color : "";
	fprintf(line->out, "%*s%s", (int)line->pending, "", color);
	line->pending = 0;
	while (in.len) {
		struct slice character = first_char(in);
		unsigned int columns = char_columns(character);

		if (used + columns > room - cut)
			break;
		if (character.len > 1 && !line->style->utf8)
			fputc('?', line->out);
		else
			fwrite(character.data, 1, character.len, line->out);
		used += columns;
		in = slice__skip(in, character.len);
	}
	fprintf(line->out, "%s%s", cut ? more : "", color[0] ? RESET : "");
	line->column += used + cut;
}

static void line__put_right(struct line *line, const char *color, const char *text,
			    unsigned int room)
{
	unsigned int columns = text_columns(text);

	if (columns < room)
		line__space(line, room - columns);
	line__put(line, color, text, room);
}

static void format_duration(char *out, size_t room, uint64_t ns)
{
	if (ns < 10000)
		snprintf(out, room, "%.1f us", (double)ns / 1e3);
	else if (ns < MILLISECOND_NS)
		snprintf(out, room, "%.0f us", (double)ns / 1e3);
	else if (ns < SECOND_NS)
		snprintf(out, room, "%.1f ms", (double)ns / 1e6);
	else if (ns < 100 * SECOND_NS)
		snprintf(out, room, "%.2f s", (double)ns / 1e9);
	else
		snprintf(out, room, "%.0f s", (double)ns / 1e9);
}

static void line__put_time(struct line *line, const struct console_span *span,
			   const struct console_span *root)
{
	time_t seconds = (time_t)(span->start_unix_ns / SECOND_NS);
	char text[32], duration[16];
	struct tm tm;
	size_t len;

	if (span != root) {
		format_duration(duration, sizeof(duration),
				span->start_unix_ns > root->start_unix_ns
					? span->start_unix_ns - root->start_unix_ns
					: 0);
		snprintf(text, sizeof(text), "+%s", duration);
		line__put_right(line, DIM, text, TIME_COLUMNS);
		return;
	}
	localtime_r(&seconds, &tm);
	len = strftime(text, sizeof(text), "%H:%M:%S", &tm);
	snprintf(text + len, sizeof(text) - len, ".%03u",
		 (unsigned int)(span->start_unix_ns % SECOND_NS / MILLISECOND_NS));
	line__put(line, DIM, text, TIME_COLUMNS);
}

/* The branch that leads to @span; @room bounds its depth. */
static void line__put_branch(struct line *line, const struct console_span *span,
			     const struct console_span *root, unsigned int room)
{
	static const char *const utf8[] = { "\xe2\x94\x82  ", "\xe2\x94\x9c\xe2\x94\x80 ",
					    "\xe2\x94\x94\xe2\x94\x80 " };
	static const char *const ascii[] = { "|  ", "|- ", "`- " };
	const char *const *glyphs = line->style->utf8 ? utf8 : ascii;
	const char *levels[LEVELS_MAX];
	unsigned int count = 0;

	for (const struct console_span *at = span; at != root; at = at->parent) {
		const char *glyph;

		if (count == LEVELS_MAX || (count + 1) * LEVEL_COLUMNS > room)
			break;
		if (at == span)
			glyph = at->sibling ? glyphs[1] : glyphs[2];
		else
			glyph = at->sibling ? glyphs[0] : "   ";
		levels[count++] = glyph;
	}
	while (count--)
		line__put(line, DIM, levels[count], LEVEL_COLUMNS);
}

static const char *duration_color(uint64_t ns)
{
	if (ns >= SECOND_NS)
		return RED;
	return ns >= 100 * MILLISECOND_NS ? YELLOW : "";
}

static const char *result_color(const struct console_span *span)
{
	if (span->failed)
		return RED;
	return span->refused ? YELLOW : "";
}

/* Columns that are left. */
static unsigned int line__room(const struct line *line)
{
	return line->style->edge ? line->style->width - line->column : UINT_MAX;
}

static void line__put_peer(struct line *line, const struct console_span *span)
{
	bool called = span->kind == SPAN_CLIENT || span->kind == SPAN_PRODUCER;
	const char *arrow = called ? "-> " : "<- ";

	if (line->style->utf8)
		arrow = called ? "\xe2\x86\x92 " : "\xe2\x86\x90 ";
	if (span->peer[0] == '\0')
		return;
	if (line->style->edge && line->column + 8 > line->style->width)
		return;
	line__put(line, DIM, arrow, 3);
	line__put(line, DIM, span->peer, line__room(line));
}

/* Columns for branch, name and detail: what the other columns leave. */
static unsigned int name_columns(unsigned int width)
{
	unsigned int others = TIME_COLUMNS + SERVICE_COLUMNS + DURATION_COLUMNS + 3 * GAP;
	unsigned int result = RESULT_COLUMNS + GAP;
	unsigned int peer = width >= 116 ? 26 : width >= 96 ? 20 : 6;
	unsigned int columns = width - others - GAP - result - peer;

	return columns < 80 ? columns : 80;
}

static void print_span(FILE *out, const struct console_style *style,
		       const struct console_span *span, const struct console_span *root)
{
	struct line line = { out, style, 0, 0 };
	unsigned int name_end;
	char duration[16];

	line__put_time(&line, span, root);
	line__space(&line, GAP);
	line__put(&line, CYAN, span->service, SERVICE_COLUMNS);
	line__goto(&line, TIME_COLUMNS + GAP + SERVICE_COLUMNS + GAP);

	name_end = line.column + name_columns(style->width);
	line__put_branch(&line, span, root, (name_end - line.column) / 2);
	line__put(&line, span->failed ? RED : BOLD, span->name, name_end - line.column);
	if (line.column + 1 < name_end) {
		line__space(&line, 1);
		line__put(&line, DIM, span->detail, name_end - line.column);
	}
	line__goto(&line, name_end + GAP);

	format_duration(duration, sizeof(duration), span->duration_ns);
	line__put_right(&line, duration_color(span->duration_ns), duration, DURATION_COLUMNS);
	line__space(&line, GAP);
	name_end = line.column + RESULT_COLUMNS + GAP;
	line__put(&line, result_color(span), span->result, line__room(&line));
	line__space(&line, GAP);
	line__goto(&line, name_end);
	line__put_peer(&line, span);
	fputc('\n', out);
}

static int compare_start(const void *a, const void *b)
{
	const struct console_span *left = *(struct console_span *const *)a;
	const struct console_span *right = *(struct console_span *const *)b;

	if (left->start_unix_ns != right->start_unix_ns)
		return left->start_unix_ns < right->start_unix_ns ? -1 : 1;
	return memcmp(left->span_id, right->span_id, sizeof(left->span_id));
}

static int compare_id(const void *a, const void *b)
{
	const struct console_span *left = *(struct console_span *const *)a;
	const struct console_span *right = *(struct console_span *const *)b;

	return memcmp(left->span_id, right->span_id, sizeof(left->span_id));
}

/* @by_id is sorted by id.  NULL also when @span is among its own ancestors: ids come from
 * strangers. */
static struct console_span *find_parent(struct console_span **by_id, size_t count,
					const struct console_span *span)
{
	struct console_span key, *wanted = &key, **found;

	memcpy(key.span_id, span->parent_id, sizeof(key.span_id));
	found = bsearch(&wanted, by_id, count, sizeof(*by_id), compare_id);
	if (!found)
		return NULL;
	for (const struct console_span *at = *found; at; at = at->parent)
		if (at == span)
			return NULL;
	return *found;
}

static void link_parents(struct console_span **spans, size_t count)
{
	for (size_t i = 0; i < count; i++)
		spans[i]->parent = spans[i]->child = spans[i]->last_child = spans[i]->sibling =
			NULL;
	qsort(spans, count, sizeof(*spans), compare_id);
	for (size_t i = 0; i < count; i++)
		spans[i]->parent = find_parent(spans, count, spans[i]);
}

/* Children in order of their start. */
static void link_children(struct console_span **spans, size_t count)
{
	qsort(spans, count, sizeof(*spans), compare_start);
	for (size_t i = 0; i < count; i++) {
		struct console_span *parent = spans[i]->parent;

		if (!parent)
			continue;
		if (parent->last_child)
			parent->last_child->sibling = spans[i];
		else
			parent->child = spans[i];
		parent->last_child = spans[i];
	}
}

static void print_branch(FILE *out, const struct console_style *style,
			 const struct console_span *root)
{
	const struct console_span *at = root;

	for (;;) {
		print_span(out, style, at, root);
		if (at->child) {
			at = at->child;
			continue;
		}
		while (at != root && !at->sibling)
			at = at->parent;
		if (at == root)
			return;
		at = at->sibling;
	}
}

void console_tree__print(FILE *out, const struct console_style *style, struct console_span **spans,
			 size_t count)
{
	link_parents(spans, count);
	link_children(spans, count);
	for (size_t i = 0; i < count; i++)
		if (!spans[i]->parent)
			print_branch(out, style, spans[i]);
}
