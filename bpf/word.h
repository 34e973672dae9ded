/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Eight bytes at once, in one register.  Pure: compiles for the kernel and for the host.
 */
#ifndef SPANLOOM_WORD_H
#define SPANLOOM_WORD_H

#ifndef __bpf__
#include <linux/types.h>
#endif

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

#define WORD_ONES  0x0101010101010101ULL
#define WORD_HIGHS 0x8080808080808080ULL

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first byte of a word is its lowest");

/* Eight bytes that need not be aligned, but on the kernel's stack.  Clang would load them one by
 * one, for the sake of machines where they have to be; x86-64 and arm64 are none. */
static __always_inline __u64 word__load(const void *from)
{
#ifdef __bpf__
	return *(const __u64 *)from;
#else
	__u64 word;

	__builtin_memcpy(&word, from, sizeof(word));
	return word;
#endif
}

static __always_inline void word__store(void *to, __u64 word)
{
#ifdef __bpf__
	*(__u64 *)to = word;
#else
	__builtin_memcpy(to, &word, sizeof(word));
#endif
}

/* The first eight bytes of @text, a constant. */
static __always_inline __u64 word__of(const char *text)
{
	__u64 word = 0;

	for (int i = 0; i < 8; i++)
		word |= (__u64)(__u8)text[i] << (8 * i);
	return word;
}

/* Bytes through the first one that has 0x80 in @found, which is not 0. */
static __always_inline __u32 word__through_first(__u64 found)
{
	return (__u32)(((found - 1) & ~found & WORD_ONES) * WORD_ONES >> 56);
}

/* Does each byte of @word, all of them below 0x80, have at least @least?  0x80 where it has. */
static __always_inline __u64 word__at_least(__u64 word, __u8 least)
{
	return (word + WORD_ONES * (0x80U - least)) & WORD_HIGHS;
}

/* Four bytes as eight lower-case hex digits. */
static __always_inline __u64 word__hex(__u32 bytes)
{
	__u64 x = (__u64)(bytes & 0xffff0000) << 16 | (bytes & 0xffff);

	x = (x & 0x0000ff000000ff00) << 8 | (x & 0x000000ff000000ff);
	x = (x & 0x000f000f000f000f) << 8 | (x >> 4 & 0x000f000f000f000f);
	return x + WORD_ONES * '0' + (word__at_least(x, 10) >> 7) * ('a' - '0' - 10);
}

/* The reverse, to @out; 0 when @hex is none. */
static __always_inline int word__unhex(__u64 hex, __u64 *out)
{
	__u64 letters = word__at_least(hex, 'a') & ~word__at_least(hex, 'f' + 1);
	__u64 digits = word__at_least(hex, '0') & ~word__at_least(hex, '9' + 1);
	__u64 x = (hex & WORD_ONES * 15) + (letters >> 7) * 9;

	x = (x << 4 | x >> 8) & 0x00ff00ff00ff00ff;
	x = (x | x >> 8) & 0x0000ffff0000ffff;
	*out = (x | x >> 16) & 0xffffffff;
	return !(hex & WORD_HIGHS) && (letters | digits) == WORD_HIGHS;
}

#endif
