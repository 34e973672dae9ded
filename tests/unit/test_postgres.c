// SPDX-License-Identifier: Apache-2.0
/* The PostgreSQL parser and its queue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/postgres_talk.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct line {
	enum direction dir;
	struct slice bytes;
};

/* The same conversation whole and in pieces of every size gives the same transactions. */
static void converse(const struct line *lines, size_t count, const char *expected)
{
	static struct pg_talk t;

	for (size_t step = 0; step < 40; step++) {
		pg_talk__open(&t);
		t.step = step;
		for (size_t i = 0; i < count; i++)
			pg_talk__say(&t, lines[i].dir, lines[i].bytes);
		pg_talk__expect(&t, expected);
		assert_int_equal(t.count, 0);
		pg_talk__close(&t);
	}
}

#define CONVERSE(lines, expected) converse(lines, COUNT(lines), expected)

/* -- the login ------------------------------------------------------------------------------ */

static void a_login_is_quiet_and_its_secrets_are_not_read(void **ctx)
{
	const struct line lines[] = {
		{ TO_SERVER, SLICE(SSL_REQUEST) },
		{ TO_CLIENT, SLICE("N") },
		{ TO_SERVER, SLICE(STARTUP) },
		{ TO_CLIENT, PG('R', "\0\0\0\5abcd") },
		{ TO_SERVER, PG('p', "secret\0") },
		{ TO_CLIENT, PG('R', "\0\0\0\0") },
		{ TO_CLIENT, PG('S', "a\0b\0") },
		{ TO_CLIENT, PG('K', "\0\0\0\1\0\0\0\2") },
		{ TO_CLIENT, READY },
		{ TO_SERVER, PG('X', "") },
	};

	CONVERSE(lines, "- quiet\n");
}

static void a_refused_login_fails(void **ctx)
{
	const struct line lines[] = {
		{ TO_SERVER, SLICE(STARTUP) },
		{ TO_CLIENT, PG('E', "SFATAL\0VFATAL\0C28P01\0Mno\0\0") },
	};

	CONVERSE(lines, "- status=28P01 failed quiet\n");
}

static void tls_ends_the_protocol(void **ctx)
{
	const struct line tls[] = { { TO_SERVER, SLICE(SSL_REQUEST) }, { TO_CLIENT, SLICE("S") } };
	const struct line gss[] = { { TO_SERVER, SLICE("\0\0\0\x08\x04\xd2\x16\x30") },
				    { TO_CLIENT, SLICE("G") } };
	const struct line cancel[] = { { TO_SERVER,
					 SLICE("\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\1\0\0\0\2") } };

	CONVERSE(tls, "tls\n");
	CONVERSE(gss, "tls\n");
	CONVERSE(cancel, "");
}

static void the_database_is_that_of_the_login(void **ctx)
{
	static const struct {
		struct slice packet;
		const char *database;
	} logins[] = {
		{ SLICE(STARTUP), "shop" },
		{ SLICE("\0\0\0\x13\0\3\0\0user\0anna\0\0"), "anna" },
		{ SLICE("\0\0\0\x16\0\3\0\2database\0shop\0\0"), "shop" },
		{ SLICE("\0\0\0\x09\0\3\0\0\0"), "" },
		{ SLICE("\0\0\0\x10\0\3\0\0user\0ann"), "" }, /* no end */
	};
	static struct pg_talk t;

	for (size_t i = 0; i < COUNT(logins); i++) {
		pg_talk__open(&t);
		pg_talk__say(&t, TO_SERVER, logins[i].packet);
		assert_int_equal(t.state->database_len, strlen(logins[i].database));
		assert_memory_equal(t.state->database, logins[i].database, t.state->database_len);
		pg_talk__close(&t);
	}
}

/* -- the simple protocol -------------------------------------------------------------------- */

static void a_query_ends_when_the_server_is_ready(void **ctx)
{
	const struct line lines[] = {
		{ TO_SERVER, PG('Q', "SELECT a\0") },
		{ TO_CLIENT, COLUMNS },
		{ TO_CLIENT, ROW },
		{ TO_CLIENT, PG('N', "SNOTICE\0C00000\0\0") },
		{ TO_CLIENT, ROW },
		{ TO_CLIENT, PG('C', "SELECT 2\0") },
		{ TO_CLIENT, READY },
		{ TO_CLIENT, PG('A', "\0\0\0\1chan\0payload\0") },
		{ TO_SERVER, PG('Q', "INSERT b; UPDATE c; SHOW d\0") },
		{ TO_CLIENT, PG('C', "INSERT 0 3\0") },
		{ TO_CLIENT, PG('C', "UPDATE 4\0") },
		{ TO_CLIENT, COLUMNS },
		{ TO_CLIENT, ROW },
		{ TO_CLIENT, PG('C', "SHOW\0") },
		{ TO_CLIENT, READY },
		{ TO_SERVER, PG('Q', "\0") },
		{ TO_CLIENT, PG('I', "") },
		{ TO_CLIENT, READY },
		{ TO_SERVER, PG('Q', "SELECT 1 INTO x\0") },
		{ TO_CLIENT, PG('C', "SELECT 1\0") },
		{ TO_CLIENT, READY },
	};

	CONVERSE(lines, "SELECT a rows=2\nINSERT b; UPDATE c; SHOW d rows=1 commands=3\n\n"
			"SELECT 1 INTO x\n");
}

static void errors_have_a_status(void **ctx)
{
	const struct line lines[] = {
		{ TO_SERVER, PG('Q', "INSERT a; SELECT b\0") },
		{ TO_CLIENT, PG('C', "INSERT 0 1\0") },
		{ TO_CLIENT, ERROR },
		{ TO_CLIENT, READY },
		{ TO_SERVER, PG('Q', "SELECT c\0") },
		{ TO_CLIENT, PG('E', "SFATAL\0C57P01\0Mbye\0\0") },
		/* of nobody's request */
		{ TO_CLIENT, PG('E', "SFATAL\0C57P01\0Mbye\0\0") },
	};

	CONVERSE(lines, "INSERT a; SELECT b status=23505 failed\nSELECT c status=57P01 failed\n");
}

static void copies_and_functions_are_queries(void **ctx)
{
	const struct line lines[] = {
		{ TO_SERVER, PG('Q', "COPY t FROM STDIN\0") },
		{ TO_CLIENT, PG('G', "\0\0\1\0\0") },
		{ TO_SERVER, PG('d', "secret\n") },
		{ TO_SERVER, PG('d', "more\n") },
		{ TO_SERVER, PG('c', "") },
		{ TO_CLIENT, PG('C', "COPY 2\0") },
		{ TO_CLIENT, READY },
		{ TO_SERVER, PG('Q', "COPY t TO STDOUT\0") },
		{ TO_CLIENT, PG('H', "\0\0\1\0\0") },
		{ TO_CLIENT, PG('d', "secret\n") },
		{ TO_CLIENT, PG('c', "") },
		{ TO_CLIENT, PG('C', "COPY 1\0") },
		{ TO_CLIENT, READY },
		{ TO_SERVER, PG('F', "\0\0\0\1\0\0\0\0\0\0") },
		{ TO_CLIENT, PG('V', "\0\0\0\0") },
		{ TO_CLIENT, READY },
		{ TO_SERVER, PG('Q', "START_REPLICATION x\0") },
		{ TO_CLIENT, PG('W', "\0\0\0") },
		{ TO_CLIENT, PG('d', "wal") },
		{ TO_SERVER, PG('d', "status") },
		{ TO_CLIENT, PG('c', "") },
		{ TO_SERVER, PG('c', "") },
		{ TO_CLIENT, PG('C', "COPY 0\0") },
		{ TO_CLIENT, READY },
	};

	CONVERSE(lines, "COPY t FROM STDIN\nCOPY t TO STDOUT\n-\nSTART_REPLICATION x\n");
}

/* -- the extended protocol ------------------------------------------------------------------ */

static void statements_are_remembered(void **ctx)
{
	const struct line lines[] = {
		{ TO_SERVER, PG('P', "s1\0SELECT a\0\0\0") },
		{ TO_SERVER, PG('D', "Ss1\0") },
		{ TO_SERVER, SYNC },
		{ TO_CLIENT, PG('1', "") },
		{ TO_CLIENT, PG('t', "\0\0") },
		{ TO_CLIENT, COLUMNS },
		{ TO_CLIENT, READY },
		{ TO_SERVER, PG('B', "p1\0s1\0\0\0\0\0\0\0") },
		{ TO_SERVER, PG('E', "p1\0\0\0\0\1") },
		{ TO_SERVER, SYNC },
		{ TO_CLIENT, PG('2', "") },
		{ TO_CLIENT, ROW },
		{ TO_CLIENT, PG('s', "") },
		{ TO_CLIENT, READY },
		{ TO_SERVER, PG('E', "p1\0\0\0\0\0") },
		{ TO_SERVER, PG('C', "Ss1\0") },
		{ TO_SERVER, SYNC },
		{ TO_CLIENT, ROW },
		{ TO_CLIENT, ROW },
		{ TO_CLIENT, PG('C', "SELECT 2\0") },
		{ TO_CLIENT, PG('3', "") },
		{ TO_CLIENT, READY },
		/* closed, and one that was prepared before we came */
		{ TO_SERVER, PG('B', "\0s1\0\0\0\0\0\0\0") },
		{ TO_SERVER, EXECUTE },
		{ TO_SERVER, SYNC },
		{ TO_CLIENT, PG('2', "") },
		{ TO_CLIENT, PG('C', "UPDATE 1\0") },
		{ TO_CLIENT, READY },
	};

	CONVERSE(lines, "SELECT a quiet\nSELECT a rows=1\nSELECT a rows=2\n\n");
}

static void each_execute_of_a_pipeline_has_its_answer(void **ctx)
{
	const struct line lines[] = {
		{ TO_SERVER, PG('P', "\0SELECT a\0\0\0") },
		{ TO_SERVER, BIND },
		{ TO_SERVER, PG('D', "P\0") },
		{ TO_SERVER, EXECUTE },
		{ TO_SERVER, PG('P', "\0SELECT b\0\0\0") },
		{ TO_SERVER, BIND },
		{ TO_SERVER, EXECUTE },
		{ TO_SERVER, BIND },
		{ TO_SERVER, EXECUTE },
		{ TO_SERVER, SYNC },
		{ TO_SERVER, SYNC },
		{ TO_SERVER, PG('Q', "SELECT c\0") },
		{ TO_CLIENT, PG('1', "") },
		{ TO_CLIENT, PG('2', "") },
		{ TO_CLIENT, COLUMNS },
		{ TO_CLIENT, PG('C', "SELECT 0\0") },
		{ TO_CLIENT, PG('1', "") },
		{ TO_CLIENT, PG('2', "") },
		{ TO_CLIENT, ROW },
		{ TO_CLIENT, PG('C', "SELECT 1\0") },
		{ TO_CLIENT, PG('2', "") },
		{ TO_CLIENT, PG('C', "UPDATE 7\0") },
		{ TO_CLIENT, READY },
		{ TO_CLIENT, READY },
		{ TO_CLIENT, COLUMNS },
		{ TO_CLIENT, PG('C', "SELECT 0\0") },
		{ TO_CLIENT, READY },
	};

	CONVERSE(lines, "SELECT a rows=0\nSELECT b rows=1\nSELECT b\nSELECT c rows=0\n");
}

static void an_error_cancels_what_stands_before_the_sync(void **ctx)
{
	const struct line lines[] = {
		{ TO_SERVER, PG('P', "\0SELECT a\0\0\0") },
		{ TO_SERVER, BIND },
		{ TO_SERVER, EXECUTE },
		{ TO_SERVER, BIND },
		{ TO_SERVER, EXECUTE },
		{ TO_SERVER, BIND },
		{ TO_SERVER, EXECUTE },
		{ TO_SERVER, PG('P', "\0SELECT b\0\0\0") },
		{ TO_SERVER, SYNC },
		{ TO_SERVER, PG('P', "\0SELECT c\0\0\0") },
		{ TO_SERVER, BIND },
		{ TO_SERVER, EXECUTE },
		{ TO_SERVER, SYNC },
		{ TO_CLIENT, PG('1', "") },
		{ TO_CLIENT, PG('2', "") },
		{ TO_CLIENT, PG('C', "SELECT 0\0") },
		{ TO_CLIENT, PG('2', "") },
		{ TO_CLIENT, ERROR },
		{ TO_CLIENT, READY },
		{ TO_CLIENT, PG('1', "") },
		{ TO_CLIENT, PG('2', "") },
		{ TO_CLIENT, PG('C', "SELECT 0\0") },
		{ TO_CLIENT, READY },
	};

	CONVERSE(lines, "SELECT a rows=0\nSELECT a status=23505 failed\ncancelled: SELECT a\n"
			"cancelled: SELECT b quiet\nSELECT c rows=0\n");
}

static void an_error_of_the_last_one_cancels_nothing(void **ctx)
{
	const struct line lines[] = {
		{ TO_SERVER, BIND },
		{ TO_SERVER, EXECUTE },
		{ TO_SERVER, SYNC },
		{ TO_SERVER, BIND },
		{ TO_SERVER, EXECUTE },
		{ TO_SERVER, SYNC },
		{ TO_CLIENT, ERROR },
		{ TO_CLIENT, READY },
		{ TO_CLIENT, PG('2', "") },
		{ TO_CLIENT, PG('C', "DO\0") },
		{ TO_CLIENT, ERROR },
		{ TO_CLIENT, READY },
		{ TO_SERVER, PG('P', "\0x\0\0\0") },
		{ TO_SERVER, PG('D', "S\0") },
		{ TO_SERVER, SYNC },
		{ TO_CLIENT, ERROR },
		{ TO_CLIENT, READY },
		{ TO_SERVER, PG('Q', "SELECT c\0") },
		{ TO_CLIENT, PG('C', "SELECT 0\0") },
		{ TO_CLIENT, READY },
	};

	CONVERSE(lines, " status=23505 failed\n status=23505 failed\nx status=23505 failed quiet\n"
			"SELECT c rows=0\n");
}

/* The client learns of the error before it sends its Sync. */
static void requests_between_an_error_and_the_sync_are_not_done(void **ctx)
{
	const struct line lines[] = {
		{ TO_SERVER, PG('P', "\0SELECT a\0\0\0") },
		{ TO_SERVER, BIND },
		{ TO_SERVER, EXECUTE },
		{ TO_SERVER, PG('P', "s\0SELECT b\0\0\0") },
		{ TO_SERVER, PG('H', "") },
		{ TO_SERVER, BIND },
		{ TO_CLIENT, PG('1', "") },
		{ TO_CLIENT, ERROR },
		{ TO_SERVER, EXECUTE },
		{ TO_SERVER, PG('P', "s\0SELECT d\0\0\0") },
		{ TO_SERVER, PG('B', "\0s\0\0\0\0\0\0\0") },
		{ TO_SERVER, EXECUTE },
		{ TO_SERVER, SYNC },
		{ TO_CLIENT, READY },
		{ TO_SERVER, PG('Q', "SELECT c\0") },
		{ TO_CLIENT, PG('C', "SELECT 0\0") },
		{ TO_CLIENT, READY },
	};

	CONVERSE(lines, "SELECT a status=23505 failed\ncancelled: SELECT b quiet\n"
			"cancelled: -\nSELECT c rows=0\n");
}

static void a_flush_ends_what_is_only_prepared(void **ctx)
{
	const struct line lines[] = {
		{ TO_SERVER, PG('P', "s\0SELECT a\0\0\0") },
		{ TO_SERVER, PG('D', "Ss\0") },
		{ TO_SERVER, PG('H', "") },
		{ TO_CLIENT, PG('1', "") },
		{ TO_CLIENT, PG('t', "\0\0") },
		{ TO_CLIENT, COLUMNS },
		{ TO_SERVER, PG('B', "\0s\0\0\0\0\0\0\0") },
		{ TO_SERVER, EXECUTE },
		{ TO_SERVER, PG('H', "") },
		{ TO_CLIENT, PG('2', "") },
		{ TO_CLIENT, ROW },
		{ TO_CLIENT, PG('C', "SELECT 1\0") },
		{ TO_SERVER, SYNC },
		{ TO_CLIENT, READY },
	};

	CONVERSE(lines, "SELECT a quiet\nSELECT a rows=1\n");
}

static void a_batch_of_any_size_is_followed(void **ctx)
{
	static struct pg_talk t;
	size_t done = 0;

	pg_talk__open(&t);
	for (int i = 0; i < 400; i++) {
		pg_talk__say(&t, TO_SERVER, BIND);
		pg_talk__say(&t, TO_SERVER, EXECUTE);
	}
	pg_talk__say(&t, TO_SERVER, SYNC);
	assert_int_equal(t.count, 400);
	for (int i = 0; i < 400; i++) {
		pg_talk__say(&t, TO_CLIENT, PG('2', ""));
		pg_talk__say(&t, TO_CLIENT, PG('C', "INSERT 0 1\0"));
	}
	assert_int_equal(t.count, 1); /* the last waits for ReadyForQuery */
	pg_talk__say(&t, TO_CLIENT, READY);
	for (const char *at = t.log; (at = strchr(at, '\n')); at++)
		done++;
	assert_int_equal(done, 400);
	pg_talk__close(&t);
}

static void what_does_not_fit_the_queue_does_not_break_it(void **ctx)
{
	static struct pg_talk t;
	size_t answered = 0;

	pg_talk__open(&t);
	/* no two neighbours are alike */
	for (int i = 0; i < 100; i++) {
		pg_talk__say(&t, TO_SERVER, PG('Q', "SELECT a\0"));
		pg_talk__say(&t, TO_SERVER, BIND);
		pg_talk__say(&t, TO_SERVER, EXECUTE);
		pg_talk__say(&t, TO_SERVER, SYNC);
	}
	for (int i = 0; i < 100; i++) {
		pg_talk__say(&t, TO_CLIENT, PG('C', "SELECT 0\0"));
		pg_talk__say(&t, TO_CLIENT, READY);
		pg_talk__say(&t, TO_CLIENT, PG('2', ""));
		pg_talk__say(&t, TO_CLIENT, PG('C', "UPDATE 1\0"));
		pg_talk__say(&t, TO_CLIENT, READY);
	}
	assert_int_equal(t.count, 0);
	assert_null(strstr(t.log, "!"));
	for (const char *at = t.log; (at = strchr(at, '\n')); at++)
		answered++;
	assert_true(answered >= 60);
	/* and all is as before */
	t.log_len = 0;
	pg_talk__say(&t, TO_SERVER, PG('Q', "SELECT b\0"));
	pg_talk__say(&t, TO_CLIENT, PG('C', "SELECT 0\0"));
	pg_talk__say(&t, TO_CLIENT, READY);
	pg_talk__expect(&t, "SELECT b rows=0\n");
	pg_talk__close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_login_is_quiet_and_its_secrets_are_not_read),
		cmocka_unit_test(a_refused_login_fails),
		cmocka_unit_test(tls_ends_the_protocol),
		cmocka_unit_test(the_database_is_that_of_the_login),
		cmocka_unit_test(a_query_ends_when_the_server_is_ready),
		cmocka_unit_test(errors_have_a_status),
		cmocka_unit_test(copies_and_functions_are_queries),
		cmocka_unit_test(statements_are_remembered),
		cmocka_unit_test(each_execute_of_a_pipeline_has_its_answer),
		cmocka_unit_test(an_error_cancels_what_stands_before_the_sync),
		cmocka_unit_test(an_error_of_the_last_one_cancels_nothing),
		cmocka_unit_test(requests_between_an_error_and_the_sync_are_not_done),
		cmocka_unit_test(a_flush_ends_what_is_only_prepared),
		cmocka_unit_test(a_batch_of_any_size_is_followed),
		cmocka_unit_test(what_does_not_fit_the_queue_does_not_break_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
