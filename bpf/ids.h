/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Trace and span ids of the traces that spanloom starts, derived and not drawn: kernel and
 * user space come to the same ids from (key of this run, connection, direction, position), so
 * neither has to tell the other.  SipHash-1-3 (Aumasson, Bernstein): a keyed pseudo-random
 * function, hence uniform in every bit, also in the right-most 7 bytes of a trace id, which
 * W3C calls random and samplers compare with a threshold.  What differs between the numbers of
 * one request is the last byte that is hashed: the rest is done once (struct ids_state).
 *
 * Pure: compiles for the kernel and for the host.
 */
#ifndef SPANLOOM_IDS_H
#define SPANLOOM_IDS_H

#include "bpf/word.h"

struct ids_key {
	__u64 word[2];
};

/* What one (connection, direction, position) needs numbers for. */
enum ids_lane {
	IDS_TRACE_HIGH,
	IDS_TRACE_LOW,
	IDS_SPAN,
};

#define IDS_RANDOM_MASK ((1ULL << 56) - 1)

/* Of SipHash; once begun: of a request, from which its numbers come. */
struct ids_state {
	__u64 v0, v1, v2, v3;
};

static __always_inline __u64 ids__rotate(__u64 x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static __always_inline void ids__round(struct ids_state *s)
{
	s->v0 += s->v1;
	s->v1 = ids__rotate(s->v1, 13) ^ s->v0;
	s->v0 = ids__rotate(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = ids__rotate(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = ids__rotate(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = ids__rotate(s->v1, 17) ^ s->v2;
	s->v2 = ids__rotate(s->v2, 32);
}

static __always_inline void ids__absorb(struct ids_state *s, __u64 word)
{
	s->v3 ^= word;
	ids__round(s);
	s->v0 ^= word;
}

/* The first 16 bytes (@a, @b), both little-endian, of what is hashed. */
static __always_inline struct ids_state ids__start(const struct ids_key *key, __u64 a, __u64 b)
{
	struct ids_state s = {
		.v0 = key->word[0] ^ 0x736f6d6570736575ULL,
		.v1 = key->word[1] ^ 0x646f72616e646f6dULL,
		.v2 = key->word[0] ^ 0x6c7967656e657261ULL,
		.v3 = key->word[1] ^ 0x7465646279746573ULL,
	};

	ids__absorb(&s, a);
	ids__absorb(&s, b);
	return s;
}

/* The hash, with the byte @last behind them. */
static __always_inline __u64 ids__finish(struct ids_state s, __u8 last)
{
	ids__absorb(&s, 17ULL << 56 | last); /* the length of all, in the top byte */
	s.v2 ^= 0xff;
	ids__round(&s);
	ids__round(&s);
	ids__round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

/* Of the request at @pos of direction @dir of @conn_id. */
static __always_inline struct ids_state ids__begin(const struct ids_key *key, __u64 conn_id,
						   __u32 dir, __u64 pos)
{
	return ids__start(key, conn_id, pos << 1 | (dir & 1));
}

/* Never 0: W3C calls an all-zero id invalid. */
static __always_inline __u64 ids__number(const struct ids_state *request, enum ids_lane lane)
{
	__u64 x = ids__finish(*request, lane);

	return x ? x : 1;
}

static __always_inline void ids__put_be64(__u8 *out, __u64 x)
{
	word__store(out, __builtin_bswap64(x));
}

static __always_inline struct ids_key ids__key(const __u8 bytes[16])
{
	struct ids_key key = { { word__load(bytes), word__load(bytes + 8) } };

	return key;
}

/* Id of the trace that starts with the request. */
static __always_inline void ids__trace(const struct ids_state *request, __u8 out[16])
{
	ids__put_be64(out, ids__number(request, IDS_TRACE_HIGH));
	ids__put_be64(out + 8, ids__number(request, IDS_TRACE_LOW));
}

static __always_inline void ids__span(const struct ids_state *request, __u8 out[8])
{
	ids__put_be64(out, ids__number(request, IDS_SPAN));
}

/* The 56 right-most bits of ids__trace(): the randomness that samplers compare. */
static __always_inline __u64 ids__random56(const struct ids_state *request)
{
	return ids__number(request, IDS_TRACE_LOW) & IDS_RANDOM_MASK;
}

#endif
