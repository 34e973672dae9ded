/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reads the head of an HTTP/1.x request (RFC 9112) for its trace context, for the place where a
 * header line can be put in, and for how the body is framed.  Pure: compiles for the kernel,
 * where it runs while the request is on its way, and for the host.
 *
 * Ends of lines are searched for eight bytes at a time; only lines whose first letter can be
 * that of a name that matters are looked at closer, and these after the search.  Bare LF ends
 * a line.  A folded traceparent or tracestate is not valid.
 */
#ifndef SPANLOOM_HEAD_H
#define SPANLOOM_HEAD_H

#include "bpf/head_data.h"
#include "bpf/head_field.h"
#include "bpf/head_state.h"

/* A step passes over 16 bytes without a LF, or over a line's end. */
#define HEAD_STEPS     (HEAD_WINDOW / 16 + HEAD_LINES_MAX + 2)
#define HEAD_STRETCHES ((HEAD_STEPS + HEAD_STRETCH - 1) / HEAD_STRETCH)

/* ---- finding lines ------------------------------------------------------------------------ */

/* 0x80 in the byte of the first LF, and perhaps in some behind it; 0: there is none. */
static __always_inline __u64 head__line_feeds(__u64 word)
{
	__u64 x = word ^ WORD_ONES * '\n';

	return (x - WORD_ONES) & ~x & WORD_HIGHS;
}

/* Can @c begin a name that matters, an empty line or a folded one?  By its lower six bits, so
 * some others are let through. */
static __always_inline int head__is_near(__u8 c)
{
	const __u64 near = 1ULL << ('t' & 63) | 1ULL << ('T' & 63) | 1ULL << ('c' & 63) |
			   1ULL << ('C' & 63) | 1ULL << ('u' & 63) | 1ULL << ('U' & 63) |
			   1ULL << ' ' | 1ULL << '\t' | 1ULL << '\r' | 1ULL << '\n';

	return near >> (c & 63) & 1;
}

static __always_inline int head__is_empty(__u64 word)
{
	return (__u8)word == '\n' || (word & 0xffff) == ('\n' << 8 | '\r');
}

/* A line has ended.  Should there be more of them than we follow, head__sort() will see. */
static __always_inline void head__line(struct head_work *w, __u32 from, __u32 end)
{
	struct head *h = &w->head;
	__u64 word;
	__u32 n;

	if (h->open) {
		h->open = HEAD_NONE;
		w->rest_end = end;
		w->rest_over = 1;
		return;
	}
	h->lines++;
	word = head__word(w, from);
	if (h->begun && !head__is_near(word))
		return;
	if (head__is_empty(word)) {
		h->done = h->begun;
		return;
	}
	h->begun = 1;
	h->near_lines++;
	n = w->near_lines++ & (HEAD_NEAR_MAX - 1);
	w->near[n].from = from;
	w->near[n].end = end;
}

/* Goes through the lines of this piece, for a stretch; after the last one w->from is the beginning
 * of the line that did not end, or of the empty one. */
static __always_inline void head__lines(struct head_work *w)
{
	__u32 at = head__any(w->at);

	for (int i = 0; i < HEAD_STRETCH; i++) {
		__u64 feeds = head__line_feeds(head__word(w, at));

		if (!feeds) {
			at += 8;
			feeds = head__line_feeds(head__word(w, at));
		}
		if (!feeds) {
			at += 8;
			if (at >= head__fresh(&w->end)) {
				w->over = 1;
				break;
			}
		} else {
			at += word__through_first(feeds);
			if (at > head__fresh(&w->end)) {
				w->over = 1;
				break;
			}
			w->at = at;
			head__forget();
			head__line(w, w->from, w->at);
			head__forget();
			if (w->head.done) {
				w->over = 1;
				break;
			}
			at = w->at;
			w->from = at;
		}
		at = head__any(at);
	}
	w->at = at;
}

/* Before the first stretch. */
static __always_inline void head__find(struct head_work *w)
{
	struct head *h = &w->head;

	w->near_lines = 0;
	w->rest_kind = h->open;
	w->rest_end = 0;
	w->rest_over = 0;
	w->end = HEAD_VIEW + w->len;
	w->at = HEAD_VIEW;
	w->from = HEAD_VIEW - h->unfinished;
	w->sorted = w->from;
	w->over = 0;
	__builtin_memset(w->found, 0, sizeof(w->found));
}

/* ---- sorting them ------------------------------------------------------------------------- */

/* Clang sees that the mask is idle; the verifier of 5.10 does not see what clang sees. */
static __always_inline struct head_spot *head__spot(struct head_work *w, __u64 kind, __u64 n)
{
	n += kind * HEAD_STATE_LINES;
	asm volatile("" : "+r"(n));
	return &w->spot[n & (HEAD_KINDS * HEAD_STATE_LINES - 1)];
}

/* Notes the line, or what there is of it, by its kind. */
static __always_inline void head__note(struct head_work *w, __u32 from, __u32 end)
{
	struct head *h = &w->head;
	struct head_spot *spot;
	__u32 kind, n;

	w->kind = head__kind(w, from);
	head__forget();
	kind = w->kind;
	if (from != w->sorted)
		h->last = HEAD_OTHER; /* a line in between */
	w->sorted = end;
	if (kind == HEAD_FOLD) {
		h->folded |= 1 << (h->last & (HEAD_KINDS - 1));
		return;
	}
	h->last = kind;
	if (kind >= HEAD_KINDS)
		return;
	h->count[kind]++;
	n = w->found[kind];
	if (n >= HEAD_STATE_LINES)
		return;
	w->found[kind] = n + 1;
	spot = head__spot(w, kind, n);
	spot->from = from;
	spot->end = end;
}

/* What is left is the beginning of a line.  A long one is read now, as far as it goes. */
static __always_inline void head__keep(struct head_work *w, __u32 end)
{
	struct head *h = &w->head;
	const __u32 from = w->from;

	h->unfinished = 0;
	if (h->open) {
		w->rest_end = end;
		return;
	}
	if (end - from >= HEAD_VIEW) {
		h->lines++;
		h->near_lines += !h->begun || head__is_near(*head__place(w, from));
		h->begun = 1;
		head__note(w, from, end);
		h->open = w->kind;
		return;
	}
	if (from != w->sorted)
		h->last = HEAD_OTHER;
	h->unfinished = end - from;
	if (h->begun || *head__place(w, from) == '\r')
		return;
	w->found[HEAD_REQUEST] = 1; /* what begins wrong is broken at once */
	w->spot[HEAD_REQUEST * HEAD_STATE_LINES].from = from;
	w->spot[HEAD_REQUEST * HEAD_STATE_LINES].end = end;
}

static __always_inline void head__sort(struct head_work *w)
{
	struct head *h = &w->head;

	if (w->rest_over)
		w->sorted = w->rest_end;
	for (__u32 i = 0; i < HEAD_NEAR_MAX; i++) {
		if (i >= w->near_lines)
			break;
		head__note(w, w->near[i].from, w->near[i].end);
		head__forget();
	}
	if (h->done) {
		w->used = w->at - HEAD_VIEW;
		h->end_at = h->size + w->from - HEAD_VIEW;
	} else {
		head__keep(w, w->end);
	}
	if (h->lines > HEAD_LINES_MAX || h->near_lines > HEAD_NEAR_MAX)
		h->broken = 1;
}

/* ---- what they say ------------------------------------------------------------------------ */

/* Was the first line of @kind in this piece? */
static __always_inline int head__is_new(const struct head_work *w, enum head_kind kind)
{
	return w->found[kind] && w->found[kind] == w->head.count[kind];
}

/* The one-line fields. */
static __always_inline void head__read(struct head_work *w)
{
	const struct head_spot *line = &w->spot[HEAD_REQUEST * HEAD_STATE_LINES];

	if (w->found[HEAD_REQUEST])
		head__method(w, line->from, line->end);
	if (head__is_new(w, HEAD_REQUEST) && w->head.open != HEAD_REQUEST)
		head__version(w, w->at, line->end);
	if (w->rest_over && w->rest_kind == HEAD_REQUEST)
		head__version(w, 0, w->rest_end);
	if (head__is_new(w, HEAD_PARENT))
		head__parent(w, &w->spot[HEAD_PARENT * HEAD_STATE_LINES]);
	if (head__is_new(w, HEAD_AGENT))
		head__agent(w, &w->spot[HEAD_AGENT * HEAD_STATE_LINES]);
}

static __always_inline void head__read_frames(struct head_work *w)
{
	for (int i = 0; i < HEAD_FRAMES; i++) {
		if (i < w->found[HEAD_LENGTH])
			head__length(w, &w->spot[HEAD_LENGTH * HEAD_STATE_LINES + i]);
		head__forget();
		if (i < w->found[HEAD_CODING])
			head__coding(w, &w->spot[HEAD_CODING * HEAD_STATE_LINES + i]);
		head__forget();
	}
}

/* A step copies eight bytes, or turns to the next line. */
#define HEAD_STATE_STEPS (HEAD_STATE_ROOM / 8 + 2 * (HEAD_STATE_LINES + 1))

static __always_inline void head__read_states(struct head_work *w)
{
	struct head *h = &w->head;

	w->from = 0;
	w->to = 0;
	w->line = 0;
	if (w->rest_kind == HEAD_STATE)
		head__state_rest(w);
	for (int i = 0; i < HEAD_STATE_STEPS; i++) {
		__u32 n;

		head__forget();
		if (w->from < w->to) {
			word__store(head__state_place(h, w->out), head__word(w, w->from));
			w->from += 8;
			w->out += 8;
			continue;
		}
		n = w->line++;
		if (n >= w->found[HEAD_STATE])
			break;
		head__state_line(w, &w->spot[HEAD_STATE * HEAD_STATE_LINES + n % HEAD_STATE_LINES],
				 h->open != HEAD_STATE || n + 1 < w->found[HEAD_STATE]);
	}
}

/* The next piece goes where this one was. */
static __always_inline void head__move_tail(struct head_work *w)
{
	for (int i = 0; i < HEAD_VIEW; i += 8)
		word__store(w->head.tail + i, head__word(w, w->len + i));
}

/* What the head as a whole has to be. */
static __always_inline __u32 head__end(struct head_work *w)
{
	const __u8 whole = 1 << HEAD_REQUEST | 1 << HEAD_LENGTH | 1 << HEAD_CODING;
	struct head *h = &w->head;

	h->size += w->used;
	if (h->size > HEAD_MAX || h->folded & whole || h->count[HEAD_LENGTH] > HEAD_FRAMES ||
	    h->count[HEAD_CODING] > HEAD_FRAMES)
		h->broken = 1;
	if (h->broken)
		h->done = 0;
	if (h->count[HEAD_UPGRADE])
		h->upgrade = 1;
	if (h->done && h->chunked)
		h->has_length = 0;
	if (h->count[HEAD_STATE] > HEAD_STATE_LINES)
		h->state_cut = 1;
	if (h->state_cut)
		h->state_len = 0;
	if (!h->done)
		head__move_tail(w);
	return h->broken ? w->len : w->used;
}

/* ---- to call ------------------------------------------------------------------------------ */

/* Before the first byte of a request.  The arrays need no zeros: of each there is a length. */
static __always_inline void head__start(struct head *h)
{
	__builtin_memset(h, 0, offsetof(struct head, traceparent));
}

/* Is there more to read? */
static __always_inline int head__begin(struct head_work *w)
{
	if (w->len > HEAD_WINDOW)
		w->len = HEAD_WINDOW;
	w->used = w->head.done ? 0 : w->len;
	return !w->head.done && !w->head.broken;
}

/*
 * Reads @len of @bytes on.  How many of them belong to this head: all, or those up to the end
 * of the empty line; then @done is set, and further calls read nothing.  The kernel calls
 * head__scan_slot() of head.bpf.h, which takes the same steps.
 */
static __always_inline __u32 head__scan(struct head_work *w)
{
	if (!head__begin(w))
		return w->used;
	head__find(w);
	for (int i = 0; i < HEAD_STRETCHES && !w->over; i++)
		head__lines(w);
	head__sort(w);
	head__read(w);
	head__read_frames(w);
	head__read_states(w);
	return head__end(w);
}

/* Of a head that is done: 1 and the trace context, when it has one that is valid. */
static __always_inline int head__context(const struct head *h, struct traceparent *out)
{
	if (h->count[HEAD_PARENT] != 1 || h->folded & 1 << HEAD_PARENT)
		return 0;
	return traceparent_parse(h->traceparent, h->parent_len, out);
}

#endif
