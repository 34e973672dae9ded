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

/* Keys are told apart by their length and this hash (FNV-1a): who makes two that collide loses
 * one member of the list that he has sent. */
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

/* The member at work, if any, ends before @at. */
static __always_inline void head__member_end(struct head_members *m, __u32 at)
{
	__u32 key_len = m->equals - m->from, value_len = m->end - m->equals;
	struct head_member *member = &m->member[m->count & (HEAD_STATE_LINES - 1)];

	if (!m->from || m->end != at)
		m->changed = 1;
	if (!m->from)
		return;
	if (!m->equals || key_len > HEAD_KEY_MAX || value_len == 0 || value_len > HEAD_VALUE_MAX ||
	    m->count >= HEAD_STATE_LINES)
		m->bad = 1;
	member->key = m->key;
	member->key_len = key_len;
	member->from = m->from - 1;
	member->end = m->end;
	m->count++;
	m->from = 0;
	m->equals = 0;
	m->tab = 0;
}

static __always_inline void head__member_blank(struct head_members *m, __u8 c)
{
	if (!m->from)
		m->changed = 1;
	else if (!m->equals)
		m->bad = 1;
	else if (c == '\t')
		m->tab = 1; /* only blanks may follow */
}

static __always_inline void head__member_byte(struct head_members *m, __u8 c, __u32 at)
{
	if (!m->from) {
		m->from = at + 1;
		m->key = HEAD_HASH_START;
		if (!head__is_key_start(c))
			m->bad = 1;
	}
	if (m->tab)
		m->bad = 1;
	m->end = at + 1;
	if (m->equals) {
		if (c < ' ' || c > '~' || c == '=')
			m->bad = 1;
	} else if (c == '=') {
		m->equals = at + 1;
	} else {
		if (!head__is_key(c))
			m->bad = 1;
		m->key = (m->key ^ c) * HEAD_HASH_PRIME;
	}
}

static __always_inline void head__members(struct head *h, struct head_members *m)
{
	m->from = 0;
	m->equals = 0;
	m->tab = 0;
	m->count = 0;
	m->bad = 0;
	m->changed = 0;
	for (int i = 0; i < HEAD_STATE_MAX; i++) {
		__u8 c;

		head__forget();
		if (i >= h->state_len || m->bad)
			break;
		c = h->tracestate[i];
		if (c == ',')
			head__member_end(m, i);
		else if (head__is_blank(c))
			head__member_blank(m, c);
		else
			head__member_byte(m, c, i);
	}
	head__member_end(m, h->state_len);
}

/* ---- putting together --------------------------------------------------------------------- */

/* Of several members of one key the first, which is the newest, counts. */
static __always_inline void head__members_once(struct head_members *m)
{
	for (int i = 1; i < HEAD_STATE_LINES; i++) {
		struct head_member *member = &m->member[i];

		if (i >= m->count)
			break;
		for (int k = 0; k < i; k++) {
			if (m->member[k].key != member->key ||
			    m->member[k].key_len != member->key_len)
				continue;
			member->end = member->from;
			m->changed = 1;
		}
	}
}

static __always_inline __u8 *head__out_place(struct head_members *m, __u64 at)
{
	asm volatile("" : "+r"(at)); /* as in head__state_place() */
	if (at > HEAD_STATE_MAX)
		at = HEAD_STATE_MAX;
	return m->out + at;
}

/* A step copies eight bytes, or turns to the next member. */
#define HEAD_MEMBER_STEPS (HEAD_STATE_MAX / 8 + 2 * HEAD_STATE_LINES)

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
			head__store(head__out_place(m, m->out_at),
				    head__load(head__state_place(h, m->from)));
			m->from += 8;
			m->out_at += 8;
			continue;
		}
		if (m->next >= m->count)
			break;
		member = &m->member[m->next++ % HEAD_STATE_LINES];
		m->from = member->from;
		m->end = member->end;
		if (m->from >= m->end)
			continue;
		if (m->out_len)
			*head__out_place(m, m->out_len++) = ',';
		m->out_at = m->out_len;
		m->out_len += m->end - m->from;
	}
	for (int i = 0; i < HEAD_STATE_MAX; i += 8)
		head__store(h->tracestate + i, head__load(m->out + i));
	h->state_len = m->out_len;
}

/* Of a head that is done and has a valid context: makes of tracestate what is to be sent on. */
static __always_inline void head__normalise(struct head_work *w)
{
	struct head *h = &w->head;
	struct head_members *m = &w->members;

	if (h->folded & 1 << HEAD_STATE)
		h->state_len = 0;
	if (!h->state_len)
		return;
	head__members(h, m);
	if (m->bad)
		h->state_len = 0;
	if (m->bad)
		return;
	head__members_once(m);
	if (m->changed)
		head__members_copy(h, m);
}

#endif
