// SPDX-License-Identifier: Apache-2.0
#include "user/protocols/sql_keywords.h"

struct keyword {
	const char *word;
	uint32_t roles;
};

static const struct keyword words_a[] = {
	{ "ABORT", VERB_ALONE },
	{ "AGGREGATE", WORD_KIND },
	{ "ALTER", VERB_OBJECT },
	{ "ALTER_REPLICATION_SLOT", VERB_ALONE },
	{ "ANALYSE", VERB_ALONE | WORD_LEADS },
	{ "ANALYZE", VERB_ALONE | WORD_LEADS },
	{ "AS", WORD_LEADS },
	{ "ATOMIC", WORD_ATOMIC },
};

static const struct keyword words_b[] = {
	{ "BASE_BACKUP", VERB_ALONE },
	{ "BEGIN", VERB_ALONE | WORD_BEGIN },
};

static const struct keyword words_c[] = {
	{ "CALL", VERB_TARGET },
	{ "CASE", WORD_CASE },
	{ "CAST", WORD_KIND },
	{ "CHECKPOINT", VERB_ALONE },
	{ "CLOSE", VERB_ALONE },
	{ "CLUSTER", VERB_ALONE },
	{ "COLLATION", WORD_KIND },
	{ "COMMENT", VERB_ALONE },
	{ "COMMIT", VERB_ALONE },
	{ "CONCURRENTLY", WORD_SKIP },
	{ "COPY", VERB_TARGET },
	{ "CREATE", VERB_OBJECT },
	{ "CREATE_REPLICATION_SLOT", VERB_ALONE },
};

static const struct keyword words_d[] = {
	{ "DATABASE", WORD_KIND },
	{ "DEALLOCATE", VERB_ALONE },
	{ "DECLARE", VERB_PREFIX },
	{ "DELETE", VERB_DELETE },
	{ "DISCARD", VERB_ALONE },
	{ "DISTINCT", WORD_DISTINCT },
	{ "DO", VERB_ALONE },
	{ "DOMAIN", WORD_KIND },
	{ "DROP", VERB_OBJECT | WORD_LIST },
	{ "DROP_REPLICATION_SLOT", VERB_ALONE },
};

static const struct keyword words_e[] = {
	{ "END", VERB_ALONE | WORD_STOP },
	{ "EXCEPT", WORD_ENDS | WORD_LEADS },
	{ "EXECUTE", VERB_ALONE },
	{ "EXISTS", WORD_SKIP },
	{ "EXPLAIN", VERB_PREFIX | WORD_LEADS },
	{ "EXTENSION", WORD_KIND },
};

static const struct keyword words_f[] = {
	{ "FETCH", VERB_ALONE | WORD_ENDS },   { "FOR", WORD_ENDS },
	{ "FOREIGN", WORD_MODIFIER },	       { "FROM", WORD_FROM },
	{ "FUNCTION", WORD_KIND | WORD_BODY },
};

static const struct keyword words_g[] = {
	{ "GLOBAL", WORD_MODIFIER },
	{ "GRANT", VERB_ALONE },
	{ "GROUP", WORD_ENDS | WORD_KIND },
};

static const struct keyword words_h[] = {
	{ "HAVING", WORD_ENDS },
};

static const struct keyword words_i[] = {
	{ "IDENTIFY_SYSTEM", VERB_ALONE },
	{ "IF", WORD_SKIP },
	{ "IMPORT", VERB_ALONE },
	{ "INDEX", WORD_KIND },
	{ "INSERT", VERB_INTO },
	{ "INTERSECT", WORD_ENDS | WORD_LEADS },
	{ "INTO", WORD_INTO },
};

static const struct keyword words_j[] = {
	{ "JOIN", WORD_JOIN },
};

static const struct keyword words_l[] = {
	{ "LATERAL", WORD_SKIP }, { "LIMIT", WORD_ENDS },     { "LISTEN", VERB_ALONE },
	{ "LOAD", VERB_ALONE },	  { "LOCAL", WORD_MODIFIER }, { "LOCK", VERB_TARGET | WORD_LIST },
};

static const struct keyword words_m[] = {
	{ "MATERIALIZED", WORD_MODIFIER },
	{ "MERGE", VERB_INTO },
	{ "MOVE", VERB_ALONE },
};

static const struct keyword words_n[] = {
	{ "NOT", WORD_SKIP },
	{ "NOTIFY", VERB_ALONE },
};

static const struct keyword words_o[] = {
	{ "OFFSET", WORD_ENDS }, { "ON", WORD_SKIP },	 { "ONLY", WORD_SKIP },
	{ "OR", WORD_MODIFIER }, { "ORDER", WORD_ENDS },
};

static const struct keyword words_p[] = {
	{ "POLICY", WORD_KIND },
	{ "PREPARE", VERB_PREFIX },
	{ "PROCEDURE", WORD_KIND | WORD_BODY },
	{ "PUBLICATION", WORD_KIND },
};

static const struct keyword words_r[] = {
	{ "READ_REPLICATION_SLOT", VERB_ALONE },
	{ "REASSIGN", VERB_ALONE },
	{ "RECURSIVE", WORD_MODIFIER },
	{ "REFRESH", VERB_OBJECT },
	{ "REINDEX", VERB_OBJECT },
	{ "RELEASE", VERB_ALONE },
	{ "REPLACE", WORD_MODIFIER },
	{ "RESET", VERB_ALONE },
	{ "RETURNING", WORD_ENDS },
	{ "REVOKE", VERB_ALONE },
	{ "ROLE", WORD_KIND },
	{ "ROLLBACK", VERB_ALONE },
	{ "RULE", WORD_KIND },
};

static const struct keyword words_s[] = {
	{ "SAVEPOINT", VERB_ALONE },	   { "SCHEMA", WORD_KIND },
	{ "SECURITY", VERB_ALONE },	   { "SELECT", VERB_SELECT },
	{ "SEQUENCE", WORD_KIND },	   { "SERVER", WORD_KIND },
	{ "SET", VERB_ALONE | WORD_ENDS }, { "SHOW", VERB_ALONE },
	{ "START", VERB_ALONE },	   { "START_REPLICATION", VERB_ALONE },
	{ "STATISTICS", WORD_KIND },	   { "SUBSCRIPTION", WORD_KIND },
};

static const struct keyword words_t[] = {
	{ "TABLE", VERB_TARGET | WORD_KIND | WORD_QUERY },
	{ "TABLESPACE", WORD_KIND },
	{ "TEMP", WORD_MODIFIER },
	{ "TEMPORARY", WORD_MODIFIER },
	{ "TIMELINE_HISTORY", VERB_ALONE },
	{ "TRIGGER", WORD_KIND },
	{ "TRUNCATE", VERB_TARGET | WORD_LIST },
	{ "TYPE", WORD_KIND },
};

static const struct keyword words_u[] = {
	{ "UNION", WORD_ENDS | WORD_LEADS },
	{ "UNIQUE", WORD_MODIFIER },
	{ "UNLISTEN", VERB_ALONE },
	{ "UNLOGGED", WORD_MODIFIER },
	{ "UPDATE", VERB_UPDATE },
	{ "USER", WORD_KIND },
	{ "USING", WORD_USING },
};

static const struct keyword words_v[] = {
	{ "VACUUM", VERB_ALONE },
	{ "VALUES", VERB_ALONE | WORD_VALUES | WORD_ENDS },
	{ "VERBOSE", WORD_LEADS },
	{ "VIEW", WORD_KIND | WORD_QUERY },
};

static const struct keyword words_w[] = {
	{ "WHERE", WORD_ENDS },
	{ "WINDOW", WORD_ENDS },
	{ "WITH", VERB_HIDDEN },
};

#define BUCKET(letter, words) [(letter) - 'A'] = { words, sizeof(words) / sizeof((words)[0]) }

/* By the first letter, so that a word that is none costs next to nothing. */
static const struct bucket {
	const struct keyword *words;
	size_t count;
} buckets['Z' - 'A' + 1] = {
	BUCKET('A', words_a), BUCKET('B', words_b), BUCKET('C', words_c), BUCKET('D', words_d),
	BUCKET('E', words_e), BUCKET('F', words_f), BUCKET('G', words_g), BUCKET('H', words_h),
	BUCKET('I', words_i), BUCKET('J', words_j), BUCKET('L', words_l), BUCKET('M', words_m),
	BUCKET('N', words_n), BUCKET('O', words_o), BUCKET('P', words_p), BUCKET('R', words_r),
	BUCKET('S', words_s), BUCKET('T', words_t), BUCKET('U', words_u), BUCKET('V', words_v),
	BUCKET('W', words_w),
};

uint32_t sql__roles(struct slice word)
{
	const struct bucket *bucket;
	char letter = word.len ? word.data[0] & ~0x20 : '\0';

	if (letter < 'A' || letter > 'Z')
		return 0;
	bucket = &buckets[letter - 'A'];
	for (size_t i = 0; i < bucket->count; i++)
		if (slice__ieq(word, slice__str(bucket->words[i].word)))
			return bucket->words[i].roles;
	return 0;
}
