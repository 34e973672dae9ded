// SPDX-License-Identifier: Apache-2.0
#include "user/protocols/sql.h"

#include "user/protocols/sql_lexer.h"

struct copy {
	char *out;
	size_t len;
	bool glue;     /* a comment went: what it parted must not grow together */
	bool is, not ; /* the words before: IS [NOT] TRUE is a test, not a value */
};

static void copy__put(struct copy *copy, struct slice text)
{
	if (copy->glue && copy->len && text.len && sql__is_word(text.data[0]) &&
	    sql__is_word(copy->out[copy->len - 1]))
		copy->out[copy->len++] = ' ';
	copy->glue = false;
	memcpy(copy->out + copy->len, text.data, text.len);
	copy->len += text.len;
}

static void copy__word(struct copy *copy, struct slice word)
{
	bool boolean = slice__ieq(word, SLICE("true")) || slice__ieq(word, SLICE("false"));

	copy__put(copy, boolean && !copy->is ? SLICE("?") : word);
	/* IS stays in force over one NOT */
	copy->not = copy->is && !copy->not &&slice__ieq(word, SLICE("not"));
	copy->is = copy->not || slice__ieq(word, SLICE("is"));
}

struct slice sql__sanitise(struct slice sql, bool cut, char *out)
{
	struct copy copy = { .out = out };
	struct sql_lexer lexer;
	struct sql_token token;

	sql_lexer__init(&lexer, sql, cut);
	while ((token = sql_lexer__next(&lexer)).type != SQL_END) {
		switch (token.type) {
		case SQL_WORD:
			copy__word(&copy, token.text);
			continue;
		case SQL_COMMENT:
			copy.glue = true;
			continue;
		case SQL_LITERAL:
			copy__put(&copy, SLICE("?"));
			break;
		default:
			copy__put(&copy, token.text);
			break;
		}
		if (token.type != SQL_SPACE)
			copy.is = copy.not = false;
	}
	return slice__of(out, copy.len);
}
