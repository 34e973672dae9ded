// SPDX-License-Identifier: Apache-2.0
/* The PostgreSQL parser where bytes are missing or wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/postgres_talk.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

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
	pg_talk__expect(&t, "SELECT a rows=900\n");
	pg_talk__close(&t);
}

/* Of several commands some may have ended in the gap; and without one's end nothing is known. */
static void a_long_answer_without_all_its_ends_is_cut(void **ctx)
{
	const struct slice with[] = { SLICE("zzD\0\1zz"), PG('C', "SELECT 900\0"), READY };
	const struct slice without[] = { SLICE("zzzz"), READY };
	static struct pg_talk t;
	char buffer[256];
	struct slice in = join(buffer, with, COUNT(with));

	pg_talk__open(&t);
	pg_talk__say(&t, TO_SERVER, PG('Q', "SELECT a; SELECT b\0"));
	pg_talk__say(&t, TO_CLIENT, COLUMNS);
	assert_int_equal(resync(&t, TO_CLIENT, in), with[0].len);
	pg_talk__say(&t, TO_CLIENT, slice__skip(in, with[0].len));
	pg_talk__expect(&t, "SELECT a; SELECT b rows=900 truncated\n");
	pg_talk__close(&t);

	pg_talk__open(&t);
	pg_talk__say(&t, TO_SERVER, PG('Q', "SELECT a\0"));
	pg_talk__say(&t, TO_CLIENT, COLUMNS);
	in = join(buffer, without, COUNT(without));
	assert_int_equal(resync(&t, TO_CLIENT, in), without[0].len);
	pg_talk__say(&t, TO_CLIENT, slice__skip(in, without[0].len));
	pg_talk__expect(&t, "SELECT a truncated\n");
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

/* ... or for a query: who sends one has no other request open. */
static void behind_lost_requests_a_query_will_do(void **ctx)
{
	const struct slice parts[] = { SLICE("\1x\0\0"), BIND, EXECUTE, PG('Q', "SELECT b\0"),
				       EXECUTE };
	static struct pg_talk t;
	char buffer[256];
	struct slice in = join(buffer, parts, COUNT(parts));

	pg_talk__open(&t);
	assert_int_equal(resync(&t, TO_SERVER, in), parts[0].len + parts[1].len + parts[2].len);
	assert_int_equal(resync(&t, TO_SERVER, slice__head(in, parts[0].len + parts[1].len)),
			 parts[0].len + parts[1].len);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roles_and_protocol_are_told_by_the_first_bytes),
		cmocka_unit_test(a_cut_message_says_what_is_known),
		cmocka_unit_test(large_values_need_not_be_there),
		cmocka_unit_test(a_long_answer_is_found_again_at_its_end),
		cmocka_unit_test(a_long_answer_without_all_its_ends_is_cut),
		cmocka_unit_test(behind_lost_requests_a_sync_is_waited_for),
		cmocka_unit_test(behind_lost_requests_a_query_will_do),
		cmocka_unit_test(an_answer_behind_a_gap_without_a_request_has_none),
		cmocka_unit_test(garbage_stays_within_bounds),
		cmocka_unit_test(a_search_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
