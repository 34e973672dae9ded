// SPDX-License-Identifier: Apache-2.0
#include "user/flow/route.h"

#include <ctype.h>
#include <fnmatch.h>

#include "user/flow/config.h"

#define UUID_CHARS    36
#define HEX_MIN	      8 /* digits that make a hash; "decade" and "facade" are words */
#define TOKEN_MIN     16
#define TOKEN_VARIETY 8	   /* different characters of a token */
#define EXTENSION_MAX 5	   /* "html", "woff2" */
#define GLOB_PATH_MAX 1024 /* bytes of a path that --ignore-path looks at */

enum char_class {
	CLASS_NONE,
	CLASS_LOWER,
	CLASS_UPPER,
	CLASS_DIGIT,
};

static enum char_class class_of(char c)
{
	if (c >= '0' && c <= '9')
		return CLASS_DIGIT;
	if (c >= 'a' && c <= 'z')
		return CLASS_LOWER;
	return c >= 'A' && c <= 'Z' ? CLASS_UPPER : CLASS_NONE;
}

static bool is_separator(char c)
{
	return c == '-' || c == '_' || c == ',' || c == ':';
}

/* Digits, possibly in groups: 42, -1, 2024-01-31, 1,2,3; not 1.0, which is a version. */
static bool is_number(struct slice s)
{
	bool digits = false;

	for (size_t i = 0; i < s.len; i++) {
		if (class_of(s.data[i]) == CLASS_DIGIT)
			digits = true;
		else if (!is_separator(s.data[i]))
			return false;
	}
	return digits;
}

static bool is_hex(struct slice s)
{
	bool digits = false;

	if (s.len >= 2 && s.data[0] == '0' && (s.data[1] | 0x20) == 'x')
		s = slice__skip(s, 2);
	for (size_t i = 0; i < s.len; i++) {
		if (!isxdigit((unsigned char)s.data[i]))
			return false;
		digits |= class_of(s.data[i]) == CLASS_DIGIT;
	}
	return digits && s.len >= HEX_MIN;
}

static bool is_uuid(struct slice s)
{
	if (s.len == UUID_CHARS + 2 && s.data[0] == '{' && s.data[s.len - 1] == '}')
		s = slice__of(s.data + 1, UUID_CHARS);
	if (s.len != UUID_CHARS)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? s.data[i] != '-' : !isxdigit((unsigned char)s.data[i]))
			return false;
	}
	return true;
}

/*
 * Random letters and digits change their class all the time: words, slugs and camelCase do so
 * once in a while.  Upper to lower is not counted, it begins every capitalised word.
 */
static bool is_token(struct slice s)
{
	enum char_class before = CLASS_NONE;
	size_t changes = 0, letters = 0, digits = 0, variety = 0;
	bool seen[128] = { false };

	for (size_t i = 0; i < s.len; i++) {
		enum char_class now = class_of(s.data[i]);

		if (now == CLASS_NONE && !memchr("-_=~", s.data[i], 4))
			return false;
		variety += !seen[(unsigned char)s.data[i]];
		seen[(unsigned char)s.data[i]] = true;
		letters += now == CLASS_LOWER || now == CLASS_UPPER;
		digits += now == CLASS_DIGIT;
		changes += now && before && now != before &&
			   !(before == CLASS_UPPER && now == CLASS_LOWER);
		before = now;
	}
	return letters && digits && variety >= TOKEN_VARIETY && changes * 4 >= s.len;
}

bool route__is_id(struct slice s)
{
	return is_number(s) || is_uuid(s) || is_hex(s) || (s.len >= TOKEN_MIN && is_token(s));
}

/* Offset of the "." of a file extension, s.len when there is none. */
static size_t extension_at(struct slice s)
{
	size_t at = s.len;

	while (at > 0 && s.len - at <= EXTENSION_MAX && class_of(s.data[at - 1]) != CLASS_NONE)
		at--;
	if (at < 2 || at == s.len || s.data[at - 1] != '.' || class_of(s.data[at]) == CLASS_DIGIT)
		return s.len;
	return at - 1;
}

/* What stands for @segment in a route; @tail is what follows the id. */
static struct slice guess_segment(struct slice segment, struct slice *tail)
{
	size_t dot;

	segment = slice__head(segment, slice__find(segment, ';')); /* ";jsessionid=..." */
	*tail = slice__of("", 0);
	if (route__is_id(segment))
		return SLICE("{id}");
	dot = extension_at(segment);
	if (dot == segment.len || !route__is_id(slice__head(segment, dot)))
		return segment;
	*tail = slice__skip(segment, dot);
	return SLICE("{id}");
}

/* Reads "/segment" off the front of @path. */
static struct slice next_segment(struct slice *path)
{
	struct slice segment;

	*path = slice__skip(*path, 1);
	segment = slice__head(*path, slice__find(*path, '/'));
	*path = slice__skip(*path, segment.len);
	return segment;
}

/* Is it its own route?  Without a digit only a UUID is an id. */
static bool is_plain(struct slice path)
{
	size_t segments = 0;

	if (path.len >= UUID_CHARS)
		return false;
	for (size_t i = 0; i < path.len; i++) {
		if (path.data[i] == ';' || class_of(path.data[i]) == CLASS_DIGIT)
			return false;
		segments += path.data[i] == '/';
	}
	return segments <= ROUTE_SEGMENTS;
}

static struct slice guess(struct slice path, struct arena *a)
{
	char text[ROUTE_BYTES];
	size_t at = 0;

	for (size_t count = 0; path.len; count++) {
		struct slice tail;
		struct slice part = guess_segment(next_segment(&path), &tail);

		/* the slash, and room for a slash and a star after it */
		if (count == ROUTE_SEGMENTS || at + part.len + tail.len + 3 > sizeof(text)) {
			text[at++] = '/';
			text[at++] = '*';
			break;
		}
		text[at++] = '/';
		memcpy(text + at, part.data, part.len);
		memcpy(text + at + part.len, tail.data, tail.len);
		at += part.len + tail.len;
	}
	return arena__copy(a, slice__of(text, at));
}

/* "{x}" with what stands before and after it in the same segment. */
static bool segment_fits(struct slice pattern, struct slice segment)
{
	size_t open = slice__find(pattern, '{');
	size_t close = slice__find(slice__skip(pattern, open), '}') + open;
	struct slice tail = slice__skip(pattern, close + 1);

	if (slice__eq(pattern, SLICE("*")))
		return segment.len > 0;
	if (open == pattern.len || close == pattern.len)
		return slice__eq(pattern, segment);
	return segment.len > open + tail.len &&
	       slice__starts(segment, slice__head(pattern, open)) &&
	       slice__eq(slice__skip(segment, segment.len - tail.len), tail);
}

static struct slice without_slash(struct slice path)
{
	if (path.len && path.data[path.len - 1] == '/')
		path.len--;
	return path;
}

static bool pattern_fits(struct slice pattern, struct slice path)
{
	if (!slice__starts(pattern, SLICE("/")))
		return false;
	pattern = without_slash(pattern);
	path = without_slash(path);
	while (pattern.len) {
		if (slice__eq(pattern, SLICE("/*")))
			return true;
		if (path.len == 0 || !segment_fits(next_segment(&pattern), next_segment(&path)))
			return false;
	}
	return path.len == 0;
}

enum route_source route__find(const struct flow_config *config, struct slice path, struct arena *a,
			      struct slice *out)
{
	*out = slice__of("", 0);
	if (path.len == 0 || path.data[0] != '/')
		return ROUTE_NONE;
	for (const char *const *route = config->routes; route && *route; route++) {
		struct slice pattern = slice__str(*route);

		if (pattern_fits(pattern, path)) {
			*out = pattern;
			return ROUTE_PATTERN;
		}
	}
	if (!config->route_heuristic)
		return ROUTE_NONE;
	*out = is_plain(path) ? path : guess(path, a);
	return ROUTE_GUESS;
}

bool route__ignored(const struct flow_config *config, struct slice path)
{
	char text[GLOB_PATH_MAX];

	if (!config->ignore_paths || path.len == 0)
		return false;
	path = slice__head(path, sizeof(text) - 1);
	memcpy(text, path.data, path.len);
	text[path.len] = '\0';
	for (const char *const *glob = config->ignore_paths; *glob; glob++)
		if (fnmatch(*glob, text, 0) == 0)
			return true;
	return false;
}
