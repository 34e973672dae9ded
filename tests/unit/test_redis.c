// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/redis_talk.h"

/* What the parser says of the first bytes of a connection. */
static ssize_t first(enum direction dir, struct slice bytes, bool cut)
{
	struct message m;
	struct talk t;
	ssize_t len;

	talk__open(&t);
	t.cut = cut;
	len = talk__parse(&t, dir, bytes, &m);
	talk__close(&t);
	return len;
}

/* -- commands and replies ----------------------------------------------------------------- */

static void each_command_of_a_pipeline_is_a_request(void **unused)
{
	const struct step steps[] = {
		SAY("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$6\r\nsecret\r\n*2\r\n$3\r\nget\r\n$1\r\nk\r\n"
		    "*1\r\n$6\r\nDBSIZE\r\n"),
		HEAR("+OK\r\n$6\r\nsecret\r\n:1\r\n"), END
	};

	talk__expect(steps,
		     "> SET [SET k ?]\n> get [get k]\n> DBSIZE [DBSIZE]\n< ok\n< ok\n< ok\n");
}

static void errors_give_their_prefix_only(void **unused)
{
	const struct step steps[] = {
		SAY("*1\r\n$1\r\na\r\n*1\r\n$1\r\nb\r\n*1\r\n$1\r\nc\r\n*1\r\n$1\r\nd\r\n"),
		HEAR("-WRONGTYPE Operation\r\n-oops secret\r\n!15\r\nNOSCRIPT secret\r\n"
		     "*2\r\n-ERR of a script\r\n:1\r\n"),
		END
	};

	talk__expect(steps, "> a [a]\n> b [b]\n> c [c]\n> d [d]\n< error 'WRONGTYPE'\n< error ''\n"
			    "< error 'NOSCRIPT'\n< ok\n");
}

static void all_types_of_resp3_are_one_reply(void **unused)
{
	const struct step steps[] = {
		SAY("*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n"),
		HEAR("|1\r\n+ttl\r\n:3600\r\n%3\r\n+a\r\n~2\r\n#t\r\n#f\r\n+b\r\n*3\r\n_\r\n,-1."
		     "5e3\r\n"
		     "(12345678901234567890\r\n+c\r\n|1\r\n+x\r\n*0\r\n=7\r\ntxt:abc\r\n"
		     ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"
		     "*?\r\n:1\r\n$?\r\n;4\r\nabcd\r\n;0\r\n%?\r\n+k\r\n$-1\r\n.\r\n.\r\n*-1\r\n"),
		END
	};

	talk__expect(steps, "> PING [PING]\n> PING [PING]\n> PING [PING]\n< ok\n< ok\n< ok\n");
}

static void inline_commands_are_words_on_a_line(void **unused)
{
	const struct step steps[] = { SAY("PING\r\nset 'a b' \"x\\\"y\"\nAUTH hush\r\n\r\n*0\r\n"),
				      HEAR("+PONG\r\n+OK\r\n-WRONGPASS no\r\n"), END };

	talk__expect(steps, "> PING [PING]\n> set [set \"a b\" ?]\n> AUTH [AUTH ?]\n"
			    "< ok\n< ok\n< error 'WRONGPASS'\n");
}

/* -- long values --------------------------------------------------------------------------- */

static void a_long_value_needs_no_bytes(void **unused)
{
	const struct slice head = SLICE("*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000000\r\n");
	const struct slice start = SLICE("secretsecretsecretsecretsecretsecretsecretsecretsecret"
					 "secretsecretsecretsecretsecretsecretsecretsecretsecret"
					 "secretsecretsecretsecretsecret");
	const struct slice tail = SLICE("$2\r\nEX\r\n$2\r\n10\r\n");
	const struct slice reply = SLICE("$100000000\r\nsecret");
	struct talk t;
	char bytes[256];

	talk__open(&t);
	snprintf(bytes, sizeof(bytes), "%s%s", head.data, start.data);
	assert_int_equal(talk__feed(&t, TO_SERVER, slice__str(bytes)), 0);
	assert_int_equal(t.joined[TO_SERVER].skip, 100000000 + 2 - start.len);
	t.joined[TO_SERVER].skip = 0;
	assert_int_equal(talk__feed(&t, TO_SERVER, tail), 0);
	assert_int_equal(talk__feed(&t, TO_CLIENT, reply), 0);
	assert_int_equal(t.joined[TO_CLIENT].skip, 100000000 + 2 - 6);
	assert_string_equal(t.log, "> SET [SET k ? EX ?]\n< ok\n");
	talk__close(&t);
}

static void a_command_that_is_cut_is_told_as_far_as_it_is_known(void **unused)
{
	const struct slice whole = SLICE("*4\r\n$5\r\nLPUSH\r\n$4\r\nlist\r\n$6\r\nsecret\r\n"
					 "$6\r\nsecret\r\n");

	for (size_t len = 1; len < whole.len; len++) {
		struct talk t;
		ssize_t left;

		talk__open(&t);
		t.cut = true;
		left = talk__feed(&t, TO_SERVER, slice__head(whole, len));
		assert_true(left >= 0);
		if (len >= 15) /* the name is there */
			assert_int_equal(left, 0);
		if (len == 27) { /* in the length of the third argument */
			assert_null(strstr(t.log, "secret"));
			assert_non_null(strstr(t.log, "> LPUSH [LPUSH list] truncated"));
		}
		talk__close(&t);
	}
}

static void a_reply_that_is_cut_ends(void **unused)
{
	const struct slice whole = SLICE("*2\r\n$6\r\nsecret\r\n-ERR x\r\n");

	for (size_t len = 1; len < whole.len; len++) {
		struct talk t;

		talk__open(&t);
		assert_int_equal(talk__feed(&t, TO_SERVER, SLICE("*1\r\n$4\r\nKEYS\r\n")), 0);
		t.cut = true;
		assert_int_equal(talk__feed(&t, TO_CLIENT, slice__head(whole, len)), 0);
		assert_true(t.state.reply.depth || strstr(t.log, "< ok"));
		talk__close(&t);
	}
}

/* -- the connection ------------------------------------------------------------------------ */

static void a_transaction_is_one_request_with_one_response(void **unused)
{
	const struct step at_once[] = {
		SAY("*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n"
		    "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n2\r\n*1\r\n$4\r\nEXEC\r\n"),
		HEAR("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n+OK\r\n"), END
	};
	const struct step in_turns[] = { SAY("*1\r\n$5\r\nMULTI\r\n"),
					 HEAR("+OK\r\n"),
					 SAY("*2\r\n$3\r\nGET\r\n$1\r\na\r\n"),
					 HEAR("+QUEUED\r\n"),
					 SAY("*2\r\n$4\r\nINCR\r\n$1\r\nb\r\n"),
					 HEAR("+QUEUED\r\n"),
					 SAY("*1\r\n$4\r\nEXEC\r\n"),
					 HEAR("*2\r\n$-1\r\n-WRONGTYPE x\r\n"),
					 END };

	talk__expect(at_once, "> MULTI SET [SET a ?; SET b ?] batch=2\n< ok\n");
	talk__expect(in_turns, "> MULTI [GET a; INCR b] batch=2\n< error 'WRONGTYPE'\n");
}

static void a_transaction_can_end_without_effect(void **unused)
{
	const struct step steps[] = {
		SAY("*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nEXEC\r\n"),
		HEAR("+OK\r\n*0\r\n"),
		SAY("*1\r\n$5\r\nMULTI\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\n*1\r\n$4\r\nEXEC\r\n"),
		HEAR("+OK\r\n+QUEUED\r\n*-1\r\n"),
		SAY("*1\r\n$5\r\nMULTI\r\n*1\r\n$3\r\nGET\r\n*1\r\n$4\r\nEXEC\r\n"),
		HEAR("+OK\r\n-ERR arity\r\n-EXECABORT x\r\n"),
		SAY("*1\r\n$5\r\nMULTI\r\n*2\r\n$3\r\nDEL\r\n$1\r\na\r\n*1\r\n$7\r\nDISCARD\r\n"),
		HEAR("+OK\r\n+QUEUED\r\n+OK\r\n"),
		END
	};

	talk__expect(steps, "> MULTI [] batch=0\n< ok\n> MULTI GET [GET a] batch=1\n< ok aborted\n"
			    "> MULTI GET [GET] batch=1\n< error 'EXECABORT'\n"
			    "> MULTI DEL [DEL a; DISCARD] batch=1\n< ok\n");
}

static void a_refused_multi_queues_nothing(void **unused)
{
	const struct step steps[] = { SAY("*1\r\n$5\r\nMULTI\r\n"), HEAR("-NOAUTH no\r\n"),
				      SAY("*2\r\n$3\r\nGET\r\n$1\r\na\r\n"), HEAR("-NOAUTH no\r\n"),
				      END };
	struct talk t;

	talk__open(&t);
	talk__run(&t, steps, TALK_WHOLE, TALK_WHOLE);
	assert_string_equal(t.log, "< error 'NOAUTH'\n> GET [GET a]\n< error 'NOAUTH'\n");
	talk__close(&t);
}

static void the_database_is_the_selected_one(void **unused)
{
	const struct step steps[] = {
		SAY("*2\r\n$5\r\nHELLO\r\n$1\r\n2\r\n"),
		HEAR("*0\r\n"),
		SAY("*2\r\n$6\r\nSELECT\r\n$2\r\n12\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\n"),
		HEAR("+OK\r\n$-1\r\n"),
		SAY("*2\r\n$6\r\nSELECT\r\n$3\r\n999\r\n"),
		HEAR("-ERR index\r\n"),
		SAY("*1\r\n$5\r\nRESET\r\n"),
		HEAR("+RESET\r\n"),
		END
	};

	talk__expect(steps, "> HELLO [HELLO 2] db=0\n< ok db=0\n"
			    "> SELECT [SELECT 12] db=0\n> GET [GET a]\n< ok db=12\n< ok db=12\n"
			    "> SELECT [SELECT 999] db=12\n< error 'ERR' db=12\n"
			    "> RESET [RESET] db=12\n< ok db=0\n");
}

static void a_subscription_is_answered_once_per_channel(void **unused)
{
	const struct step steps[] = {
		SAY("*3\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n$1\r\nb\r\n"),
		HEAR("*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
		     "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$6\r\nsecret\r\n"
		     "*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n"),
		SAY("*1\r\n$4\r\nPING\r\n"),
		HEAR("*2\r\n$4\r\npong\r\n$0\r\n\r\n"),
		SAY("*1\r\n$11\r\nUNSUBSCRIBE\r\n*1\r\n$11\r\nUNSUBSCRIBE\r\n"),
		HEAR("*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:1\r\n"
		     "*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:0\r\n"
		     "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n"),
		END
	};

	talk__expect(steps,
		     "> SUBSCRIBE [SUBSCRIBE a b]\n< ok\n> PING [PING]\n< ok\n"
		     "> UNSUBSCRIBE [UNSUBSCRIBE]\n> UNSUBSCRIBE [UNSUBSCRIBE]\n< ok\n< ok\n");
}

static void what_monitor_shows_answers_nothing(void **unused)
{
	const struct step steps[] = {
		SAY("*1\r\n$7\r\nMONITOR\r\n"),
		HEAR("+OK\r\n+1700000000.123456 [0 [::1]:1] \"GET\" \"k\"\r\n"),
		SAY("*1\r\n$4\r\nQUIT\r\n"), HEAR("+OK\r\n"), END
	};

	talk__expect(steps, "> MONITOR [MONITOR]\n< ok\n> QUIT [QUIT]\n< ok\n");
}

static void a_command_without_a_reply_is_oneway(void **unused)
{
	const struct step steps[] = {
		SAY("*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$4\r\nSKIP\r\n*1\r\n$1\r\na\r\n"
		    "*1\r\n$1\r\nb\r\n*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$3\r\noff\r\n"
		    "*1\r\n$1\r\nc\r\n*3\r\n$6\r\nclient\r\n$5\r\nreply\r\n$2\r\non\r\n"),
		HEAR("+OK\r\n+OK\r\n"), END
	};

	talk__expect(steps, "> CLIENT REPLY [CLIENT REPLY ?] oneway\n> a [a] oneway\n> b [b]\n"
			    "> CLIENT REPLY [CLIENT REPLY ?] oneway\n> c [c] oneway\n"
			    "> client reply [client reply ?]\n< ok\n< ok\n");
}

static void replication_is_not_followed(void **unused)
{
	const struct step steps[] = { SAY("*3\r\n$5\r\nPSYNC\r\n$1\r\n?\r\n$2\r\n-1\r\n"),
				      HEAR("+"), END };

	talk__expect(steps, "> PSYNC [PSYNC ? ?]\n< ok unbind\n");
}

static void many_kinds_in_one_pipeline_are_not_mixed_up(void **unused)
{
	struct talk t;

	talk__open(&t);
	for (int i = 0; i < 300; i++, t.log_len = 0)
		assert_int_equal(talk__feed(&t, TO_SERVER,
					    SLICE("*1\r\n$5\r\nMULTI\r\n*1\r\n$1\r\na\r\n"
						  "*1\r\n$4\r\nEXEC\r\n*1\r\n$1\r\nb\r\n"
						  "*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n")),
				 0);
	for (int i = 0; i < 300; i++)
		assert_int_equal(talk__feed(&t, TO_CLIENT,
					    SLICE("+OK\r\n+QUEUED\r\n*1\r\n:1\r\n+OK\r\n+OK\r\n")),
				 0);
	assert_null(strstr(t.log, "headless"));
	assert_int_equal(t.state.pending_count, 0);
	assert_int_equal(t.state.database_len, 0); /* some SELECT were not followed */
	talk__close(&t);
}

/* -- bytes of something else --------------------------------------------------------------- */

static void other_protocols_are_refused(void **unused)
{
	static const struct slice not_commands[] = {
		SLICE("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
		SLICE("EHLO mail.example\r\n"),
		SLICE("\x00\x00\x00\x08\x04\xd2\x16\x2f"),
		SLICE("*9999999999\r\n"),
		SLICE("*2\r\n$3\r\nGETX\r\n"),
	};
	static const struct slice not_replies[] = {
		SLICE("HTTP/1.1 200 OK\r\n"),
		SLICE("PONG\r\n"),
		SLICE("$x\r\n"),
		SLICE("#x\r\n"),
		SLICE(":1.5\r\n"),
		SLICE("*-2\r\n"),
		SLICE("+a\nb\r\n"),
		SLICE("$3\r\nabcd"),
		SLICE("_x\r\n"),
		SLICE(".\r\n"),
		SLICE(";4\r\nabcd\r\n"),
	};

	for (size_t i = 0; i < sizeof(not_commands) / sizeof(not_commands[0]); i++)
		assert_int_equal(first(TO_SERVER, not_commands[i], false), -EBADMSG);
	for (size_t i = 0; i < sizeof(not_replies) / sizeof(not_replies[0]); i++)
		assert_int_equal(first(TO_CLIENT, not_replies[i], false), -EBADMSG);
}

static void reversed_roles_are_noticed(void **unused)
{
	assert_int_equal(first(TO_SERVER, SLICE("+OK\r\n"), false), -EPROTO);
	assert_int_equal(first(TO_SERVER, SLICE("$5\r\nhello\r\n"), false), -EPROTO);
	assert_int_equal(first(TO_SERVER, SLICE("*2\r\n:1\r\n:2\r\n"), false), -EPROTO);
	assert_int_equal(first(TO_SERVER, SLICE("*1\r\n$-1\r\n"), false), -EPROTO);
	assert_int_equal(first(TO_SERVER, SLICE("*1\r\n$2\r\n\x01\x02\r\n"), false), -EPROTO);
	assert_int_equal(first(TO_SERVER, SLICE("-ERR"), false), 0);
	assert_int_equal(first(TO_CLIENT, SLICE("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"), false), -EPROTO);
	assert_int_equal(first(TO_CLIENT, SLICE("*2\r\n$3\r\nfoo\r\n$1\r\nk\r\n"), false), 20);
}

static void nesting_is_bounded(void **unused)
{
	char bytes[4 * 40 + 1] = "";

	for (int i = 0; i < 40; i++)
		memcpy(bytes + 4 * i, "*1\r\n", 5);
	assert_int_equal(first(TO_CLIENT, slice__str(bytes), false), -EBADMSG);
}

static void after_a_gap_only_the_certain_is_taken(void **unused)
{
	const struct slice command = SLICE("ecret\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n");
	const struct slice text = SLICE("*2\r\n$3\r\nxyz\r\n*2 $3\r\n$3\r\nSET\r\n");
	struct redis_state state = { 0 };

	assert_int_equal(protocol_redis.resync(&state, TO_SERVER, command), 7);
	assert_int_equal(protocol_redis.resync(&state, TO_SERVER, text), text.len);
	/* nothing waits for a reply */
	assert_int_equal(protocol_redis.resync(&state, TO_CLIENT, SLICE("+OK\r\n")), 5);
	redis_pending__push(&state, REDIS_NORMAL, 1, 0, REDIS_DATABASE_SAME);
	/* the rest of an array */
	assert_int_equal(protocol_redis.resync(&state, TO_CLIENT, SLICE("$1\r\na\r\n$1\r\nb\r\n")),
			 14 - 7);
	redis_pending__push(&state, REDIS_NORMAL, 1, 0, REDIS_DATABASE_SAME);
	assert_int_equal(protocol_redis.resync(&state, TO_CLIENT, SLICE("abc\r\n+OK\r\n")), 5);
	redis_pending__push(&state, REDIS_NORMAL, 1, 0, REDIS_DATABASE_SAME);
	assert_int_equal(protocol_redis.resync(&state, TO_CLIENT, SLICE("+OK\r\nabc")), 8);
}

/* A search for replies must not cost the square of what is searched. */
static void a_search_ends(void **unused)
{
	static const char *const lines[] = { ">0\r\n", "|0\r\n", ":1\r\n" };
	static char flood[256 * 1024];
	struct redis_state state = { 0 };

	redis_pending__push(&state, REDIS_NORMAL, 1, 0, REDIS_DATABASE_SAME);
	redis_pending__oldest(&state)->count = sizeof(flood) / 8;
	for (size_t line = 0; line < sizeof(lines) / sizeof(lines[0]); line++) {
		for (size_t i = 0; i < sizeof(flood); i += 4)
			memcpy(flood + i, lines[line], 4);
		flood[sizeof(flood) - 1] = 'x';
		assert_int_equal(
			protocol_redis.resync(&state, TO_CLIENT, slice__of(flood, sizeof(flood))),
			sizeof(flood));
	}
}

static void garbage_does_no_harm(void **unused)
{
	static const char alphabet[] = "*$+-:%~>|_#,(!=;.?\r\n\r\n0123456789GETSETMULTI \x01\xff";
	uint32_t random = 1;
	struct talk t;

	talk__open(&t);
	for (int round = 0; round < 20000; round++) {
		char bytes[64];
		enum direction dir = round & 1;
		size_t len;

		random = random * 1664525 + 1013904223;
		len = 1 + random % sizeof(bytes);
		for (size_t i = 0; i < len; i++) {
			random = random * 1664525 + 1013904223;
			bytes[i] = alphabet[(random >> 8) % (sizeof(alphabet) - 1)];
		}
		t.cut = random >> 9 & 1;
		t.log_len = 0;
		t.joined[dir].skip = 0;
		if (talk__feed(&t, dir, slice__of(bytes, len)) < 0)
			assert_true(protocol_redis.resync(&t.state, dir, slice__of(bytes, len)) <=
				    len);
	}
	talk__close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_command_of_a_pipeline_is_a_request),
		cmocka_unit_test(errors_give_their_prefix_only),
		cmocka_unit_test(all_types_of_resp3_are_one_reply),
		cmocka_unit_test(inline_commands_are_words_on_a_line),
		cmocka_unit_test(a_long_value_needs_no_bytes),
		cmocka_unit_test(a_command_that_is_cut_is_told_as_far_as_it_is_known),
		cmocka_unit_test(a_reply_that_is_cut_ends),
		cmocka_unit_test(a_transaction_is_one_request_with_one_response),
		cmocka_unit_test(a_transaction_can_end_without_effect),
		cmocka_unit_test(a_refused_multi_queues_nothing),
		cmocka_unit_test(the_database_is_the_selected_one),
		cmocka_unit_test(a_subscription_is_answered_once_per_channel),
		cmocka_unit_test(what_monitor_shows_answers_nothing),
		cmocka_unit_test(a_command_without_a_reply_is_oneway),
		cmocka_unit_test(replication_is_not_followed),
		cmocka_unit_test(many_kinds_in_one_pipeline_are_not_mixed_up),
		cmocka_unit_test(other_protocols_are_refused),
		cmocka_unit_test(reversed_roles_are_noticed),
		cmocka_unit_test(nesting_is_bounded),
		cmocka_unit_test(after_a_gap_only_the_certain_is_taken),
		cmocka_unit_test(a_search_ends),
		cmocka_unit_test(garbage_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
