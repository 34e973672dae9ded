// SPDX-License-Identifier: Apache-2.0
#include "user/base/sha1.h"

#define BLOCK_BYTES    64
#define LENGTH_BYTES   8
#define NAME_MAX_BYTES 1000

static uint32_t rotate(uint32_t word, unsigned int bits)
{
	return word << bits | word >> (32 - bits);
}

/* The function f(t;B,C,D) of RFC 3174 with the constant K(t) added. */
static uint32_t mix(unsigned int t, uint32_t b, uint32_t c, uint32_t d)
{
	if (t < 20)
		return ((b & c) | (~b & d)) + 0x5a827999;
	if (t < 40)
		return (b ^ c ^ d) + 0x6ed9eba1;
	if (t < 60)
		return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
	return (b ^ c ^ d) + 0xca62c1d6;
}

static void sha1__block(uint32_t h[5], const uint8_t block[BLOCK_BYTES])
{
	uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];

	for (unsigned int t = 0; t < 16; t++)
		w[t] = (uint32_t)block[4 * t] << 24 | (uint32_t)block[4 * t + 1] << 16 |
		       (uint32_t)block[4 * t + 2] << 8 | block[4 * t + 3];
	for (unsigned int t = 16; t < 80; t++)
		w[t] = rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
	for (unsigned int t = 0; t < 80; t++) {
		uint32_t next = rotate(a, 5) + mix(t, b, c, d) + e + w[t];

		e = d;
		d = c;
		c = rotate(b, 30);
		b = a;
		a = next;
	}
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
	h[4] += e;
}

/* What is left of the message, then a one bit, zeros, and the length in bits. */
static void sha1__finish(uint32_t h[5], struct slice rest, uint64_t total_bytes)
{
	uint8_t block[BLOCK_BYTES] = { 0 };
	uint64_t bits = total_bytes * 8;

	if (rest.len)
		memcpy(block, rest.data, rest.len);
	block[rest.len] = 0x80;
	if (rest.len + 1 > BLOCK_BYTES - LENGTH_BYTES) {
		sha1__block(h, block);
		memset(block, 0, sizeof(block));
	}
	for (unsigned int i = 0; i < LENGTH_BYTES; i++)
		block[BLOCK_BYTES - 1 - i] = (uint8_t)(bits >> (8 * i));
	sha1__block(h, block);
}

void sha1__digest(struct slice in, uint8_t out[SHA1_BYTES])
{
	uint32_t h[5] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 };
	uint64_t total_bytes = in.len;

	for (; in.len >= BLOCK_BYTES; in = slice__skip(in, BLOCK_BYTES))
		sha1__block(h, (const uint8_t *)in.data);
	sha1__finish(h, in, total_bytes);
	for (unsigned int i = 0; i < SHA1_BYTES; i++)
		out[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

void sha1__uuid5(const uint8_t space[UUID_BYTES], struct slice name, char out[UUID_TEXT_LEN + 1])
{
	static const char digits[] = "0123456789abcdef";
	char text[UUID_BYTES + NAME_MAX_BYTES];
	uint8_t hash[SHA1_BYTES];

	name = slice__head(name, NAME_MAX_BYTES);
	memcpy(text, space, UUID_BYTES);
	if (name.len)
		memcpy(text + UUID_BYTES, name.data, name.len);
	sha1__digest(slice__of(text, UUID_BYTES + name.len), hash);
	hash[6] = (hash[6] & 0x0f) | 0x50; /* version 5 */
	hash[8] = (hash[8] & 0x3f) | 0x80; /* variant of RFC 9562 */
	for (unsigned int i = 0; i < UUID_BYTES; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*out++ = '-';
		*out++ = digits[hash[i] >> 4];
		*out++ = digits[hash[i] & 0x0f];
	}
	*out = '\0';
}
