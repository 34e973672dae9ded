// SPDX-License-Identifier: Apache-2.0
/*
 * What decides in the kernel where a header goes: the reader of request heads and that of chunks.
 * However the bytes are cut, the outcome is the same, and never at odds with user space's.
 *
 *	input:	how many bytes of lengths of pieces, and these; the head or the body
 */
#include "tests/fuzz/fuzz.h"

#include "bpf/chunk.h"
#include "tests/unit/head_agreement.h"
#include "tests/unit/head_scene.h"
#include "user/flow/tracestate.h"
#include "user/protocols/http1_body.h"

#define PIECES_MAX 15

static size_t step_of(struct slice pieces, size_t i, size_t none)
{
	size_t step = pieces.len ? (unsigned char)pieces.data[i % pieces.len] : 0;

	return step ? step : none;
}

/* As feed(), by these steps. */
static size_t feed_pieces(struct slice in, struct slice pieces)
{
	size_t used = 0;

	memset(&work->head, 0xa5, sizeof(work->head));
	head__start(&work->head);
	for (size_t i = 0; used < in.len && !work->head.done && !work->head.broken; i++) {
		struct slice piece =
			slice__head(slice__skip(in, used), step_of(pieces, i, HEAD_WINDOW));
		size_t got = scan(piece);

		assert_true(got <= piece.len);
		assert_true(got == piece.len || work->head.done);
		used += got;
	}
	return used;
}

void fuzz_head(struct slice in, unsigned int proto)
{
	struct reader r = reader__of(in);
	struct slice pieces = reader__bytes(&r, reader__be(&r, 1) & PIECES_MAX);
	struct slice text = slice__head(r.rest, 2 * HEAD_WINDOW);
	struct head want;
	size_t used;

	if (!work)
		assert_int_equal(head_scene__map(NULL), 0);
	used = feed_pieces(text, pieces);
	want = visible();
	expect_same(text, &want, used, "in these pieces");
	used = feed(text, 1, 1);
	expect_same(text, &want, used, "byte by byte");
	used = feed_whole(text);
	expect_same(text, &want, used, "whole");
	text = slice__head(text, used);
	if (!work->head.done || head__is_contested(text))
		return;
	head__expect_offsets(text);
	head__expect_agreement(text);
}

/* ---- chunks ------------------------------------------------------------------------------- */

/* How many bytes of @in belong to the body; SIZE_MAX: they are no chunks. */
static size_t chunks_end(struct slice in, struct slice pieces)
{
	struct chunk chunk = { 0 };
	size_t at = 0;

	for (size_t i = 0; at < in.len && chunk.state < CHUNK_DONE; i++) {
		size_t end = at + step_of(pieces, i, in.len - at);

		end = end < in.len ? end : in.len;
		while (at < end && chunk.state < CHUNK_DONE) {
			if (chunk.state == CHUNK_DATA)
				at += chunk__skip(&chunk, (__u32)(end - at));
			else
				chunk__byte(&chunk, (__u8)in.data[at++]);
		}
	}
	return chunk.state == CHUNK_DONE ? at : SIZE_MAX;
}

void fuzz_chunks(struct slice in, unsigned int proto)
{
	static const struct slice one = SLICE("\1");
	struct reader r = reader__of(in);
	struct slice pieces = reader__bytes(&r, reader__be(&r, 1) & PIECES_MAX);
	enum http1_chunk state = HTTP1_CHUNK_SIZE;
	size_t end = chunks_end(r.rest, slice__of("", 0));
	char *body = fuzz__copy(r.rest);
	struct slice rest = slice__of(body, r.rest.len);
	uint64_t skip;
	ssize_t len;

	assert_int_equal(chunks_end(rest, pieces), end);
	assert_int_equal(chunks_end(rest, one), end);
	len = http1_body__chunks(&state, rest, &skip);
	assert_true(len <= (ssize_t)rest.len);
	assert_true(http1_body__last_chunk(rest) <= rest.len);
	if (end != SIZE_MAX) { /* where a header may go, the next request begins */
		assert_int_equal(len, end);
		assert_int_equal(state, HTTP1_CHUNK_END);
	}
	free(body);
}

/* ---- trace context ------------------------------------------------------------------------ */

/* The kernel's normal form of @text, which is not longer than HEAD_STATE_MAX, and user space's. */
static void check_state(struct slice text)
{
	struct arena arena;
	struct slice want;

	if (!work)
		assert_int_equal(head_scene__map(NULL), 0);
	memset(&work->head, 0, sizeof(work->head));
	memset(work->head.tracestate, 'x', sizeof(work->head.tracestate));
	if (text.len)
		memcpy(work->head.tracestate, text.data, text.len);
	work->head.state_len = (uint16_t)text.len;
	arena__init(&arena, 64 * 1024);
	want = tracestate__normalise(&arena, text);
	head__normalise(work);
	assert_true(slice__eq(slice__of(work->head.tracestate, work->head.state_len), want));
	arena__reset(&arena);
}

/* input: a traceparent, a line end, a tracestate */
void fuzz_traces(struct slice in, unsigned int proto)
{
	struct slice parent = fuzz__part(&in, '\n');
	char *value = fuzz__copy(parent), *state = fuzz__copy(in);
	struct traceparent out;
	struct slice normal;
	struct arena arena;

	if (traceparent_parse(value, (unsigned int)parent.len, &out)) {
		assert_true(parent.len >= TRACEPARENT_LEN);
		assert_true((out.flags & ~TRACEPARENT_FLAGS) == 0);
	}
	arena__init(&arena, 64 * 1024);
	normal = tracestate__normalise(&arena, slice__of(state, in.len));
	assert_true(normal.len <= TRACESTATE_MAX_BYTES);
	assert_true(slice__eq(tracestate__normalise(&arena, normal), normal));
	arena__reset(&arena);
	check_state(slice__of(state, in.len < HEAD_STATE_MAX ? in.len : HEAD_STATE_MAX));
	free(state);
	free(value);
}
