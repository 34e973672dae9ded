// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "user/flow/span.h"
#include "user/protocols/redis.h"

#define LOG_BYTES  16384
#define TEXT_BYTES 8192
#define WHOLE	   SIZE_MAX

/* What one side says; a conversation ends with a step without bytes. */
struct step {
	enum direction dir;
	const char *bytes;
	size_t len;
};

#define SAY(text)                                                                                  \
	{                                                                                          \
		TO_SERVER, text, sizeof(text) - 1                                                  \
	}
#define HEAR(text)                                                                                 \
	{                                                                                          \
		TO_CLIENT, text, sizeof(text) - 1                                                  \
	}
#define END                                                                                        \
	{                                                                                          \
		TO_SERVER, NULL, 0                                                                 \
	}

/* One direction: a message that is being joined. */
struct joined {
	uint64_t skip;
	uint32_t flags;
	bool open;
	char text[TEXT_BYTES];
	char operation[128], database[16], status[64], procedure[256];
	int64_t batch;
	bool has_batch, aborted;
};

struct talk {
	struct redis_state state;
	struct joined joined[2];
	char log[LOG_BYTES]; /* a line for each message that has ended */
	size_t log_len;
	char *page; /* what is parsed ends where the forbidden page begins */
	size_t page_bytes;
	bool cut;
};

static void talk__open(struct talk *t)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);

	memset(t, 0, sizeof(*t));
	t->page_bytes = 16 * size;
	t->page = mmap(NULL, t->page_bytes + size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(t->page, MAP_FAILED);
	assert_int_equal(mprotect(t->page + t->page_bytes, size, PROT_NONE), 0);
}

static void talk__close(struct talk *t)
{
	munmap(t->page, t->page_bytes + (size_t)sysconf(_SC_PAGESIZE));
}

static void copy_field(char *to, size_t room, struct slice from)
{
	if (from.len)
		snprintf(to, room, "%.*s", (int)from.len, from.data);
}

static void join(struct joined *j, const struct message *m)
{
	size_t len;

	if (m->flags & MESSAGE_BEGIN) {
		uint64_t skip = j->skip;

		memset(j, 0, sizeof(*j));
		j->skip = skip;
		j->open = true;
	}
	j->flags |= m->flags;
	len = m->append_mask >> REDIS_TEXT & 1 ? strlen(j->text) : 0;
	if (m->field[REDIS_TEXT].len)
		snprintf(j->text + len, sizeof(j->text) - len, "%s%.*s", len ? "; " : "",
			 (int)m->field[REDIS_TEXT].len, m->field[REDIS_TEXT].data);
	copy_field(j->operation, sizeof(j->operation), m->field[REDIS_OPERATION]);
	copy_field(j->database, sizeof(j->database), m->field[REDIS_NAMESPACE]);
	copy_field(j->status, sizeof(j->status), m->field[REDIS_STATUS]);
	copy_field(j->procedure, sizeof(j->procedure), m->field[REDIS_PROCEDURE]);
	if (m->number_mask >> REDIS_BATCH_SIZE & 1) {
		j->batch = m->number[REDIS_BATCH_SIZE] +
			   (m->add_mask >> REDIS_BATCH_SIZE & 1 ? j->batch : 0);
		j->has_batch = true;
	}
	j->aborted |= m->number_mask >> REDIS_ABORTED & 1;
}

static void talk__print(struct talk *t, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void talk__print(struct talk *t, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	t->log_len += (size_t)vsnprintf(t->log + t->log_len, LOG_BYTES - t->log_len, format, args);
	va_end(args);
	assert_true(t->log_len < LOG_BYTES);
}

/* "> OPERATION [TEXT]" or "< ok", and what else is known. */
static void talk__ended(struct talk *t, enum message_type type, struct joined *j)
{
	if (type == MESSAGE_REQUEST)
		talk__print(t, "> %s [%s]", j->operation, j->text);
	else if (j->flags & MESSAGE_FAILED)
		talk__print(t, "< error '%s'", j->status);
	else
		talk__print(t, "< ok");
	if (j->database[0])
		talk__print(t, " db=%s", j->database);
	if (j->procedure[0])
		talk__print(t, " procedure=%s", j->procedure);
	if (j->has_batch)
		talk__print(t, " batch=%d", (int)j->batch);
	if (j->aborted)
		talk__print(t, " aborted");
	if (j->flags & MESSAGE_ONEWAY)
		talk__print(t, " oneway");
	if (j->flags & MESSAGE_TRUNCATED)
		talk__print(t, " truncated");
	if (j->flags & MESSAGE_UNBIND)
		talk__print(t, " unbind");
	if (!j->open)
		talk__print(t, " headless");
	talk__print(t, "\n");
	memset(j, 0, offsetof(struct joined, has_batch));
}

static void talk__take(struct talk *t, enum direction dir, const struct message *m)
{
	struct joined *j = &t->joined[dir];

	assert_true(m->type == MESSAGE_NONE ||
		    m->type == (dir == TO_SERVER ? MESSAGE_REQUEST : MESSAGE_RESPONSE));
	if (m->type != MESSAGE_NONE) {
		join(j, m);
		if (m->flags & MESSAGE_END)
			talk__ended(t, m->type, j);
	}
	j->skip = m->skip;
}

static ssize_t talk__parse(struct talk *t, enum direction dir, struct slice bytes,
			   struct message *out)
{
	char *at = t->page + t->page_bytes - bytes.len;
	struct parse_input in = { .dir = dir, .bytes = { at, bytes.len }, .cut = t->cut };

	assert_true(bytes.len <= t->page_bytes);
	memcpy(at, bytes.data, bytes.len);
	memset(out, 0, sizeof(*out));
	return protocol_redis.parse(&t->state, &in, out);
}

/* Bytes that arrive; those of before that were not enough stand in front of them.  Returns how
 * many of them all are left over, or what the parser said. */
static ssize_t talk__feed(struct talk *t, enum direction dir, struct slice bytes)
{
	struct message m;

	while (bytes.len) {
		uint64_t skip = t->joined[dir].skip;
		ssize_t len;

		if (skip) {
			size_t passed = skip < bytes.len ? (size_t)skip : bytes.len;

			t->joined[dir].skip -= passed;
			bytes = slice__skip(bytes, passed);
			continue;
		}
		len = talk__parse(t, dir, bytes, &m);
		if (len < 0)
			return len;
		if (len == 0)
			return (ssize_t)bytes.len;
		assert_true((size_t)len <= bytes.len);
		talk__take(t, dir, &m);
		bytes = slice__skip(bytes, (size_t)len);
	}
	return 0;
}

/* A step in pieces: at @split, or of @piece bytes each. */
static void talk__step(struct talk *t, const struct step *step, size_t piece, size_t split)
{
	size_t from = 0, to = 0;

	while (to < step->len) {
		ssize_t left;

		if (to < split && split < step->len)
			to = split;
		else
			to = piece < step->len - to ? to + piece : step->len;
		left = talk__feed(t, step->dir, slice__of(step->bytes + from, to - from));
		assert_true(left >= 0);
		from = to - (size_t)left;
	}
	assert_int_equal(from, to);
}

static void talk__run(struct talk *t, const struct step *steps, size_t piece, size_t split)
{
	memset(&t->state, 0, sizeof(t->state));
	memset(t->joined, 0, sizeof(t->joined));
	t->log_len = 0;
	t->log[0] = '\0';
	for (; steps->bytes; steps++) {
		talk__step(t, steps, piece, split);
		split = split < steps->len ? WHOLE : split == WHOLE ? WHOLE : split - steps->len;
	}
}

/* The same messages whole, byte by byte and split at every place. */
static void expect(const struct step *steps, const char *log)
{
	struct talk t;
	size_t total = 0;

	talk__open(&t);
	talk__run(&t, steps, WHOLE, WHOLE);
	assert_string_equal(t.log, log);
	talk__run(&t, steps, 1, WHOLE);
	assert_string_equal(t.log, log);
	for (const struct step *s = steps; s->bytes; s++)
		total += s->len;
	for (size_t split = 1; split < total; split++) {
		talk__run(&t, steps, WHOLE, split);
		assert_string_equal(t.log, log);
	}
	talk__close(&t);
}

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

	expect(steps, "> SET [SET k ?]\n> get [get k]\n> DBSIZE [DBSIZE]\n< ok\n< ok\n< ok\n");
}

static void errors_give_their_prefix_only(void **unused)
{
	const struct step steps[] = {
		SAY("*1\r\n$1\r\na\r\n*1\r\n$1\r\nb\r\n*1\r\n$1\r\nc\r\n*1\r\n$1\r\nd\r\n"),
		HEAR("-WRONGTYPE Operation\r\n-oops secret\r\n!15\r\nNOSCRIPT secret\r\n"
		     "*2\r\n-ERR of a script\r\n:1\r\n"),
		END
	};

	expect(steps, "> a [a]\n> b [b]\n> c [c]\n> d [d]\n< error 'WRONGTYPE'\n< error ''\n"
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

	expect(steps, "> PING [PING]\n> PING [PING]\n> PING [PING]\n< ok\n< ok\n< ok\n");
}

static void inline_commands_are_words_on_a_line(void **unused)
{
	const struct step steps[] = { SAY("PING\r\nset 'a b' \"x\\\"y\"\nAUTH hush\r\n\r\n*0\r\n"),
				      HEAR("+PONG\r\n+OK\r\n-WRONGPASS no\r\n"), END };

	expect(steps, "> PING [PING]\n> set [set \"a b\" ?]\n> AUTH [AUTH ?]\n"
		      "< ok\n< ok\n< error 'WRONGPASS'\n");
}

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
	talk__run(&t, steps, WHOLE, WHOLE);
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

	expect(steps, "> GET [GET \"a \\\"\\\\\\x01\\xff\"]\n> GET [GET \"\"]\n"
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
	talk__run(&t, steps, WHOLE, WHOLE);
	assert_true(t.log_len <= REDIS_TEXT_BYTES + 16);
	assert_non_null(strstr(t.log, " ...]\n"));
	talk__close(&t);
	free(bytes);
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

	expect(at_once, "> MULTI SET [SET a ?; SET b ?] batch=2\n< ok\n");
	expect(in_turns, "> MULTI [GET a; INCR b] batch=2\n< error 'WRONGTYPE'\n");
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

	expect(steps, "> MULTI [] batch=0\n< ok\n> MULTI GET [GET a] batch=1\n< ok aborted\n"
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
	talk__run(&t, steps, WHOLE, WHOLE);
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

	expect(steps, "> HELLO [HELLO 2] db=0\n< ok db=0\n"
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

	expect(steps, "> SUBSCRIBE [SUBSCRIBE a b]\n< ok\n> PING [PING]\n< ok\n"
		      "> UNSUBSCRIBE [UNSUBSCRIBE]\n> UNSUBSCRIBE [UNSUBSCRIBE]\n< ok\n< ok\n");
}

static void what_monitor_shows_answers_nothing(void **unused)
{
	const struct step steps[] = {
		SAY("*1\r\n$7\r\nMONITOR\r\n"),
		HEAR("+OK\r\n+1700000000.123456 [0 [::1]:1] \"GET\" \"k\"\r\n"),
		SAY("*1\r\n$4\r\nQUIT\r\n"), HEAR("+OK\r\n"), END
	};

	expect(steps, "> MONITOR [MONITOR]\n< ok\n> QUIT [QUIT]\n< ok\n");
}

static void a_command_without_a_reply_is_oneway(void **unused)
{
	const struct step steps[] = {
		SAY("*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$4\r\nSKIP\r\n*1\r\n$1\r\na\r\n"
		    "*1\r\n$1\r\nb\r\n*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$3\r\noff\r\n"
		    "*1\r\n$1\r\nc\r\n*3\r\n$6\r\nclient\r\n$5\r\nreply\r\n$2\r\non\r\n"),
		HEAR("+OK\r\n+OK\r\n"), END
	};

	expect(steps, "> CLIENT REPLY [CLIENT REPLY ?] oneway\n> a [a] oneway\n> b [b]\n"
		      "> CLIENT REPLY [CLIENT REPLY ?] oneway\n> c [c] oneway\n"
		      "> client reply [client reply ?]\n< ok\n< ok\n");
}

static void replication_is_not_followed(void **unused)
{
	const struct step steps[] = { SAY("*3\r\n$5\r\nPSYNC\r\n$1\r\n?\r\n$2\r\n-1\r\n"),
				      HEAR("+"), END };

	expect(steps, "> PSYNC [PSYNC ? ?]\n< ok unbind\n");
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

/* -- tables and spans ---------------------------------------------------------------------- */

static void commands_are_found_in_any_case(void **unused)
{
	size_t count = 0;

	for (; redis_spec__at(count); count++) {
		const struct redis_spec *spec = redis_spec__at(count);

		assert_ptr_equal(redis_spec__find(slice__str(spec->name)), spec);
		if (count)
			assert_true(strcmp(redis_spec__at(count - 1)->name, spec->name) < 0);
		assert_int_equal(strspn(spec->arguments, "kvdnospKS*"), strlen(spec->arguments));
	}
	assert_true(count > 250);
	assert_non_null(redis_spec__find(SLICE("hGetAll")));
	assert_null(redis_spec__find(SLICE("GE")));
	assert_null(redis_spec__find(SLICE("GETTER")));
	assert_null(redis_spec__find(SLICE("")));
	assert_null(redis_spec__find(SLICE("GET\0")));
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
	assert_true(slice__eq(span__find(span, "error.type")->string, SLICE("EXECABORT")));
	assert_true(slice__eq(span__find(span, "db.namespace")->string, SLICE("3")));
	assert_true(slice__eq(span__find(span, "server.address")->string, SLICE("10.0.0.1")));
	assert_int_equal(span__find(span, "server.port")->integer, 6380);
	assert_int_equal(span__find(span, "db.operation.batch.size")->integer, 2);
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
	assert_null(span__find(span, "db.operation.batch.size"));
	assert_null(span__find(span, "server.port"));
	assert_int_equal(span->status, STATUS_UNSET);
	span__free(span);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_command_of_a_pipeline_is_a_request),
		cmocka_unit_test(errors_give_their_prefix_only),
		cmocka_unit_test(all_types_of_resp3_are_one_reply),
		cmocka_unit_test(inline_commands_are_words_on_a_line),
		cmocka_unit_test(keys_are_kept_and_values_are_not),
		cmocka_unit_test(a_container_command_is_named_with_its_subcommand),
		cmocka_unit_test(credentials_are_never_kept),
		cmocka_unit_test(keys_are_shown_as_the_cli_shows_them),
		cmocka_unit_test(a_long_text_ends_in_dots),
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
		cmocka_unit_test(garbage_does_no_harm),
		cmocka_unit_test(commands_are_found_in_any_case),
		cmocka_unit_test(a_span_tells_what_failed_and_where),
		cmocka_unit_test(a_batch_of_one_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
