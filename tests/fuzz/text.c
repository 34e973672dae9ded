// SPDX-License-Identifier: Apache-2.0
/* SQL and URLs: what is told of them keeps no secret. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "user/base/utf8.h"
#include "user/flow/config.h"
#include "user/flow/route.h"
#include "user/flow/url.h"
#include "user/protocols/sql.h"

/* ---- SQL ---------------------------------------------------------------------------------- */

/* input: a byte, 1: the text is cut; the text */
void fuzz_sql(struct slice in, unsigned int proto)
{
	struct reader r = reader__of(in);
	bool cut = reader__be(&r, 1) & 1;
	char *sql = fuzz__copy(r.rest), *text = fuzz__copy(r.rest), *shape = fuzz__copy(r.rest);
	struct slice source = slice__of(sql, r.rest.len), out, shaped, twice;
	struct sql_summary summary, other;
	char *again;

	out = sql__read(source, cut, text, &summary);
	assert_true(out.len <= source.len);
	assert_true(summary.len <= SQL_SUMMARY_MAX);
	fuzz__touch(out);
	fuzz__touch(slice__of(summary.text, summary.len));
	/* each of the two comes alone, too */
	sql__read(source, cut, NULL, &other);
	assert_int_equal(other.len, summary.len);
	assert_int_equal(other.statements, summary.statements);
	assert_memory_equal(other.text, summary.text, summary.len);
	shaped = sql__shape(source, shape, source.len);
	again = fuzz__copy(shaped);
	twice = sql__read(shaped, cut, again, &other);
	assert_true(slice__eq(twice, out));
	assert_int_equal(other.len, summary.len);
	assert_int_equal(other.statements, summary.statements);
	assert_memory_equal(other.text, summary.text, summary.len);
	free(again);
	/* nothing is left in it that would have to go; what stands at the end, and which reading of
	 * backslashes is taken, may be another matter without what has gone */
	again = fuzz__copy(out);
	twice = sql__read(out, cut, again, NULL);
	if (!memchr(sql, '$', source.len) && !memchr(sql, '\\', source.len))
		assert_true(slice__eq(twice, out));
	free(again);
	free(shape);
	free(text);
	free(sql);
}

/* ---- URLs --------------------------------------------------------------------------------- */

static void check_full(const struct url_target *target)
{
	struct slice full, authority;
	struct arena arena;
	size_t at;

	arena__init(&arena, 1024 * 1024);
	full = url__full(&arena, target->scheme, target->authority, target->path, target->query);
	fuzz__touch(full);
	authority = slice__skip(full, target->scheme.len + 3);
	for (const char *end = "/?#"; *end; end++)
		authority = slice__head(authority, slice__find(authority, *end));
	at = slice__find(authority, '@');
	if (target->form == URL_ABSOLUTE && at < authority.len)
		assert_true(slice__eq(slice__head(authority, at), SLICE("REDACTED:REDACTED")));
	arena__reset(&arena);
}

static void check_route(struct slice path)
{
	static const char *const patterns[] = { "/a/{b}/c", "/x{y}z/*", "/{a}.{b}", NULL };
	static const char *const globs[] = { "/health*", "*[0-9]", NULL };
	const struct flow_config config = {
		.routes = patterns,
		.ignore_paths = globs,
		.route_heuristic = true,
	};
	struct arena arena;
	struct slice out = slice__of("", 0);

	arena__init(&arena, 64 * 1024);
	if (route__find(&config, path, &arena, &out) == ROUTE_GUESS)
		assert_true(out.len <= ROUTE_BYTES);
	fuzz__touch(out);
	route__ignored(&config, path);
	arena__reset(&arena);
}

/* input: a byte, 1: CONNECT; the target, a line end, the Host */
void fuzz_urls(struct slice in, unsigned int proto)
{
	struct reader r = reader__of(in);
	bool is_connect = reader__be(&r, 1) & 1;
	struct slice part = fuzz__part(&r.rest, '\n');
	char *target = fuzz__copy(part), *host = fuzz__copy(r.rest);
	struct url_target out;
	struct url_host name;
	struct arena arena;
	struct slice query;

	url__split(slice__of(target, part.len), is_connect, &out);
	if (url__host(slice__of(host, r.rest.len), &name))
		assert_true(name.name.len && name.port >= -1 && name.port <= UINT16_MAX);
	url__host(out.authority, &name);
	arena__init(&arena, 1024 * 1024);
	query = url__redact_query(&arena, out.query);
	assert_true(slice__eq(url__redact_query(&arena, query), query));
	arena__reset(&arena);
	check_full(&out);
	check_route(out.path);
	free(host);
	free(target);
}
