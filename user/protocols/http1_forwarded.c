// SPDX-License-Identifier: Apache-2.0
#include "user/protocols/http1_forwarded.h"

#include "user/flow/url.h"
#include "user/protocols/http1_head.h"

/* Bytes up to the first of @stops that is not in a quoted string. */
static size_t span_unquoted(struct slice in, const char *stops)
{
	bool quoted = false;

	for (size_t i = 0; i < in.len; i++) {
		if (in.data[i] == '"')
			quoted = !quoted;
		else if (quoted && in.data[i] == '\\')
			i++;
		else if (!quoted && in.data[i] && strchr(stops, in.data[i]))
			return i;
	}
	return in.len;
}

static struct slice unquote(struct slice in)
{
	if (in.len >= 2 && in.data[0] == '"' && in.data[in.len - 1] == '"')
		return slice__of(in.data + 1, in.len - 2);
	return in;
}

/* The value of @name in the first element, which the outermost proxy wrote. */
static struct slice parameter(struct slice forwarded, struct slice name)
{
	struct slice element = slice__head(forwarded, span_unquoted(forwarded, ","));

	while (element.len) {
		struct slice pair = slice__head(element, span_unquoted(element, ";"));
		size_t equals = slice__find(pair, '=');

		if (slice__ieq(slice__trim(slice__head(pair, equals)), name))
			return unquote(slice__trim(slice__skip(pair, equals + 1)));
		element = slice__skip(element, pair.len + 1);
	}
	return slice__of("", 0);
}

static struct slice first_item(struct slice list)
{
	return slice__trim(slice__head(list, slice__find(list, ',')));
}

static bool is_ip6(struct slice in)
{
	for (size_t i = 0; i < in.len; i++)
		if (!memchr("0123456789abcdefABCDEF:.", in.data[i], 24))
			return false;
	return true;
}

/* An address with or without a port, IPv6 with or without brackets, or an obfuscated name. */
static struct slice node_name(struct slice node)
{
	size_t colon = slice__find(node, ':');
	struct slice after = slice__skip(node, colon + 1);
	struct url_host host;

	if (slice__ieq(node, SLICE("unknown")))
		return slice__of("", 0);
	if (colon < node.len && slice__find(after, ':') < after.len && node.data[0] != '[')
		return is_ip6(node) ? node : slice__of("", 0);
	return url__host(node, &host) ? host.name : slice__of("", 0);
}

bool http1_forwarded__is(const struct message *request)
{
	return request->field[HTTP1_FORWARDED].len || request->field[HTTP1_FORWARDED_FOR].len ||
	       request->field[HTTP1_FORWARDED_PROTO].len ||
	       request->field[HTTP1_FORWARDED_HOST].len;
}

void http1_forwarded__read(const struct message *request, struct http1_forwarded *out)
{
	struct slice forwarded = request->field[HTTP1_FORWARDED];

	memset(out, 0, sizeof(*out));
	if (!http1_forwarded__is(request))
		return;
	out->client = node_name(parameter(forwarded, SLICE("for")));
	out->host = parameter(forwarded, SLICE("host"));
	out->proto = parameter(forwarded, SLICE("proto"));
	if (out->client.len == 0)
		out->client = node_name(first_item(request->field[HTTP1_FORWARDED_FOR]));
	if (out->host.len == 0)
		out->host = first_item(request->field[HTTP1_FORWARDED_HOST]);
	if (out->proto.len == 0)
		out->proto = first_item(request->field[HTTP1_FORWARDED_PROTO]);
}
