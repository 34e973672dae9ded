// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/head_agreement.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/head_scene.h"
#include "user/base/arena.h"
#include "user/flow/tracestate.h"
#include "user/protocols/http1_head.h"

bool head__is_contested(struct slice in)
{
	struct slice line = SLICE("");

	while (line.len == 0 && http1_head__line(&in, &line))
		;
	for (size_t i = 0; i < line.len; i++)
		if ((unsigned char)line.data[i] < ' ' || line.data[i] == 0x7f)
			return true;
	while (http1_head__line(&in, &line)) {
		struct slice name = slice__head(line, slice__find(line, ':'));

		if (slice__trim(name).len != name.len || memchr(line.data, '\r', line.len))
			return true;
	}
	return false;
}

static bool parse(struct slice in, struct http1_join *join, struct message *out)
{
	struct http1_framing framing;
	struct slice line = SLICE("");

	memset(out, 0, sizeof(*out));
	while (line.len == 0)
		if (!http1_head__line(&in, &line))
			return false;
	return http1_head__request_line(line, out) == 0 &&
	       http1_head__fields(&in, join, &framing, out) == 1;
}

void head__expect_agreement(struct slice in)
{
	struct traceparent ours, theirs;
	struct http1_join join;
	struct message m;
	struct slice value;
	struct arena arena;
	int valid;

	if (!parse(in, &join, &m))
		fail_msg("done: \"%.*s\"", (int)in.len, in.data);
	value = m.field[HTTP1_TRACEPARENT];
	valid = m.number[HTTP1_TRACEPARENTS] == 1 &&
		traceparent_parse(value.data, (unsigned int)value.len, &theirs);
	if (head__context(&work->head, &ours) != valid)
		fail_msg("traceparent of \"%.*s\"", (int)in.len, in.data);
	if (valid)
		assert_memory_equal(&ours, &theirs, sizeof(ours));
	if (work->head.state_cut || work->head.state_len > HTTP1_JOIN_BYTES)
		return; /* of too long a list user space keeps what it can */
	arena__init(&arena, 64 * 1024);
	value = tracestate__normalise(&arena, m.field[HTTP1_TRACESTATE]);
	head__normalise(work);
	if (!slice__eq(slice__of(work->head.tracestate, work->head.state_len), value))
		fail_msg("tracestate of \"%.*s\"", (int)in.len, in.data);
	arena__reset(&arena);
}

void head__expect_offsets(struct slice in)
{
	static const char line[] = "traceparent: " OTHER "\r\n";
	struct head h = work->head;
	struct traceparent out;
	struct http1_join join;
	struct message m;
	char text[3 * HEAD_WINDOW];
	size_t len = sizeof(line) - 1;

	memcpy(text, in.data, h.end_at);
	memcpy(text + h.end_at, line, len);
	memcpy(text + h.end_at + len, in.data + h.end_at, in.len - h.end_at);
	assert_true(parse(slice__of(text, in.len + len), &join, &m));
	assert_int_equal(m.number[HTTP1_TRACEPARENTS], h.count[HEAD_PARENT] + 1);
	assert_true(slice__eq(m.field[HTTP1_TRACEPARENT], SLICE(OTHER)));
	if (!head__context(&h, &out) || h.parent_len != TRACEPARENT_LEN)
		return;
	memcpy(text, in.data, in.len);
	memcpy(text + h.parent_at, OTHER, sizeof(OTHER) - 1);
	assert_true(parse(slice__of(text, in.len), &join, &m));
	assert_true(slice__eq(m.field[HTTP1_TRACEPARENT], SLICE(OTHER)));
}
