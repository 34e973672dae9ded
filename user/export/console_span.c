// SPDX-License-Identifier: Apache-2.0
#include "user/export/console_span.h"

#include <stdarg.h>

#include "user/base/utf8.h"
#include "user/export/printable.h"
#include "user/flow/resource.h"

/* Direction marks, embeddings, overrides and isolates, line separators, byte order mark: what
 * follows them would be shown in another order, or elsewhere. */
static bool is_reordering(struct slice character)
{
	const unsigned char *c = (const unsigned char *)character.data;

	if (character.len == 2)
		return c[0] == 0xd8 && c[1] == 0x9c;
	if (character.len != 3)
		return false;
	if (c[0] == 0xe2 && c[1] == 0x80)
		return c[2] == 0x8e || c[2] == 0x8f || (c[2] >= 0xa8 && c[2] <= 0xae);
	if (c[0] == 0xe2 && c[1] == 0x81)
		return c[2] >= 0xa6 && c[2] <= 0xa9;
	return c[0] == 0xef && c[1] == 0xbb && c[2] == 0xbf;
}

/* In place: runs of spaces become one, reordering marks a '?'. */
static void squeeze(char *text)
{
	struct slice in = slice__str(text);
	char *to = text;

	while (in.len) {
		size_t len = utf8__sequence(in);
		struct slice character = slice__head(in, len ? len : 1);

		in = slice__skip(in, character.len);
		if (character.data[0] == ' ' && (to == text || to[-1] == ' '))
			continue;
		if (is_reordering(character))
			character = SLICE("?");
		memmove(to, character.data, character.len);
		to += character.len;
	}
	*to = '\0';
}

static void copy_text(char *out, size_t room, struct slice in)
{
	printable__copy(out, room, in);
	squeeze(out);
}

/* Appends; what does not fit is cut. */
static void __attribute__((format(printf, 3, 4)))
append(char *out, size_t room, const char *format, ...)
{
	size_t len = strlen(out);
	va_list args;

	va_start(args, format);
	vsnprintf(out + len, room - len, format, args);
	va_end(args);
}

static struct slice text_of(const struct span *span, const char *key)
{
	struct attribute attribute = span__find(span, key);

	return attribute.type == ATTRIBUTE_STRING ? attribute.string : slice__of("", 0);
}

/* -1 when there is none. */
static int64_t number_of(const struct span *span, const char *key)
{
	struct attribute attribute = span__find(span, key);

	return attribute.type == ATTRIBUTE_INT ? attribute.integer : -1;
}

/* "http://host:80/path?query" -> "/path" */
static struct slice url_path(struct slice url)
{
	const struct slice mark = SLICE("://");
	size_t at = slice__search(url, mark);

	if (at == url.len)
		return slice__of("", 0);
	url = slice__skip(url, at + mark.len);
	url = slice__skip(url, slice__find(url, '/'));
	return slice__head(url, slice__find(url, '?'));
}

/* "SELECT songs" with "SELECT * FROM songs", "GET" with "GET user:1": the text alone, of which
 * the first word stands for the name. */
static void set_query(struct console_span *out, struct slice text)
{
	size_t word;

	copy_text(out->detail, sizeof(out->detail), text);
	word = strcspn(out->detail, " ");
	if (strncmp(out->detail, out->name, word) != 0 || word != strcspn(out->name, " "))
		return;
	out->name[word] = '\0';
	word += out->detail[word] == ' ';
	memmove(out->detail, out->detail + word, strlen(out->detail + word) + 1);
}

/* After the name. */
static void set_detail(struct console_span *out, const struct span *span)
{
	struct slice query = text_of(span, "db.query.text");
	struct slice path = text_of(span, "url.path");

	if (query.len) {
		set_query(out, query);
		return;
	}
	if (path.len == 0)
		path = url_path(text_of(span, "url.full"));
	if (slice__eq(path, text_of(span, "http.route")))
		path.len = 0;
	copy_text(out->detail, sizeof(out->detail), path);
}

static void set_result(struct console_span *out, const struct span *span)
{
	struct attribute incomplete = span__find(span, "spanloom.incomplete");
	int64_t http = number_of(span, "http.response.status_code");
	char status[24], type[40];

	if (http >= 0)
		snprintf(status, sizeof(status), "%lld", (long long)http);
	else
		copy_text(status, sizeof(status), text_of(span, "db.response.status_code"));
	copy_text(type, sizeof(type), text_of(span, "error.type"));
	out->failed = span->status == STATUS_ERROR;
	out->refused = !out->failed && http >= 400;

	out->result[0] = '\0';
	append(out->result, sizeof(out->result), "%s", status);
	if (type[0] && strcmp(type, status) != 0)
		append(out->result, sizeof(out->result), "%s%s", status[0] ? " " : "", type);
	if (out->result[0] == '\0')
		append(out->result, sizeof(out->result), "%s", out->failed ? "error" : "ok");
	if (incomplete.type == ATTRIBUTE_BOOL && incomplete.boolean)
		append(out->result, sizeof(out->result), " (incomplete)");
}

static void set_peer(struct console_span *out, const struct span *span)
{
	bool called = span->kind == SPAN_CLIENT || span->kind == SPAN_PRODUCER;
	struct slice address = text_of(span, called ? "server.address" : "client.address");
	int64_t port = called ? number_of(span, "server.port") : -1;
	char host[80], system[24];

	if (address.len == 0) {
		address = text_of(span, "network.peer.address");
		port = called ? number_of(span, "network.peer.port") : -1;
	}
	copy_text(host, sizeof(host), address);
	copy_text(system, sizeof(system),
		  called ? text_of(span, "db.system.name") : slice__of("", 0));
	out->peer[0] = '\0';
	append(out->peer, sizeof(out->peer), "%s%s", system, system[0] && host[0] ? " " : "");
	if (port >= 0 && strchr(host, ':'))
		append(out->peer, sizeof(out->peer), "[%s]:%lld", host, (long long)port);
	else if (port >= 0 && host[0])
		append(out->peer, sizeof(out->peer), "%s:%lld", host, (long long)port);
	else
		append(out->peer, sizeof(out->peer), "%s", host);
}

void console_span__init(struct console_span *out, const struct span *span)
{
	const struct slice unknown = SLICE("unknown_service:");
	struct slice service = slice__of("", 0);

	if (span->resource)
		service = span->resource->service_name;
	if (slice__starts(service, unknown))
		service = slice__skip(service, unknown.len);
	memcpy(out->span_id, span->span_id, sizeof(out->span_id));
	memcpy(out->parent_id, span->parent_id, sizeof(out->parent_id));
	out->kind = span->kind;
	out->start_unix_ns = span->start_unix_ns;
	out->duration_ns = span->end_unix_ns > span->start_unix_ns
				   ? span->end_unix_ns - span->start_unix_ns
				   : 0;
	copy_text(out->service, sizeof(out->service), service);
	copy_text(out->name, sizeof(out->name), span->name);
	set_detail(out, span);
	set_result(out, span);
	set_peer(out, span);
	out->next = NULL;
}
