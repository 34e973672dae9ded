// SPDX-License-Identifier: Apache-2.0
#include "user/flow/url.h"

#include <ctype.h>

#define REDACTED    "REDACTED"
#define HOST_MAX    255
#define PORT_DIGITS 5

/* Their values give access to what the URL names. */
static const struct slice secret_keys[] = {
	SLICE("AWSAccessKeyId"),   SLICE("Signature"),	      SLICE("sig"),
	SLICE("X-Amz-Signature"),  SLICE("X-Amz-Credential"), SLICE("X-Amz-Security-Token"),
	SLICE("X-Goog-Signature"),
};

static bool scheme_is_valid(struct slice scheme)
{
	if (scheme.len == 0 || !isalpha((unsigned char)scheme.data[0]))
		return false;
	for (size_t i = 1; i < scheme.len; i++)
		if (!isalnum((unsigned char)scheme.data[i]) && !memchr("+-.", scheme.data[i], 3))
			return false;
	return true;
}

static void split_query(struct slice in, struct url_target *out)
{
	out->path = slice__head(in, slice__find(in, '?'));
	out->query = slice__skip(in, out->path.len + 1);
}

static size_t authority_len(struct slice in)
{
	size_t len = 0;

	while (len < in.len && in.data[len] != '/' && in.data[len] != '?' && in.data[len] != '#')
		len++;
	return len;
}

void url__split(struct slice target, bool is_connect, struct url_target *out)
{
	size_t colon;

	*out = (struct url_target){ .form = URL_ORIGIN };
	if (!is_connect && slice__starts(target, SLICE("/"))) { /* most are */
		split_query(target, out);
		return;
	}
	colon = slice__search(slice__head(target, slice__find(target, '/') + 2), SLICE("://"));
	if (is_connect) {
		out->form = URL_AUTHORITY;
		out->authority = target;
	} else if (slice__eq(target, SLICE("*"))) {
		out->form = URL_ASTERISK;
		out->path = target;
	} else if (scheme_is_valid(slice__head(target, colon)) && colon + 3 <= target.len) {
		out->form = URL_ABSOLUTE;
		out->scheme = slice__head(target, colon);
		target = slice__skip(target, colon + 3);
		out->authority = slice__head(target, authority_len(target));
		split_query(slice__skip(target, out->authority.len), out);
		if (out->path.len == 0)
			out->path = SLICE("/");
	} else {
		split_query(target, out);
	}
}

/* Offset behind the last '@', 0 when there is none: even a password may hold one. */
static size_t user_info_len(struct slice authority)
{
	const char *at = authority.len ? memrchr(authority.data, '@', authority.len) : NULL;

	return at ? (size_t)(at - authority.data) + 1 : 0;
}

/* Bytes at the head of @in that nearly all host names are made of. */
static size_t plain_len(struct slice in)
{
	static const bool plain[256] = {
		['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true,
		['.'] = true,	      ['-'] = true,
	};
	size_t len = 0;

	while (len < in.len && plain[(unsigned char)in.data[len]])
		len++;
	return len;
}

static bool host_is_valid(struct slice name)
{
	if (name.len == 0 || name.len > HOST_MAX)
		return false;
	for (size_t i = plain_len(name); i < name.len; i++) {
		unsigned char c = (unsigned char)name.data[i];

		if (c <= ' ' || c == 0x7f || strchr("/\\?#<>\"'`{}|^,;", c))
			return false;
	}
	return true;
}

/* Nothing, or ":" and a port or nothing. */
static bool read_port(struct slice in, int *port)
{
	int64_t number;

	*port = -1;
	if (in.len <= 1)
		return in.len == 0 || in.data[0] == ':';
	number = in.len <= 1 + PORT_DIGITS ? slice__number(slice__skip(in, 1)) : -1;
	*port = (int)number;
	return in.data[0] == ':' && number >= 0 && number <= UINT16_MAX;
}

bool url__host(struct slice authority, struct url_host *out)
{
	size_t len = plain_len(authority);
	struct slice rest = slice__skip(authority, len);

	out->name = slice__head(authority, len);
	if (len && len <= HOST_MAX && read_port(rest, &out->port)) /* most are */
		return true;
	rest = slice__skip(authority, user_info_len(authority));
	if (rest.len && rest.data[0] == '[') {
		rest = slice__skip(rest, 1);
		len = slice__find(rest, ']');
		if (len == rest.len)
			return false;
		out->name = slice__head(rest, len);
		rest = slice__skip(rest, len + 1);
	} else {
		len = slice__find(rest, ':');
		out->name = slice__head(rest, len);
		rest = slice__skip(rest, len);
	}
	return host_is_valid(out->name) && read_port(rest, &out->port);
}

static int hex_digit(char c)
{
	if (!isxdigit((unsigned char)c))
		return -1;
	return isdigit((unsigned char)c) ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* The byte at the head of @in, percent-encoded or not; 0 at the end. */
static char next_char(struct slice *in)
{
	int high, low;
	char c;

	if (in->len == 0)
		return 0;
	c = in->data[0];
	if (c == '%' && in->len >= 3) {
		high = hex_digit(in->data[1]);
		low = hex_digit(in->data[2]);
		if (high >= 0 && low >= 0) {
			*in = slice__skip(*in, 3);
			return (char)(high << 4 | low);
		}
	}
	*in = slice__skip(*in, 1);
	return c;
}

/* A server decodes the key before it looks at it, so an encoded one is as secret. */
static bool key_is(struct slice raw, struct slice key)
{
	for (size_t i = 0; i < key.len; i++)
		if (next_char(&raw) != key.data[i])
			return false;
	return raw.len == 0;
}

static bool key_is_secret(struct slice raw)
{
	for (size_t i = 0; i < sizeof(secret_keys) / sizeof(secret_keys[0]); i++)
		if (key_is(raw, secret_keys[i]))
			return true;
	return false;
}

/* Length of the parameter at the head of @in when it has no secret; else of its "key=" and
 * *@is_secret.  A key begins after "&" or ";", but only "&" surely ends a value. */
static size_t parameter_len(struct slice in, bool *is_secret)
{
	size_t end = slice__find(in, '&');
	size_t start = 0;

	*is_secret = false;
	for (size_t i = 0; i < end; i++) {
		if (in.data[i] == ';')
			start = i + 1;
		if (in.data[i] != '=' || i < start)
			continue;
		if (key_is_secret(slice__of(in.data + start, i - start))) {
			*is_secret = true;
			return i + 1;
		}
		start = end; /* further "=" belong to the value, until the next ";" */
	}
	return end;
}

struct slice url__redact_query(struct arena *a, struct slice query)
{
	size_t room = query.len, at = 0;
	struct slice rest = query;
	bool is_secret;
	char *out;

	for (size_t i = 0; i < query.len; i++)
		if (query.data[i] == '=')
			room += sizeof(REDACTED) - 1;
	out = room ? arena__alloc(a, room) : NULL;
	if (!out)
		return slice__of("", 0);
	while (rest.len) {
		size_t len = parameter_len(rest, &is_secret);

		memcpy(out + at, rest.data, len);
		at += len;
		rest = slice__skip(rest, len);
		if (is_secret) {
			memcpy(out + at, REDACTED, sizeof(REDACTED) - 1);
			at += sizeof(REDACTED) - 1;
			rest = slice__skip(rest, slice__find(rest, '&'));
		}
		if (rest.len) {
			out[at++] = '&';
			rest = slice__skip(rest, 1);
		}
	}
	return slice__of(out, at);
}

static size_t put(char *out, size_t at, struct slice part)
{
	if (part.len)
		memcpy(out + at, part.data, part.len);
	return at + part.len;
}

struct slice url__full(struct arena *a, struct slice scheme, struct slice authority,
		       struct slice path, struct slice query)
{
	size_t user = user_info_len(authority);
	struct slice user_info = user ? SLICE(REDACTED ":" REDACTED "@") : slice__of("", 0);
	struct slice safe_query = url__redact_query(a, query);
	size_t at = 0;
	char *out;

	authority = slice__skip(authority, user);
	out = arena__alloc(a, scheme.len + 3 + user_info.len + authority.len + path.len + 1 +
				      safe_query.len);
	if (!out || (query.len && !safe_query.len))
		return slice__of("", 0);
	at = put(out, at, scheme);
	at = put(out, at, SLICE("://"));
	at = put(out, at, user_info);
	at = put(out, at, authority);
	at = put(out, at, path);
	if (safe_query.len) {
		at = put(out, at, SLICE("?"));
		at = put(out, at, safe_query);
	}
	return slice__of(out, at);
}
