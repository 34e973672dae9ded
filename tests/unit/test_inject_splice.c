// SPDX-License-Identifier: Apache-2.0
/*
 * bpf/inject_splice.h: whatever a helper refuses, what leaves is the message with its lines, or the
 * message.  Of kernels old and new, messages in pieces of all kinds, and each combination of
 * refusals.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_msg.h"

#define HEAD	 "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define AT	 (sizeof(HEAD) - 3) /* before the empty line */
#define LINES	 "traceparent: 00-11111111111111111111111111111111-2222222222222222-01\r\n"
#define BODY	 "body of it"
#define WHOLE	 (sizeof(HEAD BODY) - 1)
#define ROOM	 512
#define REFUSALS (1U << 8) /* no way has more calls, nor takes more pages */

static char text[ROOM]; /* of the desk */
static __u32 text_len;
static bool has_no_desk;

int inject__write(struct sk_msg_md *msg, __u32 number, __u32 at)
{
	unsigned char *out = fake_msg__view(msg, at, text_len);

	(void)number;
	if (has_no_desk || !out)
		return 1;
	memcpy(out, text, text_len);
	return 0;
}

enum way { EXCHANGE, INSERT };

static const char grown[] = "GET / HTTP/1.1\r\nHost: a\r\n" LINES "\r\n" BODY;

/* The message in @pieces pieces; the first one has @first bytes. */
static void compose(struct sk_msg_md *msg, __u32 pieces, __u32 first, bool shared)
{
	static const char bytes[] = HEAD BODY;
	__u32 at = first;

	fake_msg__init(msg);
	fake_msg__add(msg, bytes, pieces == 1 ? WHOLE : first, shared);
	for (__u32 i = 1; i < pieces; i++) {
		__u32 len = i + 1 == pieces ? WHOLE - at : 1;

		fake_msg__add(msg, bytes + at, len, shared);
		at += len;
	}
}

/* By the rules of exchange: all of the message; of insert: the lines. */
static int splice(struct sk_msg_md *msg, enum way way)
{
	text_len = (__u32)snprintf(text, sizeof(text), "%s", way == EXCHANGE ? grown : LINES);
	if (way == EXCHANGE)
		return inject_splice__exchange(msg, 0, AT, sizeof(LINES) - 1, WHOLE);
	return inject_splice__insert(msg, 0, AT, sizeof(LINES) - 1, sizeof(HEAD) - 1, WHOLE);
}

/* What leaves is right, by what is said of it; @torn: it may be that nothing is to leave. */
static void check(const struct sk_msg_md *msg, int told, bool torn)
{
	char left[ROOM];
	__u32 len;

	if (told == INJECT_TORN && torn)
		return;
	len = fake_msg__read(msg, left, sizeof(left));
	assert_int_equal(told, len - WHOLE);
	assert_int_equal(len, told ? sizeof(grown) - 1 : WHOLE);
	assert_memory_equal(left, told ? grown : HEAD BODY, len);
}

/* Bits: what refuses, of the kernel and of ours. */
static void each_kernel(enum way way, __u32 pieces, __u32 first, unsigned int no_page,
			unsigned int refused)
{
	for (unsigned int kind = 0; kind < 16; kind++) {
		static struct sk_msg_md msg;
		int told;

		compose(&msg, pieces, first, kind & 4);
		msg.keeps_end = kind & 1;
		msg.loses_tail = kind & 2;
		msg.no_page = no_page << msg.pages;
		msg.refused = refused;
		has_no_desk = kind & 8;
		told = splice(&msg, way);
		check(&msg, told, refused);
		if (!no_page && !refused && !has_no_desk)
			assert_int_equal(told, sizeof(LINES) - 1);
	}
}

static void each_message(unsigned int no_page)
{
	each_kernel(EXCHANGE, 1, 0, no_page, 0);
	each_kernel(INSERT, 1, 0, no_page, 0);
	for (__u32 first = 1; first < WHOLE; first++)
		each_kernel(INSERT, 2, first, no_page, 0);
	for (__u32 pieces = 3; pieces <= FAKE_PIECES_MAX; pieces++)
		for (__u32 first = 1; first + pieces <= WHOLE; first += 5)
			each_kernel(INSERT, pieces, first, no_page, 0);
}

/* All goes well: the lines are in, once. */
static void test_lines_go_in(void **state)
{
	(void)state;
	each_message(0);
}

/* Whichever pages there are none of: the program's send does not fail. */
static void test_no_memory(void **state)
{
	(void)state;
	for (unsigned int no_page = 1; no_page < 1U << 4; no_page++)
		each_message(no_page);
}

/* Whatever is refused, for reasons that the kernel does not have: no byte of nobody's leaves. */
static void test_refusals(void **state)
{
	(void)state;
	for (unsigned int refused = 1; refused < REFUSALS; refused++) {
		each_kernel(EXCHANGE, 1, 0, 0, refused);
		each_kernel(INSERT, 1, 0, 0, refused);
		each_kernel(INSERT, 3, AT - 2, 0, refused);
		each_kernel(INSERT, FAKE_PIECES_MAX, 1, 0, refused);
	}
}

/* One refusal alone is mended. */
static void test_one_refusal(void **state)
{
	static struct sk_msg_md msg;

	(void)state;
	has_no_desk = false;
	for (unsigned int call = 0; call < 8; call++) {
		for (enum way way = EXCHANGE; way <= INSERT; way++) {
			compose(&msg, way == EXCHANGE ? 1 : 2, AT - 3, false);
			msg.refused = 1U << call;
			check(&msg, splice(&msg, way), false);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_go_in),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_one_refusal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
