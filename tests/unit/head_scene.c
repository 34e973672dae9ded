// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/head_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/mman.h>
#include <unistd.h>

struct head_work *work;

int head_scene__map(void **unused)
{
	size_t page = (size_t)getpagesize();
	size_t room = (sizeof(*work) + page - 1) / page * page;
	char *at =
		mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED || mprotect(at + room, page, PROT_NONE))
		return -1;
	work = (struct head_work *)(at + room - sizeof(*work));
	return 0;
}

static const char misleading[] =
	"\r\n\r\ntraceparent: 00-\r\ntracestate: a=1\r\n\n\n        \n\t\r\n";

size_t scan(struct slice piece)
{
	size_t skip = piece.len & 1; /* CR LF comes next, or LF */

	memset(work->bytes, '\n', sizeof(work->bytes));
	memcpy(work->bytes + HEAD_WINDOW, misleading, sizeof(misleading));
	memcpy(work->bytes, piece.data, piece.len);
	if (piece.len < HEAD_WINDOW - sizeof(misleading))
		memcpy(work->bytes + piece.len, misleading + skip, sizeof(misleading) - skip);
	work->len = (uint32_t)piece.len;
	return head__scan(work);
}

size_t feed(struct slice in, size_t first, size_t step)
{
	size_t used = 0;

	memset(&work->head, 0xa5, sizeof(work->head));
	head__start(&work->head);
	while (used < in.len && !work->head.done && !work->head.broken) {
		struct slice piece = slice__head(slice__skip(in, used), used ? step : first);
		size_t got = scan(piece);

		assert_true(got <= piece.len);
		assert_true(got == piece.len || work->head.done);
		used += got;
	}
	return used;
}

size_t feed_whole(struct slice in)
{
	return feed(in, HEAD_WINDOW, HEAD_WINDOW);
}

struct head visible(void)
{
	struct head h = work->head;
	size_t parent_len = h.parent_len < HEAD_PARENT_MAX ? h.parent_len : HEAD_PARENT_MAX;

	memset(h.tail, 0, sizeof(h.tail));
	memset(h.traceparent + parent_len, 0, HEAD_PARENT_MAX - parent_len);
	memset(h.tracestate + h.state_len, 0, sizeof(h.tracestate) - h.state_len);
	if (h.done)
		h.unfinished = h.last = 0;
	if (h.broken) {
		memset(&h, 0, sizeof(h));
		h.broken = 1;
	}
	return h;
}

void expect_same(struct slice in, const struct head *want, size_t used, const char *how)
{
	struct head got = visible();

	if (memcmp(&got, want, sizeof(got)) != 0 || (!want->broken && used != work->head.size))
		fail_msg("%s differs: \"%.*s\"", how, (int)in.len, in.data);
}

void read_head(struct slice in)
{
	size_t used = feed_whole(in);
	struct head want = visible();

	for (size_t cut = 1; cut < in.len; cut++) {
		used = feed(in, cut, HEAD_WINDOW);
		expect_same(in, &want, used, "torn in two");
	}
	for (size_t step = 1; step < 24; step += 11) {
		used = feed(in, step, step);
		expect_same(in, &want, used, "in small pieces");
	}
	used = feed_whole(in);
	expect_same(in, &want, used, "again");
}
