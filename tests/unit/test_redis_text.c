// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "tests/unit/redis_talk.h"
#include "user/flow/span.h"

/* -- what a value is, and what is not ------------------------------------------------------ */

/* One command, its arguments separated by "|", and the text that it becomes. */
static void expect_text(const char *arguments, const char *text)
{
	char bytes[1024] = "", body[900] = "", line[1100];
	struct step steps[] = { { TO_SERVER, bytes, 0 }, END };
	struct talk t;
	size_t len = 0;
	int count = 0;

	for (const char *at = arguments; *at || count == 0; count++) {
		size_t word = strcspn(at, "|");

		len += (size_t)snprintf(body + len, sizeof(body) - len, "$%zu\r\n%.*s\r\n", word,
					(int)word, at);
		at += word + (at[word] == '|');
	}
	steps[0].len = (size_t)snprintf(bytes, sizeof(bytes), "*%d\r\n%s", count, body);
	talk__open(&t);
	talk__run(&t, steps, TALK_WHOLE, TALK_WHOLE);
	snprintf(line, sizeof(line), "> %s\n", text);
	assert_string_equal(t.log, line);
	talk__close(&t);
}

static void keys_are_kept_and_values_are_not(void **unused)
{
	expect_text("HMSET|myhash|field1|hello|field2|x", "HMSET [HMSET myhash field1 ? field2 ?]");
	expect_text("mset|a|1|b|2", "mset [mset a ? b ?]");
	expect_text("SET|k|v|EX|10|NX", "SET [SET k ? EX ? NX]");
	expect_text("ZADD|z|1|one", "ZADD [ZADD z ? ?]");
	expect_text("BLPOP|a|b|5", "BLPOP [BLPOP a b ?]");
	expect_text("ZUNIONSTORE|out|2|a|b|WEIGHTS|1|2",
		    "ZUNIONSTORE [ZUNIONSTORE out 2 a b WEIGHTS ? ?]");
	expect_text("EVAL|return secret|2|k1|k2|secret", "EVAL [EVAL ? 2 k1 k2 ?]");
	expect_text("EVAL|return|9|secret", "EVAL [EVAL ? 9 ?]");
	expect_text("EVAL|return|x|secret", "EVAL [EVAL ? ? ?]");
	expect_text("FCALL|fn|1|k|v", "FCALL [FCALL fn 1 k ?] procedure=fn");
	expect_text("EVALSHA|abc123|0", "EVALSHA [EVALSHA abc123 0] procedure=abc123");
	expect_text("XREAD|COUNT|2|STREAMS|s1|s2|0|streams",
		    "XREAD [XREAD COUNT ? STREAMS s1 s2 ? ?]");
	expect_text("PUBLISH|channel|secret", "PUBLISH [PUBLISH channel ?]");
	expect_text("NOSUCH.CMD|key|secret", "NOSUCH.CMD [NOSUCH.CMD ? ?]");
}

static void a_container_command_is_named_with_its_subcommand(void **unused)
{
	expect_text("CONFIG|SET|requirepass|secret", "CONFIG SET [CONFIG SET ? ?]");
	expect_text("CLIENT|NO-EVICT|on", "CLIENT NO-EVICT [CLIENT NO-EVICT ?]");
	expect_text("XGROUP|CREATE|stream|group|$", "XGROUP CREATE [XGROUP CREATE stream group ?]");
	expect_text("CONFIG|not a word|x", "CONFIG [CONFIG ? ?]");
	expect_text("COMMAND", "COMMAND [COMMAND]");
}

static void credentials_are_never_kept(void **unused)
{
	expect_text("AUTH|secret", "AUTH [AUTH ?] db=0");
	expect_text("auth|user|secret", "auth [auth ? ?] db=0");
	expect_text("HELLO|3|AUTH|user|secret|SETNAME|me", "HELLO [HELLO 3 ? ? ? ? ?] db=0");
	expect_text("HELLO|secret", "HELLO [HELLO ?] db=0");
	expect_text("MIGRATE|host|6379|key|0|100|AUTH|secret", "MIGRATE [MIGRATE ? ? key 0 ? ? ?]");
	expect_text("ACL|SETUSER|alice|>secret", "ACL SETUSER [ACL SETUSER ? ?]");
}

static void keys_are_shown_as_the_cli_shows_them(void **unused)
{
	const struct step steps[] = { SAY("*2\r\n$3\r\nGET\r\n$6\r\na \"\\\x01\xff\r\n"
					  "*2\r\n$3\r\nGET\r\n$0\r\n\r\n"
					  "*2\r\n$3\r\nGET\r\n$4\r\n\r\n\r\n\r\n"),
				      END };

	talk__expect(steps, "> GET [GET \"a \\\"\\\\\\x01\\xff\"]\n> GET [GET \"\"]\n"
			    "> GET [GET \"\\x0d\\x0a\\x0d\\x0a\"]\n");
}

static void a_long_text_ends_in_dots(void **unused)
{
	struct talk t;
	struct step steps[] = { { TO_SERVER, NULL, 0 }, END };
	char *bytes = NULL;
	size_t len = 0;
	FILE *file = open_memstream(&bytes, &len);

	fprintf(file, "*101\r\n$4\r\nMGET\r\n");
	for (int i = 0; i < 100; i++)
		fprintf(file, "$100\r\n%0100d\r\n", i);
	fclose(file);
	steps[0].bytes = bytes;
	steps[0].len = len;
	talk__open(&t);
	talk__run(&t, steps, TALK_WHOLE, TALK_WHOLE);
	assert_true(t.log_len <= REDIS_TEXT_BYTES + 16);
	assert_non_null(strstr(t.log, " ...]\n"));
	talk__close(&t);
	free(bytes);
}

/* -- tables and spans ---------------------------------------------------------------------- */

static void commands_are_found_in_any_case(void **unused)
{
	const struct redis_spec *get = redis_spec__find(SLICE("GET"), NULL);
	size_t count = 0;

	for (; redis_spec__at(count); count++) {
		const struct redis_spec *spec = redis_spec__at(count);

		assert_ptr_equal(redis_spec__find(slice__str(spec->name), NULL), spec);
		if (count)
			assert_true(strcmp(redis_spec__at(count - 1)->name, spec->name) < 0);
		assert_int_equal(strspn(spec->arguments, "kvdnospKS*"), strlen(spec->arguments));
	}
	assert_true(count > 250);
	assert_non_null(redis_spec__find(SLICE("hGetAll"), NULL));
	assert_ptr_equal(redis_spec__find(SLICE("get"), get), get);
	assert_string_equal(redis_spec__find(SLICE("getset"), get)->name, "GETSET");
	assert_null(redis_spec__find(SLICE("GE"), get));
	assert_null(redis_spec__find(SLICE("GE"), NULL));
	assert_null(redis_spec__find(SLICE("GETTER"), NULL));
	assert_null(redis_spec__find(SLICE(""), NULL));
	assert_null(redis_spec__find(SLICE("GET\0"), NULL));
}

static void a_span_tells_what_failed_and_where(void **unused)
{
	struct endpoint server = { .family = AF_INET, .port = 6380, .addr = { 10, 0, 0, 1 } };
	struct transaction txn = { .protocol = &protocol_redis,
				   .server = &server,
				   .role = ROLE_CLIENT };
	struct span *span = span__new();

	txn.request.field[REDIS_OPERATION] = SLICE("MULTI GET");
	txn.request.field[REDIS_TEXT] = SLICE("GET a; GET b");
	message__number(&txn.request, REDIS_BATCH_SIZE, 2);
	txn.response.flags = MESSAGE_FAILED;
	txn.response.field[REDIS_STATUS] = SLICE("EXECABORT");
	txn.response.field[REDIS_NAMESPACE] = SLICE("3");
	protocol_redis.describe(&txn, NULL, span);
	assert_true(slice__eq(span->name, SLICE("MULTI GET")));
	assert_int_equal(span->status, STATUS_ERROR);
	assert_true(slice__eq(span__find(span, "error.type").string, SLICE("EXECABORT")));
	assert_true(slice__eq(span__find(span, "db.namespace").string, SLICE("3")));
	assert_true(slice__eq(span__find(span, "server.address").string, SLICE("10.0.0.1")));
	assert_int_equal(span__find(span, "server.port").integer, 6380);
	assert_int_equal(span__find(span, "db.operation.batch.size").integer, 2);
	span__free(span);
}

static void a_batch_of_one_is_none(void **unused)
{
	struct endpoint server = { .family = AF_INET, .port = 6379, .addr = { 10, 0, 0, 1 } };
	struct transaction txn = { .protocol = &protocol_redis,
				   .server = &server,
				   .role = ROLE_CLIENT };
	struct span *span = span__new();

	message__number(&txn.request, REDIS_BATCH_SIZE, 1);
	protocol_redis.describe(&txn, NULL, span);
	assert_int_equal(span__find(span, "db.operation.batch.size").type, ATTRIBUTE_NONE);
	assert_int_equal(span__find(span, "server.port").type, ATTRIBUTE_NONE);
	assert_int_equal(span->status, STATUS_UNSET);
	span__free(span);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_kept_and_values_are_not),
		cmocka_unit_test(a_container_command_is_named_with_its_subcommand),
		cmocka_unit_test(credentials_are_never_kept),
		cmocka_unit_test(keys_are_shown_as_the_cli_shows_them),
		cmocka_unit_test(a_long_text_ends_in_dots),
		cmocka_unit_test(commands_are_found_in_any_case),
		cmocka_unit_test(a_span_tells_what_failed_and_where),
		cmocka_unit_test(a_batch_of_one_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
