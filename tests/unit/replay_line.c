// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/replay_line.h"

bool line__word(const char **rest, char *word, size_t room)
{
	size_t len;

	*rest += strspn(*rest, " ");
	len = strcspn(*rest, " \n");
	if (len == 0 || len >= room)
		return false;
	memcpy(word, *rest, len);
	word[len] = '\0';
	*rest += len;
	return true;
}

uint64_t line__number(const char **rest)
{
	char word[32];

	return line__word(rest, word, sizeof(word)) ? strtoull(word, NULL, 10) : 0;
}

static char line__escape(const char **at)
{
	char hex[3] = { 0 };

	switch (*(*at)++) {
	case 'r':
		return '\r';
	case 'n':
		return '\n';
	case 't':
		return '\t';
	case '0':
		return '\0';
	case 'x':
		memcpy(hex, *at, 2);
		*at += 2;
		return (char)strtoul(hex, NULL, 16);
	default:
		return (*at)[-1];
	}
}

bool line__string(const char **rest, char *buf, struct slice *out)
{
	const char *at = *rest + strspn(*rest, " ");
	size_t len = 0;

	if (*at++ != '"')
		return false;
	while (*at && *at != '"' && *at != '\n') {
		char c = *at++;

		buf[len++] = c == '\\' ? line__escape(&at) : c;
	}
	*out = slice__of(buf, len);
	*rest = at + 1;
	return *at == '"';
}
