// SPDX-License-Identifier: Apache-2.0
/* The PostgreSQL parser, its queue, its answers to gaps, and the classifier. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/postgres_talk.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define STARTUP	     "\0\0\0\x21\0\3\0\0user\0anna\0database\0shop\0\0"
#define SSL_REQUEST  "\0\0\0\x08\x04\xd2\x16\x2f"
#define READY	     PG('Z', "I")
#define SYNC	     PG('S', "")
#define ERROR	     PG('E', "SERROR\0VERROR\0C23505\0Mduplicate key (secret)\0\0")
#define ROW	     PG('D', "\0\1\0\0\0\1x")
#define COLUMNS	     PG('T', "\0\1a\0\0\0\0\0\0\0\0\0\0\x19\0\0\xff\xff\xff\xff\0\0")
#define BIND	     PG('B', "\0\0\0\0\0\1\0\0\0\1x\0\0")
#define EXECUTE	     PG('E', "\0\0\0\0\0")

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

/* -- bytes that are missing or wrong -------------------------------------------------------- */

static ssize_t first_words(enum direction dir, struct slice bytes, bool cut, struct message *m)
{
	static struct postgres_state state;
	struct parse_input in = { .dir = dir, .bytes = bytes, .cut = cut };

	memset(&state, 0, sizeof(state));
	memset(m, 0, sizeof(*m));
	return protocol_postgres.parse(&state, &in, m);
}

static void roles_and_protocol_are_told_by_the_first_bytes(void **ctx)
{
	struct message m;

	assert_int_equal(first_words(TO_SERVER, COLUMNS, false, &m), -EPROTO);
	assert_int_equal(first_words(TO_SERVER, PG('C', "SELECT 1\0"), false, &m), -EPROTO);
	assert_int_equal(first_words(TO_SERVER, ROW, false, &m), -EPROTO);
	assert_int_equal(first_words(TO_SERVER, ERROR, false, &m), -EPROTO);
	assert_int_equal(first_words(TO_CLIENT, PG('Q', "SELECT 1\0"), false, &m), -EPROTO);
	assert_int_equal(first_words(TO_CLIENT, SYNC, false, &m), -EPROTO);
	assert_int_equal(first_words(TO_CLIENT, PG('C', "Ss1\0"), false, &m), -EPROTO);
	assert_int_equal(first_words(TO_SERVER, SLICE("GET / HTTP/1.1\r\n"), false, &m), -EBADMSG);
	assert_int_equal(first_words(TO_CLIENT, SLICE("HTTP/1.1 200 OK"), false, &m), -EBADMSG);
	assert_int_equal(first_words(TO_SERVER, SLICE("\x16\x03\x01\2\0\1"), false, &m), -EBADMSG);
	assert_int_equal(first_words(TO_SERVER, SLICE("*1\r\n$4\r\nPING\r\n"), false, &m),
			 -EBADMSG);
	assert_int_equal(first_words(TO_SERVER, SLICE("\0\0\0\x08\1\2\3\4"), false, &m), -EBADMSG);
	assert_int_equal(first_words(TO_SERVER, PG('Q', "a\0b\0"), false, &m), -EBADMSG);
	assert_int_equal(first_words(TO_SERVER, SLICE("Q\0\0"), false, &m), 0);
}

static void a_cut_message_says_what_is_known(void **ctx)
{
	struct message m;

	assert_int_equal(first_words(TO_SERVER, SLICE("Q\0\0\1\0SELECT 'se"), true, &m), 15);
	assert_int_equal(m.skip, 257 - 15);
	assert_int_equal(m.flags, MESSAGE_BEGIN | MESSAGE_END | MESSAGE_TRUNCATED);
	assert_int_equal(m.field[POSTGRES_QUERY].len, 10);

	assert_int_equal(first_words(TO_SERVER, SLICE("P\0\1\0\0s1\0SELECT 'se"), true, &m), 18);
	assert_true(m.flags & MESSAGE_TRUNCATED);
	assert_int_equal(m.memo.op, MEMO_DEFINE);

	assert_int_equal(first_words(TO_SERVER, SLICE("B\0\1\0\0po"), true, &m), 7);
	assert_int_equal(m.skip, 65537 - 7);
	assert_int_equal(m.memo.op, MEMO_NONE);

	assert_int_equal(first_words(TO_CLIENT, SLICE("C\0\0\0\x0dSEL"), true, &m), 8);
	assert_int_equal(m.skip, 6);
}

static void large_values_need_not_be_there(void **ctx)
{
	struct message m;

	assert_int_equal(first_words(TO_SERVER, SLICE("B\0\x10\0\0\0s\0\0\0\0\1\0"), false, &m),
			 13);
	assert_int_equal(m.skip, (16 << 16) + 1 - 13);
	assert_int_equal(m.memo.op, MEMO_ALIAS);
	assert_int_equal(first_words(TO_CLIENT, SLICE("D\0\x10\0\0\0\1"), false, &m), 7);
	assert_int_equal(m.skip, (16 << 16) + 1 - 7);
}

static size_t resync(struct pg_talk *t, enum direction dir, struct slice in)
{
	return protocol_postgres.resync(t->state, dir, in);
}

static struct slice join(char *out, const struct slice *parts, size_t count)
{
	size_t len = 0;

	for (size_t i = 0; i < count; i++) {
		memcpy(out + len, parts[i].data, parts[i].len);
		len += parts[i].len;
	}
	return slice__of(out, len);
}

static void a_long_answer_is_found_again_at_its_end(void **ctx)
{
	const struct slice parts[] = { SLICE("zzD\0\1zz"), PG('C', "SELECT 900\0"), READY };
	static struct pg_talk t;
	char buffer[256];
	struct slice in = join(buffer, parts, COUNT(parts));

	pg_talk__open(&t);
	pg_talk__say(&t, TO_SERVER, PG('Q', "SELECT a\0"));
	pg_talk__say(&t, TO_CLIENT, COLUMNS);
	assert_int_equal(resync(&t, TO_CLIENT, SLICE("xxxxxxxxxxxx")), 12);
	assert_int_equal(resync(&t, TO_CLIENT, in), parts[0].len);
	pg_talk__say(&t, TO_CLIENT, slice__skip(in, parts[0].len));
	pg_talk__expect(&t, "SELECT a rows=900 truncated\n");
	pg_talk__close(&t);
}

static void behind_lost_requests_a_sync_is_waited_for(void **ctx)
{
	const struct slice parts[] = { SLICE("\1x\0\0"), EXECUTE, BIND, EXECUTE, SYNC };
	static struct pg_talk t;
	char buffer[256];
	struct slice in = join(buffer, parts, COUNT(parts));
	size_t at;

	pg_talk__open(&t);
	pg_talk__say(&t, TO_SERVER, PG('P', "\0SELECT a\0\0\0"));
	pg_talk__say(&t, TO_SERVER, BIND);
	pg_talk__say(&t, TO_SERVER, EXECUTE);
	at = resync(&t, TO_SERVER, in);
	assert_int_equal(at, in.len - SYNC.len);
	pg_talk__say(&t, TO_SERVER, slice__skip(in, at));
	pg_talk__say(&t, TO_CLIENT, PG('C', "SELECT 0\0"));
	/* of requests that were not seen */
	pg_talk__say(&t, TO_CLIENT, PG('C', "UPDATE 1\0"));
	pg_talk__say(&t, TO_CLIENT, PG('C', "UPDATE 2\0"));
	pg_talk__say(&t, TO_CLIENT, READY);
	pg_talk__expect(&t, "SELECT a rows=0\n");
	/* now all is answered: the next message will do */
	assert_int_equal(resync(&t, TO_SERVER, in), parts[0].len);
	pg_talk__close(&t);
}

static void an_answer_behind_a_gap_without_a_request_has_none(void **ctx)
{
	static struct pg_talk t;

	pg_talk__open(&t);
	assert_int_equal(resync(&t, TO_CLIENT, SLICE("no message")), 10);
	pg_talk__say(&t, TO_SERVER, PG('Q', "SELECT a\0"));
	assert_int_equal(resync(&t, TO_CLIENT, PG('C', "SELECT 0\0")), 0);
	pg_talk__say(&t, TO_CLIENT, PG('C', "SELECT 0\0"));
	pg_talk__say(&t, TO_CLIENT, READY);
	pg_talk__expect(&t, "SELECT a rows=0\n");
	pg_talk__close(&t);
}

/* -- hostile bytes -------------------------------------------------------------------------- */

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* Messages of both sides, some of them broken, against the end of a page. */
static void garbage_stays_within_bounds(void **ctx)
{
	static const char tags[] = "QPBDECSHXFdcfpTZKRNAGWVI123nstv\0";
	long page = sysconf(_SC_PAGESIZE);
	char *guard = mmap(NULL, 2 * (size_t)page, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	static struct pg_talk t;
	uint32_t seed = 3;

	assert_ptr_not_equal(guard, MAP_FAILED);
	assert_int_equal(mprotect(guard + page, (size_t)page, PROT_NONE), 0);
	pg_talk__open(&t);
	for (int round = 0; round < 60000; round++) {
		enum direction dir = next_random(&seed) & 1 ? TO_SERVER : TO_CLIENT;
		size_t len = 1 + next_random(&seed) % 40;
		char *at = guard + page - len;
		struct message m = { .type = MESSAGE_NONE };
		struct parse_input in = { .dir = dir, .bytes = slice__of(at, len) };
		ssize_t used;

		for (size_t i = 0; i < len; i++)
			at[i] = next_random(&seed) % 3 ? (char)next_random(&seed) : '\0';
		at[0] = tags[next_random(&seed) % COUNT(tags)];
		if (len > 5 && next_random(&seed) % 4)
			memcpy(at + 1, "\0\0\0", 3), at[4] = (char)(len - next_random(&seed) % 3);
		in.cut = next_random(&seed) & 1;
		if (next_random(&seed) % 8 == 0) {
			assert_true(resync(&t, dir, in.bytes) <= len);
			continue;
		}
		used = protocol_postgres.parse(t.state, &in, &m);
		assert_true(used <= (ssize_t)len);
	}
	pg_talk__close(&t);
	munmap(guard, 2 * (size_t)page);
}

/* A search for messages must not cost the square of what is searched. */
static void a_search_ends(void **ctx)
{
	static char flood[256 * 1024];
	static struct pg_talk t;

	for (size_t i = 0; i + 5 <= sizeof(flood); i += 5)
		memcpy(flood + i, "c\0\0\0\4", 5);
	flood[sizeof(flood) - 1] = 'x';
	flood[sizeof(flood) - 2] = 'x';
	flood[sizeof(flood) - 7] = 'x';
	pg_talk__open(&t);
	assert_true(resync(&t, TO_CLIENT, slice__of(flood, sizeof(flood))) <= sizeof(flood));
	assert_true(resync(&t, TO_SERVER, slice__of(flood, sizeof(flood))) <= sizeof(flood));
	pg_talk__close(&t);
}

/* -- the classifier ------------------------------------------------------------------------- */

static enum match classify(struct slice bytes, size_t size)
{
	__u8 head[POSTGRES_HEAD] = { 0 };
	size_t len = bytes.len < sizeof(head) ? bytes.len : sizeof(head);

	memcpy(head, bytes.data, len);
	return classify_postgres(head, (__u32)len, (__u32)size, 0);
}

static enum match classify_whole(struct slice bytes)
{
	return classify(bytes, bytes.len);
}

static void first_bytes_tell_who_speaks(void **ctx)
{
	const struct slice batch[] = { BIND, EXECUTE, SYNC };
	const struct slice rows[] = { PG('2', ""), ROW, PG('C', "SELECT 1\0"), READY };
	char buffer[256];

	assert_int_equal(classify_whole(SLICE(STARTUP)), MATCH_REQUEST);
	assert_int_equal(classify_whole(SLICE(SSL_REQUEST)), MATCH_REQUEST);
	assert_int_equal(classify_whole(SLICE("\0\0\0\x08\x04\xd2\x16\x30")), MATCH_REQUEST);
	assert_int_equal(classify_whole(SLICE("\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\1\0\0\0\2")),
			 MATCH_REQUEST);
	assert_int_equal(classify_whole(SLICE("\0\0\0\x13\0\3\0\2user\0anna\0\0")), MATCH_REQUEST);
	assert_int_equal(classify_whole(PG('Q', "SELECT 1\0")), MATCH_REQUEST);
	assert_int_equal(classify_whole(PG('Q', "\0")), MATCH_REQUEST);
	assert_int_equal(classify_whole(SYNC), MATCH_REQUEST);
	assert_int_equal(classify_whole(PG('X', "")), MATCH_REQUEST);
	assert_int_equal(classify_whole(EXECUTE), MATCH_REQUEST);
	assert_int_equal(classify_whole(PG('D', "Ss1\0")), MATCH_REQUEST);
	assert_int_equal(classify_whole(PG('C', "Ss1\0")), MATCH_REQUEST);
	assert_int_equal(classify_whole(join(buffer, batch, 3)), MATCH_REQUEST);
	assert_int_equal(classify_whole(PG('C', "SELECT 1\0")), MATCH_RESPONSE);
	assert_int_equal(classify_whole(PG('C', "DO\0")), MATCH_RESPONSE);
	assert_int_equal(classify_whole(ERROR), MATCH_RESPONSE);
	assert_int_equal(classify_whole(COLUMNS), MATCH_RESPONSE);
	assert_int_equal(classify_whole(READY), MATCH_RESPONSE);
	assert_int_equal(classify_whole(join(buffer, rows, 4)), MATCH_RESPONSE);
	assert_int_equal(classify_whole(PG('R', "\0\0\0\0")), MATCH_RESPONSE);
	assert_int_equal(classify_whole(PG('d', "copy data")), MATCH_EITHER);
	assert_int_equal(classify_whole(PG('c', "")), MATCH_EITHER);
	/* more than is sent at once */
	assert_int_equal(classify(SLICE("Q\0\1\0\0INSERT INTO t VALUES ("), 8192), MATCH_REQUEST);
	assert_int_equal(classify(SLICE("B\0\1\0\0\0s1\0\0\0\0\1\0"), 8192), MATCH_REQUEST);
	assert_int_equal(classify(SLICE("D\0\1\0\0\0\1\0\0\xff\0abc"), 8192), MATCH_RESPONSE);
	assert_int_equal(classify(SLICE("2\0\0\0\4D\0\1\0\0\0\1\0\0\xff\0abc"), 8192),
			 MATCH_NONE); /* one small message says too little */
	assert_int_equal(classify(SLICE("1\0\0\0\4"
					"2\0\0\0\4D\0\1\0\0\0\1\0"),
				  8192),
			 MATCH_RESPONSE);
}

static void other_protocols_are_not_ours(void **ctx)
{
	static const struct slice others[] = {
		SLICE("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
		SLICE("POST /x HTTP/1.1\r\n"),
		SLICE("DELETE /x HTTP/1.1\r\n"),
		SLICE("CONNECT a:443 HTTP/1.1\r\n"),
		SLICE("HTTP/1.1 200 OK\r\n\r\n"),
		SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
		SLICE("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
		SLICE("\x17\x03\x03\x00\x20"),
		SLICE("*1\r\n$4\r\nPING\r\n"),
		SLICE("+PONG\r\n"),
		SLICE(":1\r\n"),
		SLICE("SSH-2.0-OpenSSH_9.2\r\n"),
		SLICE("EHLO example.com\r\n"),
		SLICE("QUIT\r\n"),
		SLICE("\x4a\0\0\0\x0a"
		      "8.0.36\0"),					 /* MySQL */
		SLICE("\0\0\0\x23\0\3\0\x09\0\0\0\1\0\7kafka-x\0"),	 /* Kafka */
		SLICE("\0\0\x12\4\0\0\0\0\0\0\3\0\0\0\x80\0\4\0\1\0\0"), /* HTTP/2 */
		SLICE("C\0\0\0\4"),
		SLICE("Q\0\0\0"),
		SLICE("Z\0\0\0\5x"),
		SLICE("\0\0\0\0\0\0\0\0\0\0\0\0"),
	};

	for (size_t i = 0; i < COUNT(others); i++)
		assert_int_equal(classify_whole(others[i]), MATCH_NONE);
}

static void random_bytes_are_not_ours(void **ctx)
{
	uint32_t seed = 11;
	int matches = 0;

	for (int round = 0; round < 200000; round++) {
		char bytes[POSTGRES_HEAD];

		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (char)next_random(&seed);
		matches += classify(slice__of(bytes, sizeof(bytes)), 1400) != MATCH_NONE;
	}
	assert_in_range(matches, 0, 2);
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
		cmocka_unit_test(roles_and_protocol_are_told_by_the_first_bytes),
		cmocka_unit_test(a_cut_message_says_what_is_known),
		cmocka_unit_test(large_values_need_not_be_there),
		cmocka_unit_test(a_long_answer_is_found_again_at_its_end),
		cmocka_unit_test(behind_lost_requests_a_sync_is_waited_for),
		cmocka_unit_test(an_answer_behind_a_gap_without_a_request_has_none),
		cmocka_unit_test(garbage_stays_within_bounds),
		cmocka_unit_test(a_search_ends),
		cmocka_unit_test(first_bytes_tell_who_speaks),
		cmocka_unit_test(other_protocols_are_not_ours),
		cmocka_unit_test(random_bytes_are_not_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
