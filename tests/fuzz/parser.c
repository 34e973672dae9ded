// SPDX-License-Identifier: Apache-2.0
/*
 * A protocol's parser, both directions, called as message.c calls it:
 *
 *	input:	a byte of enum piece_flag, the length in two bytes, the bytes; and so on
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "user/protocols/protocol.h"

enum piece_flag {
	PIECE_TO_CLIENT = 1 << 0,
	PIECE_LOST = 1 << 1, /* bytes before it are missing */
	PIECE_CUT = 1 << 2,  /* bytes behind it are */
};

struct side {
	struct slice waiting; /* heap */
	uint64_t skip;
	bool lost;
	bool begun;
};

struct talk {
	const struct protocol *protocol;
	void *state;
	struct side side[2];
	bool over;
};

static void side__keep(struct side *side, struct slice rest)
{
	char *copy = fuzz__copy(rest);

	free((char *)side->waiting.data);
	side->waiting = slice__of(copy, rest.len);
}

static void side__add(struct side *side, struct slice piece)
{
	char *bytes = malloc(side->waiting.len + piece.len + 1);

	assert_non_null(bytes);
	if (side->waiting.len)
		memcpy(bytes, side->waiting.data, side->waiting.len);
	if (piece.len)
		memcpy(bytes + side->waiting.len, piece.data, piece.len);
	side->waiting.len += piece.len;
	side__keep(side, slice__of(bytes, side->waiting.len));
	free(bytes);
}

/* What the contract says of a fragment. */
static void check_fragment(const struct parse_input *in, const struct message *m)
{
	enum message_type own = in->dir == TO_SERVER ? MESSAGE_REQUEST : MESSAGE_RESPONSE;

	assert_true(m->type == MESSAGE_NONE || m->type == own);
	assert_true(m->number_mask < 1u << MESSAGE_NUMBERS);
	assert_true(m->append_mask < 1u << MESSAGE_FIELDS);
	assert_true(m->recall_field < MESSAGE_FIELDS);
	for (size_t i = 0; i < MESSAGE_FIELDS; i++)
		fuzz__touch(m->field[i]);
	fuzz__touch(m->memo.key);
	fuzz__touch(m->memo.value);
	fuzz__touch(m->recall_key);
}

static void check_same(const struct message *a, const struct message *b)
{
	assert_int_equal(a->type, b->type);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->skip, b->skip);
	assert_int_equal(a->cancels, b->cancels);
	assert_int_equal(a->number_mask, b->number_mask);
	assert_memory_equal(a->number, b->number, sizeof(a->number));
	for (size_t i = 0; i < MESSAGE_FIELDS; i++)
		assert_true(slice__eq(a->field[i], b->field[i]));
	assert_int_equal(a->memo.op, b->memo.op);
	assert_true(slice__eq(a->memo.key, b->memo.key));
	assert_true(slice__eq(a->memo.value, b->memo.value));
	assert_true(slice__eq(a->recall_key, b->recall_key));
}

/* Parses twice, from the same state in other memory: nothing else may count. */
static ssize_t talk__parse(struct talk *t, const struct parse_input *in, struct message *out)
{
	char *state = fuzz__copy(slice__of(t->state, t->protocol->state_size));
	char *bytes = fuzz__copy(in->bytes);
	struct parse_input again = *in;
	struct message other;
	ssize_t len;

	again.bytes.data = bytes;
	memset(out, 0, sizeof(*out));
	memset(&other, 0, sizeof(other));
	len = t->protocol->parse(t->state, in, out);
	assert_int_equal(t->protocol->parse(state, &again, &other), len);
	assert_true(len <= (ssize_t)in->bytes.len);
	assert_true(len >= 0 || len == -EBADMSG || len == -EPROTO);
	if (len > 0) {
		check_fragment(in, out);
		check_same(out, &other);
	}
	free(bytes);
	free(state);
	return len;
}

static size_t side__pass(struct side *side)
{
	size_t len = side->skip < side->waiting.len ? (size_t)side->skip : side->waiting.len;

	side->skip -= len;
	return len;
}

/* Bytes to take off; 0: nothing more to be done now. */
static size_t talk__step(struct talk *t, enum direction dir, bool cut)
{
	struct side *side = &t->side[dir];
	struct parse_input in = { dir, side->waiting, cut, !side->begun };
	struct message m;
	size_t start;
	ssize_t len;

	if (side->skip)
		return side__pass(side);
	if (side->lost) {
		start = t->protocol->resync(t->state, dir, in.bytes);
		assert_true(start <= in.bytes.len);
		side->lost = start == in.bytes.len;
		if (start)
			return start;
	}
	len = talk__parse(t, &in, &m);
	if (len > 0) {
		side->skip = m.skip;
		t->over = m.flags & MESSAGE_UNBIND;
		return (size_t)len;
	}
	side->lost = len < 0 || cut;
	return len < 0 ? 1 : cut ? in.bytes.len : 0;
}

static void talk__read(struct talk *t, enum direction dir, bool cut)
{
	struct side *side = &t->side[dir];
	size_t len;

	while (!t->over && side->waiting.len && (len = talk__step(t, dir, cut))) {
		side->begun = true;
		side__keep(side, slice__skip(side->waiting, len));
	}
}

void fuzz_parser(struct slice in, unsigned int proto)
{
	struct talk t = { .protocol = protocol__by_id(proto) };
	struct reader r = reader__of(in);

	t.state = calloc(1, t.protocol->state_size + 1);
	assert_non_null(t.state);
	while (r.rest.len && !r.bad && !t.over) {
		unsigned int flags = (unsigned int)reader__be(&r, 1);
		size_t len = reader__be(&r, 2);
		enum direction dir = flags & PIECE_TO_CLIENT ? TO_CLIENT : TO_SERVER;
		struct slice piece = slice__head(r.rest, len);

		r.rest = slice__skip(r.rest, len);
		if (flags & PIECE_LOST) {
			side__keep(&t.side[dir], slice__of("", 0));
			t.side[dir].skip = 0;
			t.side[dir].lost = true;
			t.side[dir].begun = true;
		}
		side__add(&t.side[dir], piece);
		talk__read(&t, dir, flags & PIECE_CUT);
		t.side[dir].lost |= !!(flags & PIECE_CUT);
	}
	free((char *)t.side[TO_SERVER].waiting.data);
	free((char *)t.side[TO_CLIENT].waiting.data);
	free(t.state);
}
