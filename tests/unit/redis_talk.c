// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/redis_talk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

void talk__open(struct talk *t)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);

	memset(t, 0, sizeof(*t));
	t->page_bytes = 16 * size;
	t->page = mmap(NULL, t->page_bytes + size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(t->page, MAP_FAILED);
	assert_int_equal(mprotect(t->page + t->page_bytes, size, PROT_NONE), 0);
}

void talk__close(struct talk *t)
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
	t->log_len +=
		(size_t)vsnprintf(t->log + t->log_len, TALK_LOG_BYTES - t->log_len, format, args);
	va_end(args);
	assert_true(t->log_len < TALK_LOG_BYTES);
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

ssize_t talk__parse(struct talk *t, enum direction dir, struct slice bytes, struct message *out)
{
	char *at = t->page + t->page_bytes - bytes.len;
	struct parse_input in = { .dir = dir, .bytes = { at, bytes.len }, .cut = t->cut };

	assert_true(bytes.len <= t->page_bytes);
	memcpy(at, bytes.data, bytes.len);
	memset(out, 0, sizeof(*out));
	return protocol_redis.parse(&t->state, &in, out);
}

ssize_t talk__feed(struct talk *t, enum direction dir, struct slice bytes)
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

void talk__run(struct talk *t, const struct step *steps, size_t piece, size_t split)
{
	memset(&t->state, 0, sizeof(t->state));
	memset(t->joined, 0, sizeof(t->joined));
	t->log_len = 0;
	t->log[0] = '\0';
	for (; steps->bytes; steps++) {
		talk__step(t, steps, piece, split);
		split = split < steps->len    ? TALK_WHOLE
			: split == TALK_WHOLE ? TALK_WHOLE
					      : split - steps->len;
	}
}

void talk__expect(const struct step *steps, const char *log)
{
	struct talk t;
	size_t total = 0;

	talk__open(&t);
	talk__run(&t, steps, TALK_WHOLE, TALK_WHOLE);
	assert_string_equal(t.log, log);
	talk__run(&t, steps, 1, TALK_WHOLE);
	assert_string_equal(t.log, log);
	for (const struct step *s = steps; s->bytes; s++)
		total += s->len;
	for (size_t split = 1; split < total; split++) {
		talk__run(&t, steps, TALK_WHOLE, split);
		assert_string_equal(t.log, log);
	}
	talk__close(&t);
}
