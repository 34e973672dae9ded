// SPDX-License-Identifier: Apache-2.0
#include "user/protocols/sql.h"

#include "user/base/copy.h"
#include "user/protocols/sql_lexer.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* May the byte before or behind digits make them part of something longer? */
static bool hangs_on(char c)
{
	return c == '.' || sql__is_word(c);
}

static size_t digits_len(struct slice in)
{
	size_t len = 1;

	while (len < in.len && is_digit(in.data[len]))
		len++;
	return len;
}

/* Such digits are in what is never shown: a literal or a comment.  In what way the bytes around them
 * are read does not depend on which they are. */
struct slice sql__shape(struct slice sql, char *shape, size_t room)
{
	char *at = shape, before = ' ';

	if (sql.len > room || slice__find(sql, '"') < sql.len)
		return sql;
	for (struct slice left = sql; left.len;) {
		size_t len = 1;

		if (!is_digit(left.data[0])) {
			*at++ = left.data[0];
		} else {
			len = digits_len(left);
			if (hangs_on(before) || (len < left.len && hangs_on(left.data[len]))) {
				copy__bytes(at, left.data, len);
				at += len;
			} else {
				*at++ = '0';
			}
		}
		before = left.data[len - 1];
		left = slice__skip(left, len);
	}
	return slice__of(shape, (size_t)(at - shape));
}
