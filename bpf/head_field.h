/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the lines of a request head say: the request line and the few fields that matter for
 * the trace context and for where the next request begins.  Pure, as head_data.h.
 */
#ifndef SPANLOOM_HEAD_FIELD_H
#define SPANLOOM_HEAD_FIELD_H

#include "bpf/head_data.h"

/* ---- names -------------------------------------------------------------------------------- */

/* Names that share their first letters with others cost a look at the next eight bytes. */
static __always_inline enum head_kind head__named(struct head_work *w, __u32 from, __u64 word)
{
	__u64 next;

	if (head__is_name(word, "upgrade:"))
		return HEAD_UPGRADE;
	next = head__word(w, from + 8);
	if (head__is_name(word, "tracepar") && head__is_name(next, "ent:"))
		return HEAD_PARENT;
	if (head__is_name(word, "tracesta") && head__is_name(next, "te:"))
		return HEAD_STATE;
	if (head__is_name(word, "content-") && head__is_name(next, "length:"))
		return HEAD_LENGTH;
	if (head__is_name(word, "user-age") && head__is_name(next, "nt:"))
		return HEAD_AGENT;
	if (head__is_name(word, "transfer") && head__is_name(next, "-encodin") &&
	    head__is_name(head__word(w, from + 16), "g:"))
		return HEAD_CODING;
	return HEAD_OTHER;
}

/* The line at @from, not empty, of which there is the end or HEAD_VIEW bytes. */
static __always_inline enum head_kind head__kind(struct head_work *w, __u32 from)
{
	__u64 word = head__word(w, from);

	if (!w->head.count[HEAD_REQUEST])
		return HEAD_REQUEST;
	if (head__is_blank((__u8)word))
		return HEAD_FOLD;
	return head__named(w, from, word);
}

/* ---- ends of values ----------------------------------------------------------------------- */

/* 0x80 in each byte of @word that is not @c. */
static __always_inline __u64 head__differs(__u64 word, __u8 c)
{
	__u64 x = word ^ WORD_ONES * c;

	return (((x & ~WORD_HIGHS) + ~WORD_HIGHS) | x) & WORD_HIGHS;
}

static __always_inline __u64 head__no_blanks(__u64 word)
{
	return head__differs(word, ' ') & head__differs(word, '\t');
}

/* The first byte from @at on that is no blank. */
static __always_inline __u32 head__skip_blanks(struct head_work *w, __u32 at)
{
	for (int i = 0; i < HEAD_BLANKS; i += 8) {
		__u64 found = head__no_blanks(head__word(w, at));

		at += 8;
		if (found) {
			at += word__through_first(found) - 9;
			break;
		}
		at = head__any(at);
	}
	return head__any(at);
}

/* The end of what goes before @end, without blanks and line ends. */
static __always_inline __u32 head__trim(struct head_work *w, __u32 end)
{
	for (int i = 0; i < HEAD_TRIM; i += 8) {
		__u64 word = head__word(w, end - 8);
		__u64 found = head__no_blanks(word) & head__differs(word, '\r') &
			      head__differs(word, '\n');

		/* now of all bytes up to the last one that is found */
		found |= found >> 8;
		found |= found >> 16;
		found |= found >> 32;
		end = head__any(end - 8 + ((found >> 7) * WORD_ONES >> 56));
		if (found)
			break;
	}
	return end;
}

/* Is all of the line there?  An open one may have HEAD_VIEW bytes so far, too. */
static __always_inline int head__is_whole(struct head_work *w, const struct head_spot *line)
{
	return line->end - line->from <= HEAD_VIEW && *head__place(w, line->end - 1) == '\n';
}

/* ---- the request line --------------------------------------------------------------------- */

/* Its beginning, as far as there is any: METHOD, space, a byte of the target. */
static __always_inline void head__method(struct head_work *w, __u32 from, __u32 end)
{
	__u8 c;

	w->at = from;
	w->bad = 1;
	for (int i = 0; i <= HEAD_METHOD_MAX; i++) {
		if (w->at >= end) {
			w->bad = 0;
			break;
		}
		c = *head__place(w, w->at);
		if (c == ' ') {
			w->bad = i == 0;
			break;
		}
		if (!(c >= 'A' && c <= 'Z') && c != '-' && c != '_')
			break;
		w->at++;
	}
	c = *head__place(w, w->at + 1);
	if (w->bad || (w->at + 1 < end && (c <= ' ' || c == 0x7f)))
		w->head.broken = 1;
	if (w->at < end && head__is(head__word(w, from), "CONNECT "))
		w->head.upgrade = 1;
}

/* Its end: " HTTP/1.", a digit, the line's end.  @from: the target begins behind it. */
static __always_inline void head__version(struct head_work *w, __u32 from, __u32 end)
{
	if (*head__place(w, end - 2) == '\r')
		end--;
	if (end < from + 12 || !head__is(head__word(w, end - 10), " HTTP/1.") ||
	    (__u8)(*head__place(w, end - 2) - '0') > 9)
		w->head.broken = 1;
}

/* ---- where the message ends --------------------------------------------------------------- */

/* A number of Content-Length is over: the same one may be repeated (RFC 9112, section 6.3). */
static __always_inline void head__number(struct head_work *w)
{
	struct head *h = &w->head;

	if (!w->digits || w->digits > 18 || (h->has_length && h->content_length != w->number))
		h->broken = 1;
	h->has_length = 1;
	h->content_length = w->number;
	w->number = 0;
	w->digits = 0;
	w->gap = 0;
}

static __always_inline void head__length(struct head_work *w, const struct head_spot *line)
{
	__u32 at = head__skip_blanks(w, line->from + sizeof("content-length:") - 1);

	w->number = 0;
	w->digits = 0;
	w->gap = 0;
	w->bad = 1;
	for (int i = 0; i < HEAD_VIEW / 2; i++) {
		__u8 c = *head__place(w, at + i);

		head__forget();
		if (c >= '0' && c <= '9' && !w->gap) {
			w->number = w->number * 10 + (c - '0');
			w->digits++;
		} else if (c == ',' || c == '\n') {
			head__number(w);
		} else if (head__is_blank(c) || c == '\r') {
			w->gap = w->digits;
		} else {
			break;
		}
		if (c == '\n') {
			w->bad = 0;
			break;
		}
	}
	if (w->bad)
		w->head.broken = 1;
}

/* Is the value from..end, or the last member of it, @name? */
static __always_inline int head__ends_with(struct head_work *w, __u32 from, __u32 end,
					   const char *name)
{
	const __u32 len = __builtin_strlen(name);

	if (end < from + len || !head__is_name(head__word(w, end - len), name))
		return 0;
	end = head__trim(w, end - len);
	return end <= from || *head__place(w, end - 1) == ',';
}

/* A request in a coding whose end cannot be told is to be refused (RFC 9112, section 6.3). */
static __always_inline void head__coding(struct head_work *w, const struct head_spot *line)
{
	__u32 from = head__skip_blanks(w, line->from + sizeof("transfer-encoding:") - 1);
	__u32 end = head__trim(w, line->end);

	if (!head__is_whole(w, line))
		w->head.broken = 1;
	else if (head__ends_with(w, from, end, "chunked"))
		w->head.chunked = 1;
	else if (!head__ends_with(w, from, end, "identity"))
		w->head.broken = 1;
}

/* ---- trace context ------------------------------------------------------------------------ */

static __always_inline void head__parent(struct head_work *w, const struct head_spot *line)
{
	struct head *h = &w->head;
	__u32 from = head__skip_blanks(w, line->from + sizeof("traceparent:") - 1);
	__u32 end = line->from + HEAD_VIEW;
	__u8 *value = head__place(w, from);

	if (head__is_whole(w, line))
		end = head__trim(w, line->end);
	if (end < from)
		end = from;
	h->parent_at = h->size + from - HEAD_VIEW;
	h->parent_len = end - from;
	for (int i = 0; i < HEAD_PARENT_MAX; i += 8)
		word__store(h->traceparent + i, word__load(value + i));
}

/* Lets from..to be copied to the end of tracestate. */
static __always_inline void head__state_add(struct head_work *w, __u32 from, __u32 to)
{
	struct head *h = &w->head;
	__u32 len = h->state_len + to - from;

	if (len > HEAD_STATE_ROOM)
		h->state_cut = 1;
	if (h->state_cut)
		return;
	w->from = from;
	w->to = to;
	w->out = h->state_len;
	h->state_len = len;
}

/* What goes before a line's end, CR LF or LF. */
static __always_inline __u32 head__line_end(struct head_work *w, __u32 end)
{
	return *head__place(w, end - 2) == '\r' ? end - 2 : end - 1;
}

/* The next line, or what there is of it.  The one blank that nearly all have before the value is
 * not copied; others are up to head__normalise(). */
static __always_inline void head__state_line(struct head_work *w, const struct head_spot *line,
					     int over)
{
	struct head *h = &w->head;
	__u32 from = line->from + sizeof("tracestate:") - 1;

	w->at = from;
	w->last = line->end;
	if (*head__place(w, from) == ' ')
		w->at = from + 1;
	if (over)
		w->last = head__line_end(w, line->end);
	head__forget();
	if (h->state_len)
		*head__state_place(h, h->state_len++) = ',';
	head__state_add(w, w->at, w->last);
}

/* The open line goes on.  If all that comes is the LF of its end, the CR was copied earlier. */
static __always_inline void head__state_rest(struct head_work *w)
{
	w->last = w->rest_end;
	if (w->rest_over)
		w->last = head__line_end(w, w->rest_end);
	head__forget();
	if (w->last < HEAD_VIEW && !w->head.state_cut) {
		w->last = HEAD_VIEW;
		w->head.state_len--;
	}
	head__forget();
	head__state_add(w, HEAD_VIEW, w->last);
}

/* Another exporter's traffic is no request of a user. */
static __always_inline void head__agent(struct head_work *w, const struct head_spot *line)
{
	__u32 at = head__skip_blanks(w, line->from + sizeof("user-agent:") - 1);
	__u64 first = head__word(w, at), second = head__word(w, at + 8);
	__u64 third = head__word(w, at + 16);

	if (head__is(first, "spanloom") && head__is(second, "/"))
		w->head.telemetry = 1;
	if (head__is(first, "OTel-OTL") && head__is(second, "P-Export") && head__is(third, "er-"))
		w->head.telemetry = 1;
}

#endif
