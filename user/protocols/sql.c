// SPDX-License-Identifier: Apache-2.0
#include "user/protocols/sql.h"

#include "user/base/copy.h"
#include "user/protocols/sql_lexer.h"
#include "user/protocols/sql_summary.h"

struct copy {
	char *out;
	size_t len;
	struct slice run; /* to be copied as it stands */
	bool glue;	  /* a comment went: what it parted must not grow together */
	bool is, not ;	  /* the words before: IS [NOT] TRUE is a test, not a value */
};

/* Would the two be read as one, or as the beginning of a comment? */
static bool grow_together(char before, char after)
{
	return (sql__is_word(before) && sql__is_word(after)) || (before == '/' && after == '*') ||
	       (before == '-' && after == '-') || (before == '"' && after == '"');
}

static void copy__put(struct copy *copy, struct slice text)
{
	if (copy->glue && copy->len && text.len &&
	    grow_together(copy->out[copy->len - 1], text.data[0]))
		copy->out[copy->len++] = ' ';
	copy->glue = false;
	copy__bytes(copy->out + copy->len, text.data, text.len);
	copy->len += text.len;
}

static void copy__flush(struct copy *copy)
{
	if (copy->run.len)
		copy__put(copy, copy->run);
	copy->run.len = 0;
}

static void copy__keep(struct copy *copy, struct slice text)
{
	if (!copy->run.len)
		copy->run.data = text.data;
	copy->run.len += text.len;
}

static void copy__hide(struct copy *copy)
{
	copy__flush(copy);
	copy__put(copy, SLICE("?"));
}

static bool is_boolean(struct slice word)
{
	switch (word.data[0] | 0x20) {
	case 't':
		return slice__ieq(word, SLICE("true"));
	case 'f':
		return slice__ieq(word, SLICE("false"));
	default:
		return false;
	}
}

static void copy__word(struct copy *copy, struct slice word)
{
	if (!copy->is && is_boolean(word))
		copy__hide(copy);
	else
		copy__keep(copy, word);
	/* IS stays in force over one NOT */
	copy->not = copy->is && !copy->not &&slice__ieq(word, SLICE("not"));
	copy->is = copy->not || slice__ieq(word, SLICE("is"));
}

static void copy__token(struct copy *copy, const struct sql_token *token)
{
	switch (token->type) {
	case SQL_WORD:
		copy__word(copy, token->text);
		return;
	case SQL_SPACE:
		copy__keep(copy, token->text);
		return;
	case SQL_COMMENT:
		copy__flush(copy);
		copy->glue = true;
		return;
	case SQL_LITERAL:
		copy__hide(copy);
		break;
	default:
		copy__keep(copy, token->text);
		break;
	}
	copy->is = copy->not = false;
}

struct slice sql__read(struct slice sql, bool cut, char *text, struct sql_summary *summary)
{
	struct copy copy = { .out = text };
	struct sql_summariser summariser;
	struct sql_lexer lexer;

	if (summary)
		sql_summariser__init(&summariser, summary);
	sql_lexer__init(&lexer, sql, cut);
	while (sql_lexer__next(&lexer)) {
		const struct sql_token *token = &lexer.token;
		/* the last word of a cut text may be half a word: nothing to be told by it */
		bool half = cut && lexer.rest.len == 0 && token->type == SQL_WORD;

		if (text)
			copy__token(&copy, token);
		if (summary && !half && token->type != SQL_SPACE && token->type != SQL_COMMENT)
			sql_summariser__token(&summariser, token);
	}
	if (summary)
		sql_summariser__end(&summariser);
	copy__flush(&copy);
	return slice__of(text, copy.len);
}
