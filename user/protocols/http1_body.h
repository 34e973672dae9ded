/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chunked bodies of HTTP/1.1 (RFC 9112, section 7.1): where they end.
 */
#ifndef SPANLOOM_HTTP1_BODY_H
#define SPANLOOM_HTTP1_BODY_H

#include <sys/types.h>

#include "user/base/slice.h"

enum http1_chunk {
	HTTP1_CHUNK_SIZE, /* next is the line with a chunk's size */
	HTTP1_CHUNK_TRAILER,
	HTTP1_CHUNK_END,
};

/*
 * Reads whole lines and chunks off @in and moves @state along; *@skip is what is missing of the
 * last chunk.  Bytes consumed, 0 when a line is not complete, -EBADMSG when these are no chunks.
 */
ssize_t http1_body__chunks(enum http1_chunk *state, struct slice in, uint64_t *skip);

/* Offset of the last chunk when @in ends with it and its trailers; in.len when it does not. */
size_t http1_body__last_chunk(struct slice in);

#endif
