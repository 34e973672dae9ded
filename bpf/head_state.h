/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The tracestate of a request in normal form, by the rules of W3C Trace Context, Level 2: as
 * user/flow/tracestate.c does it.  Pure, as head_data.h.
 *
 * What is longer than HEAD_STATE_MAX is dropped whole: which of its members are to go cannot be
 * told from its beginning.
 */
#ifndef SPANLOOM_HEAD_STATE_H
#define SPANLOOM_HEAD_STATE_H

#include "bpf/head_data.h"

#define HEAD_KEY_MAX   256
#define HEAD_VALUE_MAX 256

/* Keys are told apart by this hash (FNV-1a): who makes two that collide loses one member of the
 * list that he has sent. */
#define HEAD_HASH_START 0xcbf29ce484222325ULL
#define HEAD_HASH_PRIME 0x100000001b3ULL

static __always_inline int head__is_key_start(__u8 c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static __always_inline int head__is_key(__u8 c)
{
	return head__is_key_start(c) || c == '_' || c == '-' || c == '*' || c == '/' || c == '@';
}

/* ---- taking apart ------------------------------------------------------------------------- */

/* The member that is being read, if any, is the first @at bytes' last. */
static __always_inline void head__member_end(struct head_members *m, __u32 at)
{
	if (!m->now.from || m->now.end != at)
		m->changed = 1; /* it is empty, or there are blanks behind it */
	if (!m->now.from)
		return;
	m->member[m->count % HEAD_STATE_LINES] = m->now;
	m->count++;
	m->now.from = 0;
	m->now.equals = 0;
	m->tab = 0;
}

static __always_inline void head__member_blank(struct head_members *m, __u8 c)
{
	if (!m->now.from)
		m->changed = 1;
	else if (!m->now.equals)
		m->bad = 1;
	else if (c == '\t')
		m->tab = 1; /* only blanks may follow */
}

static __always_inline void head__member_byte(struct head_members *m, __u8 c, __u32 at)
{
	if (!m->now.from) {
		m->now.from = at;
		m->now.first = c;
		m->now.key = HEAD_HASH_START;
	}
	m->now.end = at;
	m->bad |= m->tab;
	if (m->now.equals) {
		if (c < ' ' || c > '~' || c == '=')
			m->bad = 1;
	} else if (c == '=') {
		m->now.equals = at;
	} else {
		if (!head__is_key(c))
			m->bad = 1;
		m->now.key = (m->now.key ^ c) * HEAD_HASH_PRIME;
	}
}

/* The next stretch of the tracestate. */
static __always_inline void head__members(struct head_work *w)
{
	struct head_members *m = &w->members;
	struct head *h = &w->head;

	for (__u32 i = 0; i < HEAD_STATE_STRETCH; i++) {
		__u32 at = m->at;
		__u8 c;

		head__forget();
		if (at >= h->state_len || m->bad)
			break;
		c = *head__state_place(h, at);
		if (c == ',')
			head__member_end(m, at);
		else if (head__is_blank(c))
			head__member_blank(m, c);
		else
			head__member_byte(m, c, at + 1);
		m->at = at + 1;
	}
}

/* The beginning of the key, the lengths of key and value. */
static __always_inline int head__member_fits(const struct head_member *member)
{
	__u32 key_len = member->equals - member->from, value_len = member->end - member->equals;

	return head__is_key_start(member->first) && member->equals && key_len <= HEAD_KEY_MAX &&
	       value_len - 1 < HEAD_VALUE_MAX;
}

/* ---- putting together --------------------------------------------------------------------- */

/* Of several members of one key the first, which is the newest, counts. */
static __always_inline void head__members_once(struct head_members *m)
{
	for (int i = 0; i < HEAD_STATE_LINES; i++) {
		struct head_member *member = &m->member[i];

		if (i >= m->count)
			break;
		if (!head__member_fits(member))
			m->bad = 1;
		for (int k = 0; k < i; k++) {
			if (m->member[k].key != member->key)
				continue;
			member->end = 0;
			m->changed = 1;
		}
	}
}

static __always_inline __u8 *head__out_place(struct head_members *m, __u64 at)
{
	asm volatile("" : "+r"(at)); /* as in head__state_place() */
	if (at > HEAD_STATE_ROOM)
		at = HEAD_STATE_ROOM;
	return m->out + at;
}

/* A step copies eight bytes, or turns to the next member. */
#define HEAD_MEMBER_STEPS (HEAD_STATE_ROOM / 8 + 2 * HEAD_STATE_LINES)

static __always_inline void head__members_copy(struct head *h, struct head_members *m)
{
	m->from = 0;
	m->end = 0;
	m->out_len = 0;
	m->next = 0;
	for (int i = 0; i < HEAD_MEMBER_STEPS; i++) {
		const struct head_member *member;

		head__forget();
		if (m->from < m->end) {
			word__store(head__out_place(m, m->out_at),
				    word__load(head__state_place(h, m->from)));
			m->from += 8;
			m->out_at += 8;
			continue;
		}
		if (m->next >= m->count)
			break;
		member = &m->member[m->next++ % HEAD_STATE_LINES];
		if (!member->end)
			continue;
		m->from = member->from - 1;
		m->end = member->end;
		if (m->out_len)
			*head__out_place(m, m->out_len++) = ',';
		m->out_at = m->out_len;
		m->out_len += m->end - m->from;
	}
	for (int i = 0; i < HEAD_STATE_ROOM; i += 8)
		word__store(h->tracestate + i, word__load(m->out + i));
	h->state_len = m->out_len;
}

/* Before the first stretch. */
static __always_inline void head__members_begin(struct head_work *w)
{
	__builtin_memset(&w->members, 0, offsetof(struct head_members, member));
}

/* Behind the last one. */
static __always_inline void head__members_over(struct head_work *w)
{
	struct head_members *m = &w->members;
	struct head *h = &w->head;

	head__member_end(m, h->state_len);
	if (m->count > HEAD_STATE_LINES || h->folded & 1 << HEAD_STATE)
		m->bad = 1;
	head__members_once(m);
	head__forget();
	if (m->bad)
		h->state_len = 0;
	else if (m->changed)
		head__members_copy(h, m);
	if (h->state_len > HEAD_STATE_MAX)
		h->state_cut = 1;
	if (h->state_cut)
		h->state_len = 0;
}

/* Of a head that is done and has a valid context: makes of tracestate what is to be sent on.  The
 * kernel calls head__normalise_slot() of head.bpf.h, which takes the same steps. */
static __always_inline void head__normalise(struct head_work *w)
{
	if (!w->head.state_len)
		return;
	head__members_begin(w);
	for (int i = 0; i < HEAD_STATE_STRETCHES; i++)
		head__members(w);
	head__members_over(w);
}

#endif
