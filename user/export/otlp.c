// SPDX-License-Identifier: Apache-2.0
#include "user/export/otlp.h"

#include <errno.h>

#include "proto/otlp.pb-c.h"
#include "user/export/printable.h"
#include "user/export/wire.h"
#include "user/flow/resource.h"
#include "user/flow/span.h"

#define MAX_ANSWER_BYTES (4 * 1024 * 1024)
/* Memory for the structure of an answer, beside its text. */
#define ANSWER_OVERHEAD_BYTES (64 * 1024)

/* Span.flags above the eight W3C bits. */
#define FLAG_REMOTE_KNOWN 0x100
#define FLAG_REMOTE	  0x200

/* Of a span, beside its texts: ids, and 14 fields with tag and length, or number. */
#define SPAN_OTHER_BYTES (16 + 8 + 8 + 14 * WIRE_HEAD_BYTES)

/*
 * Field numbers of proto/otlp.proto.  Requests are written by hand: protobuf-c, which reads the
 * answers, takes 10,200 instructions for a span of 14 attributes, this and flow/attributes.h less
 * than 1,200.  The unit test holds the bytes of both against each other.
 */
enum {
	RESOURCE_SPANS_RESOURCE = 1,
	SCOPE_SPANS_SPANS = 2,
	SPAN_TRACE_ID = 1,
	SPAN_SPAN_ID = 2,
	SPAN_TRACE_STATE = 3,
	SPAN_PARENT_SPAN_ID = 4,
	SPAN_NAME = 5,
	SPAN_KIND = 6,
	SPAN_START_TIME = 7,
	SPAN_END_TIME = 8,
	SPAN_DROPPED_ATTRIBUTES = 10,
	SPAN_STATUS = 15,
	SPAN_FLAGS = 16,
	STATUS_MESSAGE = 2,
	STATUS_CODE = 3,
};

_Static_assert((int)OTLP__SPAN__KIND__INTERNAL == SPAN_INTERNAL, "kinds are sent as they are");
_Static_assert((int)OTLP__SPAN__KIND__SERVER == SPAN_SERVER, "kinds are sent as they are");
_Static_assert((int)OTLP__SPAN__KIND__CLIENT == SPAN_CLIENT, "kinds are sent as they are");
_Static_assert((int)OTLP__SPAN__KIND__PRODUCER == SPAN_PRODUCER, "kinds are sent as they are");
_Static_assert((int)OTLP__SPAN__KIND__CONSUMER == SPAN_CONSUMER, "kinds are sent as they are");
_Static_assert((int)OTLP__STATUS__CODE__OK == STATUS_OK, "codes are sent as they are");
_Static_assert((int)OTLP__STATUS__CODE__ERROR == STATUS_ERROR, "codes are sent as they are");

/* ---- one span, each message from its last field to its first ----------------------------- */

/* The put functions write before @at, as those of wire.h. */
static uint8_t *put_status(uint8_t *at, const struct span *span)
{
	const uint8_t *end = at;

	if (span->status == STATUS_UNSET)
		return at;
	at = wire__put_uint(at, STATUS_CODE, span->status);
	if (span->status == STATUS_ERROR)
		at = wire__put_bytes(at, STATUS_MESSAGE, span->status_message);
	return wire__put_head(at, SPAN_STATUS, (size_t)(end - at));
}

/* All zero is "none", which is written as an empty field. */
static struct slice id(const uint8_t *bytes, size_t len)
{
	static const uint8_t none[16];

	return slice__of((const char *)bytes, memcmp(bytes, none, len) ? len : 0);
}

static uint8_t *put_span(uint8_t *at, const struct span *span)
{
	struct slice parent = id(span->parent_id, sizeof(span->parent_id));
	struct slice attributes = attributes__encoded(&span->attributes);
	uint32_t flags = FLAG_REMOTE_KNOWN | span->trace_flags;

	if (parent.len && span->parent_remote)
		flags |= FLAG_REMOTE;
	at = wire__put_fixed32(at, SPAN_FLAGS, flags);
	at = put_status(at, span);
	at = wire__put_uint(at, SPAN_DROPPED_ATTRIBUTES, span->dropped_attributes);
	at = wire__put_copy(at, attributes.data, attributes.len);
	at = wire__put_fixed64(at, SPAN_END_TIME, span->end_unix_ns);
	at = wire__put_fixed64(at, SPAN_START_TIME, span->start_unix_ns);
	at = wire__put_uint(at, SPAN_KIND, span->kind);
	at = wire__put_bytes(at, SPAN_NAME, span->name);
	at = wire__put_bytes(at, SPAN_PARENT_SPAN_ID, parent);
	at = wire__put_bytes(at, SPAN_TRACE_STATE, span->trace_state);
	at = wire__put_bytes(at, SPAN_SPAN_ID, id(span->span_id, sizeof(span->span_id)));
	return wire__put_bytes(at, SPAN_TRACE_ID, id(span->trace_id, sizeof(span->trace_id)));
}

void otlp__write_span(struct wire *w, const struct span *span)
{
	size_t texts = attributes__encoded(&span->attributes).len + span->name.len +
		       span->trace_state.len + span->status_message.len;
	uint8_t *end;

	if (!wire__room(w, texts + SPAN_OTHER_BYTES))
		return;
	end = w->at;
	w->at = put_span(end, span);
	w->at = wire__put_head(w->at, SCOPE_SPANS_SPANS, (size_t)(end - w->at));
}

void otlp__write_resource(struct wire *w, const struct resource *resource)
{
	size_t mark = wire__mark(w);
	struct slice attributes;

	if (resource) {
		attributes = attributes__encoded(&resource->attributes);
		wire__copy(w, attributes.data, attributes.len);
	}
	wire__message(w, RESOURCE_SPANS_RESOURCE, mark);
}

/* ---- the answer -------------------------------------------------------------------------- */

/*
 * protobuf-c's allocator for an answer, which is hostile: what one unpack may allocate in sum is
 * bounded, so that a body of millions of tiny fields fails instead of growing without end.
 */
static void *budget__alloc(void *ctx, size_t len)
{
	size_t *budget = ctx;

	if (len > *budget)
		return NULL;
	*budget -= len;
	return malloc(len);
}

static void budget__free(void *ctx, void *memory)
{
	free(memory);
}

int otlp__decode_answer(struct slice body, struct otlp_answer *answer)
{
	size_t budget = body.len + ANSWER_OVERHEAD_BYTES;
	ProtobufCAllocator allocator = { budget__alloc, budget__free, &budget };
	Otlp__Response *response;

	*answer = (struct otlp_answer){ 0 };
	if (body.len > MAX_ANSWER_BYTES)
		return -EBADMSG;
	response = otlp__response__unpack(&allocator, body.len, (const uint8_t *)body.data);
	if (!response)
		return -EBADMSG;
	if (response->partial_success) {
		const ProtobufCBinaryData *text = &response->partial_success->error_message;

		answer->rejected_spans = response->partial_success->rejected_spans;
		printable__copy(answer->message, sizeof(answer->message),
				slice__of((const char *)text->data, text->len));
	}
	otlp__response__free_unpacked(response, &allocator);
	return 0;
}
