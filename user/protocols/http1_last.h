/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last head of one direction, with what it says: pools, probes and pollers send the same one
 * again, byte by byte, and within the second of its Date a server answers so.  That is told
 * without being read.
 */
#ifndef SPANLOOM_HTTP1_LAST_H
#define SPANLOOM_HTTP1_LAST_H

#include "user/protocols/http1_head.h"

#define HTTP1_LAST_BYTES 256 /* longer heads are not kept */

/* All zero: there is none. */
struct http1_last {
	uint16_t len;  /* of @bytes */
	uint16_t seen; /* so long was the head before, kept or not */
	uint32_t field_mask;
	uint32_t number_mask;
	enum message_type type;
	uint32_t alike; /* how many were kept, as far as that can be counted */
	int64_t number[HTTP1_NUMBERS];
	struct http1_framing framing;
	unsigned int fields; /* so many */
	struct {
		uint16_t index, at, len;
	} field[HTTP1_FIELDS]; /* in @bytes */
	char bytes[HTTP1_LAST_BYTES];
};

/* Does @in begin with it? */
static inline bool http1_last__is(const struct http1_last *last, struct slice in)
{
	return last->len && slice__starts(in, slice__of(last->bytes, last->len));
}

/* As http1_head__fields() and the start line before them: @in begins with the head, into which the
 * fields of @out (from message__init()) point. */
void http1_last__tell(const struct http1_last *last, struct slice in, struct http1_framing *framing,
		      struct message *out);

/* @head is a whole one, of which @framing and @message tell, and nothing else. */
void http1_last__keep(struct http1_last *last, struct slice head,
		      const struct http1_framing *framing, const struct message *message);

#endif
