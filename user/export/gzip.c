// SPDX-License-Identifier: Apache-2.0
#include "user/export/gzip.h"

#include <errno.h>
#include <zlib.h>

#include "user/export/body.h"

/* Spans repeat themselves so much that the fastest level already wins most of what there is. */
#define LEVEL	    Z_BEST_SPEED
#define WINDOW_BITS (15 + 16) /* 32 KiB; + 16: a gzip header instead of a zlib one */
#define MEM_LEVEL   8	      /* zlib's default */

static int deflate_pieces(z_stream *stream, const struct body *in)
{
	int result = Z_OK;

	for (size_t i = 0; result == Z_OK && i < in->count; i++) {
		stream->next_in = (Bytef *)in->pieces[i].data;
		stream->avail_in = (uInt)in->pieces[i].len; /* a request has at most 64 MiB */
		result = deflate(stream, Z_NO_FLUSH);
	}
	return result == Z_OK ? deflate(stream, Z_FINISH) : result;
}

int gzip__compress(const struct body *in, uint8_t **out, size_t *out_len)
{
	z_stream stream = { 0 };
	uint8_t *bytes;
	size_t room;
	int result;

	if (deflateInit2(&stream, LEVEL, Z_DEFLATED, WINDOW_BITS, MEM_LEVEL, Z_DEFAULT_STRATEGY) !=
	    Z_OK)
		return -ENOMEM;
	room = deflateBound(&stream, in->len);
	bytes = malloc(room);
	if (!bytes) {
		deflateEnd(&stream);
		return -ENOMEM;
	}
	stream.next_out = bytes;
	stream.avail_out = (uInt)room;
	result = deflate_pieces(&stream, in);
	*out_len = stream.total_out;
	deflateEnd(&stream);
	if (result != Z_STREAM_END) {
		free(bytes);
		return -ENOMEM;
	}
	*out = bytes;
	return 0;
}
