// SPDX-License-Identifier: Apache-2.0
#include "user/protocols/http1_last.h"

/* Of a trace each request has its own: it does not come again. */
#define TRACE_FIELDS (1u << HTTP1_TRACEPARENT | 1u << HTTP1_TRACESTATE)

_Static_assert(HTTP1_LAST_BYTES <= UINT16_MAX, "its lengths fit");

void http1_last__tell(const struct http1_last *last, struct slice in, struct http1_framing *framing,
		      struct message *out)
{
	out->type = last->type;
	out->field_mask = last->field_mask;
	for (unsigned int i = 0; i < last->fields; i++)
		out->field[last->field[i].index] =
			slice__of(in.data + last->field[i].at, last->field[i].len);
	out->number_mask = last->number_mask;
	memcpy(out->number, last->number, sizeof(last->number));
	out->alike = last->alike < UINT32_MAX ? last->alike : 0;
	*framing = last->framing;
}

static void http1_last__keep_field(struct http1_last *last, unsigned int index, size_t at,
				   size_t len)
{
	last->field[last->fields].index = (uint16_t)index;
	last->field[last->fields].at = (uint16_t)at;
	last->field[last->fields++].len = (uint16_t)len;
}

void http1_last__keep(struct http1_last *last, struct slice head,
		      const struct http1_framing *framing, const struct message *message)
{
	bool again = head.len == last->seen; /* of all that differ, most differ in this */

	if (head.len > HTTP1_LAST_BYTES || message->field_mask & TRACE_FIELDS)
		return;
	last->seen = (uint16_t)head.len;
	if (!again)
		return;
	memcpy(last->bytes, head.data, head.len);
	last->len = (uint16_t)head.len;
	last->type = message->type;
	last->alike += last->alike < UINT32_MAX; /* a number is not given twice */
	last->field_mask = message->field_mask;
	last->fields = 0;
	for (unsigned int i = 0; i < HTTP1_FIELDS; i++)
		if (message__has(message, i))
			http1_last__keep_field(last, i,
					       (size_t)(message->field[i].data - head.data),
					       message->field[i].len);
	last->number_mask = message->number_mask;
	memcpy(last->number, message->number, sizeof(last->number));
	last->framing = *framing;
}
