// SPDX-License-Identifier: Apache-2.0
/*
 * Commands and replies that come again with the same bytes, which are not read again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/redis_talk.h"

static void a_command_that_comes_again_is_told_again(void **unused)
{
	const struct step steps[] = {
		SAY("*2\r\n$3\r\nGET\r\n$1\r\na\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\n"),
		HEAR("$-1\r\n$-1\r\n"),
		SAY("*2\r\n$3\r\nGET\r\n$1\r\na\r\n*2\r\n$3\r\nGET\r\n$1\r\nb\r\n"
		    "*2\r\n$3\r\nGET\r\n$1\r\nb\r\nPING\r\nPING\r\n"),
		HEAR("$-1\r\n$-1\r\n$-1\r\n+PONG\r\n+PONG\r\n"),
		SAY("*3\r\n$5\r\nFCALL\r\n$1\r\nf\r\n$1\r\n0\r\n"
		    "*3\r\n$5\r\nFCALL\r\n$1\r\nf\r\n$1\r\n0\r\n"),
		HEAR(":1\r\n:1\r\n"),
		SAY("*1\r\n$5\r\nMULTI\r\n*1\r\n$1\r\na\r\n*1\r\n$1\r\na\r\n"
		    "*1\r\n$4\r\nEXEC\r\n*1\r\n$1\r\na\r\n*1\r\n$1\r\na\r\n"),
		HEAR("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n:1\r\n:1\r\n:1\r\n"),
		END
	};

	talk__expect(steps, "> GET [GET a]\n> GET [GET a]\n< ok\n< ok\n"
			    "> GET [GET a]\n> GET [GET b]\n> GET [GET b]\n> PING [PING]\n"
			    "> PING [PING]\n< ok\n< ok\n< ok\n< ok\n< ok\n"
			    "> FCALL [FCALL f 0] procedure=f\n> FCALL [FCALL f 0] procedure=f\n"
			    "< ok\n< ok\n"
			    "> MULTI a [a; a] batch=2\n> a [a]\n> a [a]\n< ok\n< ok\n< ok\n");
}

static void a_reply_that_comes_again_is_told_again(void **unused)
{
	const struct step steps[] = {
		SAY("*1\r\n$1\r\na\r\n*1\r\n$1\r\na\r\n*1\r\n$1\r\nb\r\n*1\r\n$1\r\nb\r\n"
		    "*1\r\n$1\r\nc\r\n*1\r\n$1\r\nc\r\n*1\r\n$1\r\nd\r\n*1\r\n$1\r\nd\r\n"),
		HEAR("+OK\r\n+OK\r\n-ERR a\r\n-ERR b\r\n$1\r\nx\r\n$1\r\nx\r\n:1\r\n:1\r\n"),
		SAY("*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n*1\r\n$1\r\na\r\n*1\r\n$1\r\na\r\n"),
		HEAR("+OK\r\n+OK\r\n+OK\r\n"),
		SAY("*1\r\n$5\r\nMULTI\r\n*1\r\n$1\r\na\r\n*1\r\n$1\r\na\r\n*1\r\n$4\r\nEXEC\r\n"
		    "*1\r\n$7\r\nMONITOR\r\n*1\r\n$1\r\na\r\n*1\r\n$1\r\na\r\n"),
		HEAR("+OK\r\n+QUEUED\r\n+QUEUED\r\n*-1\r\n+OK\r\n"
		     "+1.5 [0 a]\r\n+1.5 [0 a]\r\n+OK\r\n+1.5 [0 a]\r\n+OK\r\n"),
		END
	};

	talk__expect(steps,
		     "> a [a]\n> a [a]\n> b [b]\n> b [b]\n> c [c]\n> c [c]\n> d [d]\n> d [d]\n"
		     "< ok\n< ok\n< error 'ERR'\n< error 'ERR'\n< ok\n< ok\n< ok\n< ok\n"
		     "> SELECT [SELECT 1]\n> a [a]\n> a [a]\n< ok db=1\n< ok db=1\n< ok db=1\n"
		     "> MULTI a [a; a] db=1 batch=2\n> MONITOR [MONITOR] db=1\n> a [a] db=1\n"
		     "> a [a] db=1\n< ok db=1 aborted\n< ok db=1\n< ok db=1\n< ok db=1\n");
}

/* What is kept of a command holds no password, and no longer the one before. */
static void not_every_command_is_kept(void **unused)
{
	static const struct slice kept = SLICE("*2\r\n$3\r\nGET\r\n$1\r\na\r\n");
	static const struct slice not_kept[] = {
		SLICE("*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n"),
		SLICE("*1\r\n$5\r\nMULTI\r\n"),
		SLICE("*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n"),
		SLICE("*2\r\n$3\r\nGET\r\n"),
		SLICE("*2\r\n$3\r\nGET\r\n$120\r\n-------------------------------------------------"
		      "-"
		      "----------------------------------------------------------------------\r\n"),
		SLICE("*1\r\n$x"),
	};

	for (size_t i = 0; i < sizeof(not_kept) / sizeof(not_kept[0]); i++) {
		struct talk t;

		talk__open(&t);
		assert_int_equal(talk__feed(&t, TO_SERVER, kept), 0);
		assert_int_equal(t.state.last.len, kept.len);
		talk__feed(&t, TO_SERVER, not_kept[i]);
		assert_int_equal(t.state.last.len, 0);
		talk__close(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_command_that_comes_again_is_told_again),
		cmocka_unit_test(a_reply_that_comes_again_is_told_again),
		cmocka_unit_test(not_every_command_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
