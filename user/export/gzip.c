// SPDX-License-Identifier: Apache-2.0
#include "user/export/gzip.h"

#include <errno.h>
#include <zlib.h>

/* Spans repeat themselves so much that the fastest level already wins most of what there is. */
#define LEVEL	    Z_BEST_SPEED
#define WINDOW_BITS (15 + 16) /* 32 KiB; + 16: a gzip header instead of a zlib one */
#define MEM_LEVEL   8	      /* zlib's default */

int gzip__compress(const uint8_t *in, size_t len, uint8_t **out, size_t *out_len)
{
	z_stream stream = { 0 };
	uint8_t *bytes;
	size_t room;
	int result;

	if (deflateInit2(&stream, LEVEL, Z_DEFLATED, WINDOW_BITS, MEM_LEVEL, Z_DEFAULT_STRATEGY) !=
	    Z_OK)
		return -ENOMEM;
	room = deflateBound(&stream, len);
	bytes = malloc(room);
	if (!bytes) {
		deflateEnd(&stream);
		return -ENOMEM;
	}
	stream.next_in = (Bytef *)in;
	stream.avail_in = (uInt)len; /* a request has at most 64 MiB */
	stream.next_out = bytes;
	stream.avail_out = (uInt)room;
	result = deflate(&stream, Z_FINISH);
	*out_len = stream.total_out;
	deflateEnd(&stream);
	if (result != Z_STREAM_END) {
		free(bytes);
		return -ENOMEM;
	}
	*out = bytes;
	return 0;
}
