// SPDX-License-Identifier: Apache-2.0
#include "user/protocols/sql_keywords.h"

struct keyword {
	struct slice word;
	uint32_t roles;
};

#define WORD(literal)                                                                              \
	{                                                                                          \
		literal, sizeof(literal) - 1                                                       \
	}

/* The ones that most texts have come first, then the others by the alphabet. */
static const struct keyword words_a[] = {
	{ WORD("AS"), WORD_LEADS },
	{ WORD("ABORT"), VERB_ALONE },
	{ WORD("AGGREGATE"), WORD_KIND },
	{ WORD("ALTER"), VERB_OBJECT },
	{ WORD("ALTER_REPLICATION_SLOT"), VERB_ALONE },
	{ WORD("ANALYSE"), VERB_ALONE | WORD_LEADS },
	{ WORD("ANALYZE"), VERB_ALONE | WORD_LEADS },
	{ WORD("ATOMIC"), WORD_ATOMIC },
};

static const struct keyword words_b[] = {
	{ WORD("BASE_BACKUP"), VERB_ALONE },
	{ WORD("BEGIN"), VERB_ALONE | WORD_BEGIN },
};

static const struct keyword words_c[] = {
	{ WORD("CALL"), VERB_TARGET },
	{ WORD("CASE"), WORD_CASE },
	{ WORD("CAST"), WORD_KIND },
	{ WORD("CHECKPOINT"), VERB_ALONE },
	{ WORD("CLOSE"), VERB_ALONE },
	{ WORD("CLUSTER"), VERB_ALONE },
	{ WORD("COLLATION"), WORD_KIND },
	{ WORD("COMMENT"), VERB_ALONE },
	{ WORD("COMMIT"), VERB_ALONE },
	{ WORD("CONCURRENTLY"), WORD_SKIP },
	{ WORD("COPY"), VERB_TARGET },
	{ WORD("CREATE"), VERB_OBJECT },
	{ WORD("CREATE_REPLICATION_SLOT"), VERB_ALONE },
};

static const struct keyword words_d[] = {
	{ WORD("DATABASE"), WORD_KIND },
	{ WORD("DEALLOCATE"), VERB_ALONE },
	{ WORD("DECLARE"), VERB_PREFIX },
	{ WORD("DELETE"), VERB_DELETE },
	{ WORD("DISCARD"), VERB_ALONE },
	{ WORD("DISTINCT"), WORD_DISTINCT },
	{ WORD("DO"), VERB_ALONE },
	{ WORD("DOMAIN"), WORD_KIND },
	{ WORD("DROP"), VERB_OBJECT | WORD_LIST },
	{ WORD("DROP_REPLICATION_SLOT"), VERB_ALONE },
};

static const struct keyword words_e[] = {
	{ WORD("END"), VERB_ALONE | WORD_STOP },
	{ WORD("EXCEPT"), WORD_ENDS | WORD_LEADS },
	{ WORD("EXECUTE"), VERB_ALONE },
	{ WORD("EXISTS"), WORD_SKIP },
	{ WORD("EXPLAIN"), VERB_PREFIX | WORD_LEADS },
	{ WORD("EXTENSION"), WORD_KIND },
};

static const struct keyword words_f[] = {
	{ WORD("FROM"), WORD_FROM },
	{ WORD("FETCH"), VERB_ALONE | WORD_ENDS },
	{ WORD("FOR"), WORD_ENDS },
	{ WORD("FOREIGN"), WORD_MODIFIER },
	{ WORD("FUNCTION"), WORD_KIND | WORD_BODY },
};

static const struct keyword words_g[] = {
	{ WORD("GLOBAL"), WORD_MODIFIER },
	{ WORD("GRANT"), VERB_ALONE },
	{ WORD("GROUP"), WORD_ENDS | WORD_KIND },
};

static const struct keyword words_h[] = {
	{ WORD("HAVING"), WORD_ENDS },
};

static const struct keyword words_i[] = {
	{ WORD("INTO"), WORD_INTO },
	{ WORD("INSERT"), VERB_INTO },
	{ WORD("IDENTIFY_SYSTEM"), VERB_ALONE },
	{ WORD("IF"), WORD_SKIP },
	{ WORD("IMPORT"), VERB_ALONE },
	{ WORD("INDEX"), WORD_KIND },
	{ WORD("INTERSECT"), WORD_ENDS | WORD_LEADS },
};

static const struct keyword words_j[] = {
	{ WORD("JOIN"), WORD_JOIN },
};

static const struct keyword words_l[] = {
	{ WORD("LIMIT"), WORD_ENDS },	  { WORD("LATERAL"), WORD_SKIP },
	{ WORD("LISTEN"), VERB_ALONE },	  { WORD("LOAD"), VERB_ALONE },
	{ WORD("LOCAL"), WORD_MODIFIER }, { WORD("LOCK"), VERB_TARGET | WORD_LIST },
};

static const struct keyword words_m[] = {
	{ WORD("MATERIALIZED"), WORD_MODIFIER },
	{ WORD("MERGE"), VERB_INTO },
	{ WORD("MOVE"), VERB_ALONE },
};

static const struct keyword words_n[] = {
	{ WORD("NOT"), WORD_SKIP },
	{ WORD("NOTIFY"), VERB_ALONE },
};

static const struct keyword words_o[] = {
	{ WORD("ON"), WORD_SKIP },   { WORD("ORDER"), WORD_ENDS },  { WORD("OFFSET"), WORD_ENDS },
	{ WORD("ONLY"), WORD_SKIP }, { WORD("OR"), WORD_MODIFIER },
};

static const struct keyword words_p[] = {
	{ WORD("POLICY"), WORD_KIND },
	{ WORD("PREPARE"), VERB_PREFIX },
	{ WORD("PROCEDURE"), WORD_KIND | WORD_BODY },
	{ WORD("PUBLICATION"), WORD_KIND },
};

static const struct keyword words_r[] = {
	{ WORD("READ_REPLICATION_SLOT"), VERB_ALONE },
	{ WORD("REASSIGN"), VERB_ALONE },
	{ WORD("RECURSIVE"), WORD_MODIFIER },
	{ WORD("REFRESH"), VERB_OBJECT },
	{ WORD("REINDEX"), VERB_OBJECT },
	{ WORD("RELEASE"), VERB_ALONE },
	{ WORD("REPLACE"), WORD_MODIFIER },
	{ WORD("RESET"), VERB_ALONE },
	{ WORD("RETURNING"), WORD_ENDS },
	{ WORD("REVOKE"), VERB_ALONE },
	{ WORD("ROLE"), WORD_KIND },
	{ WORD("ROLLBACK"), VERB_ALONE },
	{ WORD("RULE"), WORD_KIND },
};

static const struct keyword words_s[] = {
	{ WORD("SELECT"), VERB_SELECT },   { WORD("SET"), VERB_ALONE | WORD_ENDS },
	{ WORD("SAVEPOINT"), VERB_ALONE }, { WORD("SCHEMA"), WORD_KIND },
	{ WORD("SECURITY"), VERB_ALONE },  { WORD("SEQUENCE"), WORD_KIND },
	{ WORD("SERVER"), WORD_KIND },	   { WORD("SHOW"), VERB_ALONE },
	{ WORD("START"), VERB_ALONE },	   { WORD("START_REPLICATION"), VERB_ALONE },
	{ WORD("STATISTICS"), WORD_KIND }, { WORD("SUBSCRIPTION"), WORD_KIND },
};

static const struct keyword words_t[] = {
	{ WORD("TABLE"), VERB_TARGET | WORD_KIND | WORD_QUERY },
	{ WORD("TABLESPACE"), WORD_KIND },
	{ WORD("TEMP"), WORD_MODIFIER },
	{ WORD("TEMPORARY"), WORD_MODIFIER },
	{ WORD("TIMELINE_HISTORY"), VERB_ALONE },
	{ WORD("TRIGGER"), WORD_KIND },
	{ WORD("TRUNCATE"), VERB_TARGET | WORD_LIST },
	{ WORD("TYPE"), WORD_KIND },
};

static const struct keyword words_u[] = {
	{ WORD("UPDATE"), VERB_UPDATE },     { WORD("UNION"), WORD_ENDS | WORD_LEADS },
	{ WORD("UNIQUE"), WORD_MODIFIER },   { WORD("UNLISTEN"), VERB_ALONE },
	{ WORD("UNLOGGED"), WORD_MODIFIER }, { WORD("USER"), WORD_KIND },
	{ WORD("USING"), WORD_USING },
};

static const struct keyword words_v[] = {
	{ WORD("VALUES"), VERB_ALONE | WORD_VALUES | WORD_ENDS },
	{ WORD("VACUUM"), VERB_ALONE },
	{ WORD("VERBOSE"), WORD_LEADS },
	{ WORD("VIEW"), WORD_KIND | WORD_QUERY },
};

static const struct keyword words_w[] = {
	{ WORD("WHERE"), WORD_ENDS },
	{ WORD("WINDOW"), WORD_ENDS },
	{ WORD("WITH"), VERB_HIDDEN },
};

#define BUCKET(letter, words)                                                                      \
	[(letter) - 'A'] = { words, words + sizeof(words) / sizeof((words)[0]) }

/* By the first letter, so that a word that is none costs next to nothing. */
static const struct bucket {
	const struct keyword *first;
	const struct keyword *end;
} buckets['Z' - 'A' + 1] = {
	BUCKET('A', words_a), BUCKET('B', words_b), BUCKET('C', words_c), BUCKET('D', words_d),
	BUCKET('E', words_e), BUCKET('F', words_f), BUCKET('G', words_g), BUCKET('H', words_h),
	BUCKET('I', words_i), BUCKET('J', words_j), BUCKET('L', words_l), BUCKET('M', words_m),
	BUCKET('N', words_n), BUCKET('O', words_o), BUCKET('P', words_p), BUCKET('R', words_r),
	BUCKET('S', words_s), BUCKET('T', words_t), BUCKET('U', words_u), BUCKET('V', words_v),
	BUCKET('W', words_w),
};

/* Of the same length, in any case: a keyword has letters and "_" only, which stay apart without that bit. */
static bool is_keyword(struct slice word, struct slice keyword)
{
	for (size_t i = 0; i < word.len; i++)
		if ((word.data[i] & ~0x20) != keyword.data[i])
			return false;
	return true;
}

uint32_t sql__roles(struct slice word)
{
	const struct bucket *bucket;
	char letter = word.len ? (char)(word.data[0] & ~0x20) : '\0';

	if (letter < 'A' || letter > 'Z')
		return 0;
	bucket = &buckets[letter - 'A'];
	for (const struct keyword *k = bucket->first; k < bucket->end; k++)
		if (k->word.len == word.len && is_keyword(word, k->word))
			return k->roles;
	return 0;
}
