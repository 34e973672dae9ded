// SPDX-License-Identifier: Apache-2.0
/* What of an SQL text may be shown: no literal ever, whatever the text. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "user/protocols/sql.h"
#include "user/protocols/sql_keywords.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct vector {
	const char *sql;
	const char *expected;
};

static const char *sanitised(struct slice sql, bool cut)
{
	static char out[4096];
	char *room = malloc(sql.len ? sql.len : 1); /* exactly what the contract asks for */
	struct slice text;

	assert_non_null(room);
	assert_true(sql.len < sizeof(out));
	text = sql__read(sql, cut, room, NULL);
	assert_true(text.len <= sql.len);
	memcpy(out, text.data, text.len);
	out[text.len] = '\0';
	free(room);
	return out;
}

static const char *summarised(struct slice sql, bool cut)
{
	static char out[SQL_SUMMARY_MAX + 1];
	struct sql_summary summary;

	sql__read(sql, cut, NULL, &summary);
	memcpy(out, summary.text, summary.len);
	out[summary.len] = '\0';
	return out;
}

static void check_text(const struct vector *vectors, size_t count, bool cut)
{
	for (size_t i = 0; i < count; i++)
		assert_string_equal(sanitised(slice__str(vectors[i].sql), cut),
				    vectors[i].expected);
}

static void check_summary(const struct vector *vectors, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_string_equal(summarised(slice__str(vectors[i].sql), false),
				    vectors[i].expected);
}

static void numbers_with_their_sign_are_literals(void **ctx)
{
	static const struct vector vectors[] = {
		{ "SELECT 7, -7, +7", "SELECT ?, ?, ?" },
		{ "SELECT 3.25, -3.25, +3.25, .5, -.5", "SELECT ?, ?, ?, ?, ?" },
		{ "SELECT 6.02e23, -6.02e23, +1E9", "SELECT ?, ?, ?" },
		{ "SELECT 6.62e-34, -6.62E-34, 1e+3", "SELECT ?, ?, ?" },
		{ "SELECT 20+22", "SELECT ??" },
		{ "SELECT 20 + 22", "SELECT ? + ?" },
		{ "SELECT 0xCAFE, 0Xbabe, 0b101, 0o17, 1_000", "SELECT ?, ?, ?, ?, ?" },
		{ "SELECT 0xE-1", "SELECT ??" },
		{ "SELECT 12abc", "SELECT ?" },
		{ "UPDATE t SET n=n+1, m = m - 1", "UPDATE t SET n=n+?, m = m - ?" },
		{ "SELECT f(a)-1, b[2]-3, $1-4", "SELECT f(a)-?, b[?]-?, $1-?" },
		{ "SELECT d->-1, d->>2", "SELECT d->?, d->>?" },
		{ "SELECT x::varchar(80)", "SELECT x::varchar(?)" },
		{ "SELECT a FROM t LIMIT 10 OFFSET 5", "SELECT a FROM t LIMIT ? OFFSET ?" },
	};

	check_text(vectors, COUNT(vectors), false);
	check_text(vectors, COUNT(vectors), true);
}

static void names_are_kept(void **ctx)
{
	static const struct vector vectors[] = {
		{ "SELECT r2d2 FROM mp3s WHERE h2o=18", "SELECT r2d2 FROM mp3s WHERE h2o=?" },
		{ "SELECT \"it's 5\".\"a\"\"b\" FROM \"T 1\"",
		  "SELECT \"it's 5\".\"a\"\"b\" FROM \"T 1\"" },
		{ "SELECT a$1b, _9, caf\303\251 FROM t", "SELECT a$1b, _9, caf\303\251 FROM t" },
		{ "SELECT $1, $22::int", "SELECT $1, $22::int" },
		{ "SELECT U&\"d\\0061t\" FROM t", "SELECT U&\"d\\0061t\" FROM t" },
		{ "SELECT\n\ta\r\n FROM  t", "SELECT\n\ta\r\n FROM  t" },
	};

	check_text(vectors, COUNT(vectors), false);
}

static void strings_are_literals(void **ctx)
{
	static const struct vector vectors[] = {
		{ "SELECT 'hush'", "SELECT ?" },
		{ "SELECT 'it''s mine'", "SELECT ?" },
		{ "SELECT 'two\nlines'", "SELECT ?" },
		{ "SELECT '', ''''", "SELECT ?, ?" },
		{ "SELECT E'a\\'b', e'c\\\\'", "SELECT ?, ?" },
		{ "SELECT B'1010', x'FF', N'n', U&'d\\0061t'", "SELECT ?, ?, ?, ?" },
		{ "SELECT $$it's$$, $q$a $$ b$q$", "SELECT ?, ?" },
		{ "SELECT $q$unlike $Q$ this$q$", "SELECT ?" },
		{ "SELECT 1$q$not hushed$q$, 1$2", "SELECT ??, ?" },
		{ "SELECT a$$b$$", "SELECT a$$b$$" }, /* an identifier */
		{ "DO $body$BEGIN RAISE 'x'; END$body$", "DO ?" },
		{ "SELECT date '2020-02-02', interval '1 day'", "SELECT date ?, interval ?" },
		{ "SELECT 'a'\n  'b', 'c' 'd'", "SELECT ?, ? ?" },
		{ "SELECT e'a'\n'it\\'s'||b", "SELECT ?||b" },
		{ "SELECT e'a' -- x\n'it\\'s'||b", "SELECT ?||b" },
		{ "SELECT { guid '6fd0' }", "SELECT { guid ? }" },
		{ "SELECT * FROM t WHERE v IN (1, 2, 'x')",
		  "SELECT * FROM t WHERE v IN (?, ?, ?)" },
		{ "INSERT INTO X VALUES(1, 2.5, 20+22)", "INSERT INTO X VALUES(?, ?, ?"
							 "?)" },
		{ "CREATE  TABLE T (\n    A NOT NULL IDENTITY(1,1)\n)",
		  "CREATE  TABLE T (\n    A NOT NULL IDENTITY(?,?)\n)" },
		{ "ALTER  TABLE T ADD N varchar(80)", "ALTER  TABLE T ADD N varchar(?)" },
	};

	check_text(vectors, COUNT(vectors), false);
}

static void true_and_false_are_values_but_not_tests(void **ctx)
{
	static const struct vector vectors[] = {
		{ "UPDATE t SET a = TRUE, b = false", "UPDATE t SET a = ?, b = ?" },
		{ "SELECT 1 FROM t WHERE a IS TRUE AND b IS NOT false AND NOT true",
		  "SELECT ? FROM t WHERE a IS TRUE AND b IS NOT false AND NOT ?" },
		{ "SELECT NULL WHERE a IS NULL", "SELECT NULL WHERE a IS NULL" },
		{ "SELECT a.truely, istrue", "SELECT a.truely, istrue" },
	};

	check_text(vectors, COUNT(vectors), false);
}

static void comments_are_removed(void **ctx)
{
	static const struct vector vectors[] = {
		{ "SELECT c -- to the end\nFROM /* some\n */ t", "SELECT c \nFROM  t" },
		{ "SELECT /* a /* nested */ 'x' */ 1", "SELECT  ?" },
		{ "SELECT/**/a/* */FROM/**/t", "SELECT a FROM t" },
		{ "SELECT 1 -- 'open", "SELECT ? " },
		{ "SELECT 1 /* 'open", "SELECT ? " },
		{ "/*a=b*/SELECT '-- no', '/* no */'", "SELECT ?, ?" },
		{ "SELECT 5--3\n", "SELECT ?\n" },
		{ "a //* b */* c */", "a / * c */" },
		{ "a -/*b*/- c", "a - - c" },
		{ "\"a\"/**/\"b\"", "\"a\" \"b\"" },
	};

	check_text(vectors, COUNT(vectors), false);
	check_text(vectors, COUNT(vectors), true);
}

static void backslashes_are_read_so_that_the_text_is_whole(void **ctx)
{
	static const struct vector vectors[] = {
		/* standard_conforming_strings on, the default */
		{ "SELECT 'C:\\' , dir, 'x'", "SELECT ? , dir, ?" },
		{ "SELECT a LIKE 'x!_y' ESCAPE '\\' AND b = 'secret'",
		  "SELECT a LIKE ? ESCAPE ? AND b = ?" },
		/* off */
		{ "SELECT 'O\\'Reilly' AS n, 'y'", "SELECT ? AS n, ?" },
		/* two backslashes are the same in both */
		{ "SELECT 'a\\\\', b, 'c'", "SELECT ?, b, ?" },
		/* neither reading is whole: nothing behind is shown */
		{ "SELECT 'a\\', secret, $$b", "SELECT ?" },
	};
	static const struct vector halves[] = {
		{ "SELECT 'O\\'Reilly' AS n, 'y'", "SELECT ?" },
		{ "SELECT a ESCAPE '\\' AND b = 'sec", "SELECT a ESCAPE ?" },
		{ "SELECT E'a\\'b' AS n, 'y", "SELECT ? AS n, ?" },
	};

	check_text(vectors, COUNT(vectors), false);
	check_text(halves, COUNT(halves), true);
}

/* Every literal of this text has SECRET in it, and nothing else has. */
static const char *const secrets[] = {
	"SELECT a, 'SECRET', E'it\\'s SECRET', $$SECRET$$, $x$SECRET$y$SECRET$x$ FROM t",
	"INSERT INTO t VALUES (U&'SECRET', N'SECRET', 'it''s SECRET', e'SECRET'\n'\\'SECRET')",
	"UPDATE t SET p='SECRET\\' WHERE q='SECRET' /* 'SECRET */",
	"SELECT 'SECRET\\'SECRET' -- SECRET",
	"SELECT 1 WHERE a LIKE '\\' OR b='SECRET' OR c LIKE '\\' OR d = 'SECRET'",
	"SELECT \"col\", B'SECRET', X'SECRET' FROM \"t\" WHERE x = 0xSECRET",
};

static void a_cut_text_never_shows_a_part_of_a_literal(void **ctx)
{
	for (size_t i = 0; i < COUNT(secrets); i++) {
		size_t len = strlen(secrets[i]);

		for (size_t n = 0; n <= len; n++) {
			struct slice sql = slice__of(secrets[i], n);

			assert_null(strstr(sanitised(sql, true), "SEC"));
			assert_null(strstr(summarised(sql, true), "SEC"));
		}
		assert_null(strstr(sanitised(slice__of(secrets[i], len), false), "SEC"));
	}
}

static void an_open_quote_hides_all_behind_it(void **ctx)
{
	static const struct vector vectors[] = {
		{ "SELECT 'abc", "SELECT ?" },	      { "SELECT E'abc\\", "SELECT ?" },
		{ "SELECT $$abc", "SELECT ?" },	      { "SELECT $tag$abc$ta", "SELECT ?" },
		{ "SELECT $tag", "SELECT ?" },	      { "SELECT \"abc", "SELECT ?" },
		{ "SELECT U&'abc", "SELECT ?" },      { "SELECT 'a''", "SELECT ?" },
		{ "SELECT a, $ b", "SELECT a, $ b" }, { "", "" },
	};

	check_text(vectors, COUNT(vectors), true);
	check_text(vectors, COUNT(vectors), false);
}

static void summary_names_operations_and_targets(void **ctx)
{
	static const struct vector vectors[] = {
		{ "SELECT 7, 'x'", "SELECT" },
		{ "SELECT r2d2 FROM mp3s WHERE h2o=18", "SELECT mp3s" },
		{ "SELECT a FROM dbo.Users JOIN dbo . Roles", "SELECT dbo.Users dbo.Roles" },
		{ "INSERT INTO X VALUES(1, 2)", "INSERT X" },
		{ "SELECT * FROM table WHERE v IN (1, 2)", "SELECT table" },
		{ "SELECT c -- x\nFROM /* y */ table", "SELECT table" },
		{ "INSERT INTO archive\n(id,\nname)\nSELECT id,\nname\nFROM   live WHERE id=1",
		  "INSERT archive SELECT live" },
		{ "SELECT d\nFROM   (SELECT *\nFROM   a x\nJOIN b y ON x.i = y.i)",
		  "SELECT SELECT a b" },
		{ "SELEcT d FROM (sELECT * FROM Songs)", "SELEcT sELECT Songs" },
		{ "SELECT * FROM Songs s CROSS JOIN Artists a", "SELECT Songs Artists" },
		{ "SELECT * FROM songs s, artists AS a, \"song list\"",
		  "SELECT songs artists \"song list\"" },
		{ "CREATE  TABLE T (\n    A int\n)", "CREATE TABLE T" },
		{ "ALTER  TABLE T ADD N varchar(80)", "ALTER TABLE T" },
		{ "DROP  TABLE T", "DROP TABLE T" },
		{ "{call do_it(?)}", "call do_it" },
	};

	check_summary(vectors, COUNT(vectors));
}

static void summary_follows_the_grammar(void **ctx)
{
	static const struct vector vectors[] = {
		{ "SELECT extract(year FROM t), trim(both ' ' FROM b) FROM c", "SELECT c" },
		{ "SELECT a IS DISTINCT FROM b FROM c", "SELECT c" },
		{ "SELECT (SELECT max(x) FROM b), y FROM c", "SELECT SELECT b c" },
		{ "SELECT * FROM a, f(1, 2) g, LATERAL (SELECT 1 FROM d) e, h ORDER BY i, j",
		  "SELECT a f SELECT d h" },
		{ "SELECT * FROM (a JOIN b USING (x, y)) JOIN c ON a.i = c.i, d",
		  "SELECT a b c d" },
		{ "SELECT a FROM t GROUP BY x, y FOR UPDATE OF t", "SELECT t" },
		{ "SELECT * FROM (VALUES (1,2), (3,4)) v", "SELECT" },
		{ "SELECT a INTO TEMP x FROM y", "SELECT x y" },
		{ "(SELECT a FROM b) UNION ALL (SELECT c FROM d)", "SELECT b SELECT d" },
		{ "WITH c AS (SELECT a FROM b), d(call) AS MATERIALIZED (DELETE FROM e) "
		  "INSERT INTO f SELECT * FROM c",
		  "SELECT b DELETE e INSERT f SELECT c" },
		{ "WITH c AS (SELECT 1) UPDATE t SET x = 1 FROM c", "SELECT UPDATE t c" },
		{ "UPDATE ONLY t SET a = 1 FROM b, c WHERE d = e", "UPDATE t b c" },
		{ "DELETE FROM a USING b JOIN c USING (x)", "DELETE a b c" },
		{ "INSERT INTO t (copy, lock) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 2",
		  "INSERT t" },
		{ "MERGE INTO t USING s ON t.i = s.i WHEN MATCHED THEN UPDATE SET a = 1",
		  "MERGE t s" },
		{ "COPY t (a, b) FROM STDIN", "COPY t" },
		{ "COPY (SELECT * FROM t) TO STDOUT", "COPY SELECT t" },
		{ "TRUNCATE TABLE ONLY a, b CASCADE", "TRUNCATE TABLE a b" },
		{ "TRUNCATE a", "TRUNCATE a" },
		{ "LOCK TABLE a IN SHARE MODE", "LOCK TABLE a" },
		{ "TABLE a", "TABLE a" },
		{ "VALUES (1), (2)", "VALUES" },
		{ "CALL app.do_it(1, 'x')", "CALL app.do_it" },
		{ "EXPLAIN (ANALYZE, BUFFERS) DELETE FROM a", "EXPLAIN DELETE a" },
		{ "EXPLAIN ANALYZE UPDATE a SET b = 1", "EXPLAIN UPDATE a" },
		{ "PREPARE p (int) AS SELECT * FROM a", "PREPARE SELECT a" },
		{ "DECLARE c CURSOR WITH HOLD FOR SELECT * FROM a", "DECLARE SELECT a" },
	};

	check_summary(vectors, COUNT(vectors));
}

static void summary_of_other_statements_is_their_keyword(void **ctx)
{
	static const struct vector vectors[] = {
		{ "BEGIN ISOLATION LEVEL SERIALIZABLE", "BEGIN" },
		{ "commit", "commit" },
		{ "ROLLBACK TO SAVEPOINT s1", "ROLLBACK" },
		{ "SAVEPOINT s9_x1", "SAVEPOINT" },
		{ "SET search_path TO a, b", "SET" },
		{ "SHOW server_version", "SHOW" },
		{ "GRANT SELECT ON t TO u", "GRANT" },
		{ "LISTEN channel_77", "LISTEN" },
		{ "FETCH 100 FROM c_99", "FETCH" },
		{ "EXECUTE p_1(2)", "EXECUTE" },
		{ "VACUUM (FULL) t", "VACUUM" },
		{ "DO $$BEGIN DELETE FROM t; END$$", "DO" },
		{ "START_REPLICATION SLOT s LOGICAL 0/0", "START_REPLICATION" },
		{ "CREATE TEMP TABLE IF NOT EXISTS a AS SELECT * FROM b",
		  "CREATE TABLE a SELECT b" },
		{ "CREATE OR REPLACE VIEW v AS SELECT * FROM t", "CREATE VIEW v SELECT t" },
		{ "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)", "CREATE INDEX i" },
		{ "CREATE INDEX ON t (a)", "CREATE INDEX t" },
		{ "CREATE TABLE t (update int, fk int REFERENCES u ON DELETE CASCADE)",
		  "CREATE TABLE t" },
		{ "DROP TABLE IF EXISTS a, s.b CASCADE", "DROP TABLE a s.b" },
		{ "DROP OWNED BY u", "DROP" },
		{ "REFRESH MATERIALIZED VIEW CONCURRENTLY v", "REFRESH VIEW v" },
		{ "CREATE POLICY p ON t FOR SELECT USING (true)", "CREATE POLICY p" },
		{ "xyzzy SELECT a FROM b", "" },
		{ "'SELECT'", "" },
		{ " ;; ", "" },
		{ "", "" },
	};

	check_summary(vectors, COUNT(vectors));
}

static void several_statements_are_a_batch(void **ctx)
{
	static const struct {
		const char *sql;
		const char *summary;
		size_t statements;
	} batches[] = {
		{ "SELECT a FROM t;", "SELECT t", 1 },
		{ "; SELECT a FROM t ;; ", "SELECT t", 1 },
		{ "INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)", "BATCH INSERT t", 2 },
		{ "BEGIN; UPDATE t SET a = ';'; COMMIT;", "BATCH", 3 },
		{ "xyzzy; xyzzy", "BATCH", 2 },
		{ "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN a "
		  "THEN 1 END; SELECT 2; END; SELECT f()",
		  "BATCH", 2 },
		{ "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", "CREATE RULE r", 1 },
		{ "", "", 0 },
	};
	struct sql_summary summary;

	for (size_t i = 0; i < COUNT(batches); i++) {
		sql__read(slice__str(batches[i].sql), false, NULL, &summary);
		assert_int_equal(summary.statements, batches[i].statements);
		assert_string_equal(summarised(slice__str(batches[i].sql), false),
				    batches[i].summary);
	}
}

static void summary_is_never_cut_inside_a_name(void **ctx)
{
	char sql[2048] = "SELECT * FROM ";
	size_t len = strlen(sql);
	struct sql_summary summary;

	for (int i = 0; i < 100; i++)
		len += (size_t)snprintf(sql + len, sizeof(sql) - len, "%stable_%03d", i ? "," : "",
					i);
	sql__read(slice__of(sql, len), false, NULL, &summary);
	/* SELECT and 22 names of 9 bytes with their spaces are 226; 24 fit */
	assert_int_equal(summary.len, 6 + 24 * 10);
	assert_memory_equal(summary.text + summary.len - 9, "table_023", 9);

	memset(sql + 14, 'x', 300);
	sql__read(slice__of(sql, 314), false, NULL, &summary);
	assert_int_equal(summary.len, 6);
	memset(sql + 20, '.', 1);
	sql__read(slice__of(sql, 314), false, NULL, &summary);
	assert_int_equal(summary.len, 6);

	assert_string_equal(summarised(SLICE("SELECT a FROM b JOIN custom"), true), "SELECT b");
	assert_string_equal(summarised(SLICE("SELECT a FROM b, s.custom"), true), "SELECT b");
	assert_string_equal(summarised(SLICE("SELECT a FROM b, s."), true), "SELECT b");
	assert_string_equal(summarised(SLICE("SEL"), true), "");
}

/* -- hostile input -------------------------------------------------------------------------- */

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static void garbage_stays_within_bounds(void **ctx)
{
	static const char *const bits[] = { "'",
					    "\"",
					    "$$",
					    "$a$",
					    "\\",
					    "E'",
					    "--",
					    "/*",
					    "*/",
					    "\n",
					    "SELECT ",
					    "FROM ",
					    "(",
					    ")",
					    ",",
					    ".",
					    ";",
					    " 1e-5",
					    "\xff\x80",
					    "WITH ",
					    " a ",
					    "-",
					    "BEGIN ATOMIC ",
					    "CREATE FUNCTION f ",
					    "END ",
					    "u&\"",
					    "$",
					    "UPDATE " };
	long page = sysconf(_SC_PAGESIZE);
	char *guard = mmap(NULL, 2 * (size_t)page, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char out[512];
	uint32_t seed = 7;

	assert_ptr_not_equal(guard, MAP_FAILED);
	assert_int_equal(mprotect(guard + page, (size_t)page, PROT_NONE), 0);
	for (int round = 0; round < 4000; round++) {
		struct sql_summary summary;
		char sql[512];
		size_t len = 0;
		char *at;

		while (len < 200 && next_random(&seed) % 24) {
			const char *bit = bits[next_random(&seed) % COUNT(bits)];

			memcpy(sql + len, bit, strlen(bit));
			len += strlen(bit);
		}
		at = guard + page - len;
		memcpy(at, sql, len);
		assert_true(sql__read(slice__of(at, len), round & 1, out, &summary).len <= len);
		assert_true(summary.len <= SQL_SUMMARY_MAX);
	}
	munmap(guard, 2 * (size_t)page);
}

static void sanitising_again_changes_nothing(void **ctx)
{
	for (size_t i = 0; i < COUNT(secrets); i++) {
		char once[512];

		snprintf(once, sizeof(once), "%s", sanitised(slice__str(secrets[i]), false));
		assert_string_equal(sanitised(slice__str(once), false), once);
	}
}

static void keywords_are_found_in_any_case(void **ctx)
{
	assert_int_equal(sql__roles(SLICE("select")), VERB_SELECT);
	assert_int_equal(sql__roles(SLICE("With")), VERB_HIDDEN);
	assert_int_equal(sql__roles(SLICE("selec")), 0);
	assert_int_equal(sql__roles(SLICE("_x")), 0);
	assert_int_equal(sql__roles(SLICE("")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_with_their_sign_are_literals),
		cmocka_unit_test(names_are_kept),
		cmocka_unit_test(strings_are_literals),
		cmocka_unit_test(true_and_false_are_values_but_not_tests),
		cmocka_unit_test(comments_are_removed),
		cmocka_unit_test(backslashes_are_read_so_that_the_text_is_whole),
		cmocka_unit_test(a_cut_text_never_shows_a_part_of_a_literal),
		cmocka_unit_test(an_open_quote_hides_all_behind_it),
		cmocka_unit_test(summary_names_operations_and_targets),
		cmocka_unit_test(summary_follows_the_grammar),
		cmocka_unit_test(summary_of_other_statements_is_their_keyword),
		cmocka_unit_test(several_statements_are_a_batch),
		cmocka_unit_test(summary_is_never_cut_inside_a_name),
		cmocka_unit_test(garbage_stays_within_bounds),
		cmocka_unit_test(sanitising_again_changes_nothing),
		cmocka_unit_test(keywords_are_found_in_any_case),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
