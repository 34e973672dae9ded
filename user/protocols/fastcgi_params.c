// SPDX-License-Identifier: Apache-2.0
#include "user/protocols/fastcgi_params.h"

#include "user/protocols/http1_head.h"

#define LONG_LENGTH 0x80000000U /* a length of four bytes, else of one */

struct pair {
	struct slice name;
	struct slice value;
	uint64_t size; /* of all of it */
};

static uint64_t read_length(struct reader *in)
{
	struct slice rest = in->rest;

	if (rest.len && (unsigned char)rest.data[0] & LONG_LENGTH >> 24)
		return reader__be(in, 4) & ~(uint64_t)LONG_LENGTH;
	return reader__be(in, 1);
}

/* The pair at the head of @in, of which name and value may be cut.  False: so is its size. */
static bool pair__read(struct slice in, struct pair *out)
{
	struct reader r = reader__of(in);
	uint64_t name_len = read_length(&r);
	uint64_t value_len = read_length(&r);

	if (r.bad)
		return false;
	out->size = in.len - r.rest.len + name_len + value_len;
	out->name = slice__head(r.rest, name_len);
	out->value = slice__head(slice__skip(r.rest, name_len), value_len);
	return true;
}

static int field_index(struct slice name)
{
	static const struct {
		struct slice name;
		enum http1_field field;
	} known[] = {
		{ SLICE("REQUEST_METHOD"), HTTP1_METHOD },
		{ SLICE("REQUEST_URI"), HTTP1_TARGET },
		{ SLICE("REQUEST_SCHEME"), HTTP1_SCHEME },
		{ SLICE("REMOTE_ADDR"), HTTP1_CLIENT },
		{ SLICE("HTTP_HOST"), HTTP1_HOST },
		{ SLICE("HTTP_USER_AGENT"), HTTP1_USER_AGENT },
		{ SLICE("HTTP_TRACEPARENT"), HTTP1_TRACEPARENT },
		{ SLICE("HTTP_TRACESTATE"), HTTP1_TRACESTATE },
		{ SLICE("HTTP_FORWARDED"), HTTP1_FORWARDED },
		{ SLICE("HTTP_X_FORWARDED_FOR"), HTTP1_FORWARDED_FOR },
		{ SLICE("HTTP_X_FORWARDED_PROTO"), HTTP1_FORWARDED_PROTO },
		{ SLICE("HTTP_X_FORWARDED_HOST"), HTTP1_FORWARDED_HOST },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (slice__eq(name, known[i].name))
			return known[i].field;
	return -1;
}

static bool is_on(struct slice value)
{
	return value.len && !slice__ieq(value, SLICE("off")) && !slice__eq(value, SLICE("0"));
}

static void keep(struct fastcgi_params *params, const struct pair *pair, struct message *out)
{
	int index = field_index(pair->name);

	if (index >= 0)
		message__set(out, (unsigned int)index, pair->value);
	else if (slice__eq(pair->name, SLICE("SCRIPT_NAME")))
		params->script = pair->value;
	else if (slice__eq(pair->name, SLICE("QUERY_STRING")))
		params->query = pair->value;
	else if (slice__eq(pair->name, SLICE("HTTPS")))
		params->https = is_on(pair->value);
	if (index == HTTP1_TRACEPARENT)
		message__number(out, HTTP1_TRACEPARENTS, out->number[HTTP1_TRACEPARENTS] + 1);
}

/* ---- pairs that are cut ------------------------------------------------------------------- */

static struct slice torn_bytes(const struct fastcgi_params *params)
{
	return slice__of(params->torn + params->used, params->torn_len);
}

static void torn__add(struct fastcgi_params *params, struct slice bytes)
{
	memcpy(params->torn + params->used + params->torn_len, bytes.data, bytes.len);
	params->torn_len = (uint16_t)(params->torn_len + bytes.len);
}

/* Takes of @content what the pair that is cut still lacks, or gives it up; how much it took. */
static size_t torn__read(struct fastcgi_params *params, struct slice content, struct message *out)
{
	struct slice more = slice__head(content, 1);
	struct pair pair;
	bool known = pair__read(torn_bytes(params), &pair);

	if (known)
		more = slice__head(content, pair.size - params->torn_len);
	if ((known ? pair.size : params->torn_len + 1U) > sizeof(params->torn) - params->used) {
		params->skip = known ? pair.size - params->torn_len : UINT64_MAX;
		params->torn_len = 0;
		out->flags |= MESSAGE_TRUNCATED;
		return 0;
	}
	torn__add(params, more);
	if (pair__read(torn_bytes(params), &pair) && pair.size == params->torn_len) {
		keep(params, &pair, out);
		params->used = (uint16_t)(params->used + params->torn_len);
		params->torn_len = 0;
	}
	return more.len;
}

/* ---- the stream --------------------------------------------------------------------------- */

void fastcgi_params__start(struct fastcgi_params *params)
{
	memset(params, 0, offsetof(struct fastcgi_params, torn));
}

static size_t skip(struct fastcgi_params *params, size_t len)
{
	if (len > params->skip)
		len = params->skip;
	params->skip -= len;
	return len;
}

void fastcgi_params__read(struct fastcgi_params *params, struct slice content, struct message *out)
{
	struct pair pair;
	size_t len;

	for (; content.len; content = slice__skip(content, len)) {
		if (params->skip) {
			len = skip(params, content.len);
		} else if (!params->torn_len && pair__read(content, &pair) &&
			   pair.size <= content.len) {
			keep(params, &pair, out);
			len = pair.size;
		} else {
			len = torn__read(params, content, out);
		}
	}
}

void fastcgi_params__end(const struct fastcgi_params *params, struct message *out)
{
	message__set(out, HTTP1_PROTOCOL, SLICE("fastcgi"));
	message__set(out, HTTP1_VERSION, SLICE("1.0"));
	if (params->https && !message__has(out, HTTP1_SCHEME))
		message__set(out, HTTP1_SCHEME, SLICE("https"));
	if (message__has(out, HTTP1_TARGET))
		return;
	message__set(out, HTTP1_TARGET, params->script);
	message__set(out, HTTP1_QUERY, params->query);
}
