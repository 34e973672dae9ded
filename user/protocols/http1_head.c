// SPDX-License-Identifier: Apache-2.0
#include "user/protocols/http1_head.h"

#include <errno.h>

/* What is no field of a message, but frames it. */
enum framing_line {
	LINE_LENGTH = HTTP1_FIELDS,
	LINE_CODING,
};

/* The header lines that are looked at. */
struct known_line {
	struct slice name;
	unsigned int index; /* enum http1_field or enum framing_line */
};

#define INITIALS   32 /* values of a byte in which a letter is the same, large or small */
#define PER_LETTER 3  /* known lines that begin with it, at most */

/* By the first letters of their names: of most lines that tells that nobody asks for them. */
static const struct known_line known_lines[INITIALS][PER_LETTER] = {
	['c' % INITIALS] = { { SLICE("Content-Length"), LINE_LENGTH } },
	['f' % INITIALS] = { { SLICE("Forwarded"), HTTP1_FORWARDED } },
	['h' % INITIALS] = { { SLICE("Host"), HTTP1_HOST } },
	['t' % INITIALS] = { { SLICE("traceparent"), HTTP1_TRACEPARENT },
			     { SLICE("tracestate"), HTTP1_TRACESTATE },
			     { SLICE("Transfer-Encoding"), LINE_CODING } },
	['u' % INITIALS] = { { SLICE("User-Agent"), HTTP1_USER_AGENT },
			     { SLICE("Upgrade"), HTTP1_UPGRADE } },
	['x' % INITIALS] = { { SLICE("X-Forwarded-For"), HTTP1_FORWARDED_FOR },
			     { SLICE("X-Forwarded-Proto"), HTTP1_FORWARDED_PROTO },
			     { SLICE("X-Forwarded-Host"), HTTP1_FORWARDED_HOST } },
};

static const struct known_line *lines_like(char initial)
{
	return known_lines[(unsigned char)initial % INITIALS];
}

/* ---- lines -------------------------------------------------------------------------------- */

/* As http1_head__line(), with the line's end. */
static bool next_line(struct slice *rest, struct slice *line)
{
	const char *from = rest->data, *end = rest->len ? memchr(from, '\n', rest->len) : NULL;

	if (!end)
		return false;
	*line = slice__of(from, (size_t)(end - from) + 1);
	*rest = slice__of(end + 1, rest->len - line->len);
	return true;
}

static bool is_empty(struct slice line)
{
	return line.len == 1 || (line.len == 2 && line.data[0] == '\r');
}

bool http1_head__line(struct slice *rest, struct slice *line)
{
	if (!next_line(rest, line))
		return false;
	line->len--;
	if (line->len && line->data[line->len - 1] == '\r')
		line->len--;
	return true;
}

/* A line that does is folded into the one before. */
static bool starts_blank(struct slice rest)
{
	return rest.len && (rest.data[0] == ' ' || rest.data[0] == '\t');
}

static struct slice pass_blanks(struct slice in)
{
	while (starts_blank(in)) {
		in.data++;
		in.len--;
	}
	return in;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* As slice__trim(), and of the line ends that folding brought in. */
static struct slice trim(struct slice in)
{
	while (in.len && is_space(in.data[0])) {
		in.data++;
		in.len--;
	}
	while (in.len && is_space(in.data[in.len - 1]))
		in.len--;
	return in;
}

/* White space before the first header line: it is folded into nothing, and no end of the head. */
static void pass_indent(struct slice *rest)
{
	struct slice after = *rest, line;

	if (!starts_blank(*rest) || !http1_head__line(&after, &line))
		return;
	line = pass_blanks(line);
	*rest = line.len ? slice__skip(*rest, (size_t)(line.data - rest->data)) : after;
}

/* ---- start lines -------------------------------------------------------------------------- */

/* Bytes at the head of @in that a method may consist of. */
static size_t token_len(struct slice in)
{
	static const bool tchar[256] = {
		['!'] = true,	      ['#' ... '\''] = true, ['*'] = true,
		['+'] = true,	      ['-'] = true,	     ['.'] = true,
		['0' ... '9'] = true, ['A' ... 'Z'] = true,  ['^' ... 'z'] = true,
		['|'] = true,	      ['~'] = true,
	};
	size_t len = 0;

	while (len < in.len && tchar[(unsigned char)in.data[len]])
		len++;
	return len;
}

bool http1_head__is_method(struct slice in)
{
	return in.len && in.len <= HTTP1_METHOD_MAX && token_len(in) == in.len;
}

/* The method that @line begins with, up to a space or its end; empty when there is none. */
static struct slice method_of(struct slice line)
{
	size_t len = token_len(line);

	if (len > HTTP1_METHOD_MAX || (len < line.len && line.data[len] != ' '))
		len = 0;
	return slice__head(line, len);
}

static bool has_control(struct slice in)
{
	for (size_t i = 0; i < in.len; i++)
		if ((unsigned char)in.data[i] < ' ' || in.data[i] == 0x7f)
			return true;
	return false;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

#define VERSION_BYTES (sizeof("HTTP/1.x") - 1)

/* "HTTP/1.x" at the front: "1.x", or empty. */
static struct slice version_of(struct slice in)
{
	if (!slice__starts(in, SLICE("HTTP/1.")) || in.len < VERSION_BYTES || !is_digit(in.data[7]))
		return slice__of(in.data, 0);
	return slice__of(in.data + 5, 3);
}

/* Servers take the last word as the version, so a target may hold spaces. */
int http1_head__request_line(struct slice line, struct message *out)
{
	struct slice method = method_of(line);
	struct slice rest = slice__trim(slice__skip(line, method.len));
	size_t space = rest.len > VERSION_BYTES ? rest.len - VERSION_BYTES - 1 : 0;
	struct slice target = slice__trim(slice__head(rest, space));
	struct slice version = version_of(slice__skip(rest, space + 1));

	if (method.len == 0 || target.len == 0 || rest.data[space] != ' ' || version.len == 0 ||
	    has_control(target))
		return -EBADMSG;
	out->type = MESSAGE_REQUEST;
	message__set(out, HTTP1_METHOD, method);
	message__set(out, HTTP1_TARGET, target);
	message__set(out, HTTP1_VERSION, version);
	return 0;
}

/* Where "user:password@" may have lost its end, the password would be taken for the host. */
static bool authority_is_cut(struct slice target)
{
	struct slice rest = slice__skip(target, slice__search(target, SLICE("://")) + 3);

	return rest.len && slice__find(rest, '/') == rest.len && slice__find(rest, '?') == rest.len;
}

int http1_head__cut_request_line(struct slice line, struct message *out)
{
	struct slice method = method_of(line);
	struct slice target = slice__trim(slice__skip(line, method.len));

	target = slice__head(target, slice__find(target, ' '));
	if (method.len == 0 || target.len == 0 || has_control(target))
		return -EBADMSG;
	out->type = MESSAGE_REQUEST;
	message__set(out, HTTP1_METHOD, method);
	if (!authority_is_cut(target))
		message__set(out, HTTP1_TARGET, target);
	return 0;
}

int http1_head__status_line(struct slice line, struct message *out)
{
	struct slice version = version_of(line);
	int64_t status = slice__number(slice__head(slice__skip(line, 9), 3));

	if (version.len == 0 || line.len < 12 || line.data[8] != ' ' || status < 0 ||
	    (line.len > 12 && line.data[12] != ' '))
		return -EBADMSG;
	out->type = MESSAGE_RESPONSE;
	message__set(out, HTTP1_VERSION, version);
	message__number(out, HTTP1_STATUS, status);
	return 0;
}

/* ---- header lines ------------------------------------------------------------------------- */

static bool may_end_name(char c)
{
	return c == ':' || c == ' ' || c == '\t';
}

/* Is it the header line @name, with @value? */
static bool line_is(struct slice line, struct slice name, struct slice *value)
{
	struct slice rest = slice__skip(line, name.len);

	if (rest.len == 0 || !may_end_name(rest.data[0]) ||
	    !slice__ieq(slice__head(line, name.len), name))
		return false;
	rest = pass_blanks(rest);
	if (rest.len == 0 || rest.data[0] != ':')
		return false;
	*value = slice__skip(rest, 1);
	return true;
}

/* The index of the header line @line (not empty), with what there is of its value; negative: nobody
 * asks for it. */
static int line_index(const struct known_line *known, struct slice line, struct slice *value)
{
	for (size_t i = 0; i < PER_LETTER && known[i].name.len; i++)
		if (line_is(line, known[i].name, value))
			return (int)known[i].index;
	return -1;
}

/*
 * The index of the next header line that somebody asks for, with its value and the lines folded into
 * that.  Negative: there is none up to the empty line that ends the head, or *@end is false and that
 * is not there.
 */
static int next_field(struct slice *rest, struct slice *value, bool *end)
{
	struct slice line, more;

	while (next_line(rest, &line)) {
		const struct known_line *known = lines_like(line.data[0]);
		int index;

		*end = is_empty(line);
		if (*end)
			return -1;
		index = known->name.len ? line_index(known, line, value) : -1;
		if (index < 0)
			continue; /* with what is folded into it: that is no name */
		while (starts_blank(*rest) && next_line(rest, &more))
			value->len += more.len;
		*value = trim(*value);
		return index;
	}
	*end = false;
	return -1;
}

static bool join__add(struct http1_join *join, struct slice value)
{
	size_t comma = join->len ? 1 : 0;

	if (join->len + comma + value.len > sizeof(join->bytes))
		return false;
	if (comma)
		join->bytes[join->len++] = ',';
	memcpy(join->bytes + join->len, value.data, value.len);
	join->len += value.len;
	return true;
}

/* A line that does not fit is left out whole, so that no member is cut in two. */
static void add_tracestate(struct slice value, struct http1_join *join, struct message *out)
{
	if (!message__has(out, HTTP1_TRACESTATE)) {
		message__set(out, HTTP1_TRACESTATE, value);
		return;
	}
	if (value.len == 0)
		return;
	if (join->len == 0 && !join__add(join, out->field[HTTP1_TRACESTATE]))
		return;
	if (join__add(join, value))
		message__set(out, HTTP1_TRACESTATE, slice__of(join->bytes, join->len));
}

static void keep_field(int index, struct slice value, struct http1_join *join, struct message *out)
{
	switch (index) {
	case HTTP1_TRACEPARENT:
		message__set(out, (unsigned int)index, value);
		message__number(out, HTTP1_TRACEPARENTS, out->number[HTTP1_TRACEPARENTS] + 1);
		break;
	case HTTP1_TRACESTATE:
		add_tracestate(value, join, out);
		break;
	default:
		if (!message__has(out, (unsigned int)index))
			message__set(out, (unsigned int)index, value);
		break;
	}
}

/* Repeated lengths are legal as long as they agree (RFC 9112, section 6.3). */
static int set_length(int64_t length, struct http1_framing *framing)
{
	if (length < 0 || (framing->length >= 0 && framing->length != length))
		return -EBADMSG;
	framing->length = length;
	return 0;
}

static int add_length(struct slice value, struct http1_framing *framing)
{
	int64_t only = slice__number(value);
	int err;

	if (only >= 0)
		return set_length(only, framing);
	do {
		struct slice item = slice__head(value, slice__find(value, ','));

		value = slice__skip(value, item.len + 1);
		err = set_length(slice__number(slice__trim(item)), framing);
	} while (!err && value.len);
	return err;
}

static void add_coding(struct slice value, struct http1_framing *framing)
{
	const char *comma = value.len ? memrchr(value.data, ',', value.len) : NULL;
	struct slice last = value;

	if (comma)
		last = trim(slice__skip(value, (size_t)(comma - value.data) + 1));
	if (slice__ieq(last, SLICE("chunked")))
		framing->coding = HTTP1_CHUNKED;
	else if (!slice__ieq(last, SLICE("identity")))
		framing->coding = HTTP1_UNFRAMED;
}

int http1_head__fields(struct slice *rest, struct http1_join *join, struct http1_framing *framing,
		       struct message *out)
{
	struct slice value;
	bool end, lie = false;
	int index;

	join->len = 0;
	*framing = (struct http1_framing){ .length = -1 };
	pass_indent(rest);
	while ((index = next_field(rest, &value, &end)) >= 0) {
		if (index == LINE_LENGTH)
			lie |= add_length(value, framing) != 0;
		else if (index == LINE_CODING)
			add_coding(value, framing);
		else if (out->type == MESSAGE_REQUEST) /* of responses that is all */
			keep_field(index, value, join, out);
	}
	/* without its end the last line may still be folded */
	if (lie && end)
		return -EBADMSG;
	if (lie)
		framing->length = -1;
	if (framing->length >= 0)
		message__number(out, HTTP1_LENGTH, framing->length);
	return end;
}
