// SPDX-License-Identifier: Apache-2.0
#include "user/export/otlp.h"

#include <endian.h>
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

/* Tag and length of most spans: of 128 to 16,383 bytes. */
#define SPAN_HEAD_BYTES 3
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

/* ---- one span ---------------------------------------------------------------------------- */

/* The put functions write at @at, where there is room, and return what is behind it. */
static inline uint8_t *put_tag(uint8_t *at, uint32_t field, enum wire_type type)
{
	return attributes__put_varint(at, field << 3 | type);
}

static inline uint8_t *put_copy(uint8_t *at, const void *from, size_t len)
{
	copy__bytes(at, from, len);
	return at + len;
}

static inline uint8_t *put_uint(uint8_t *at, uint32_t field, uint64_t value)
{
	return value ? attributes__put_varint(put_tag(at, field, WIRE_VARINT), value) : at;
}

static inline uint8_t *put_fixed64(uint8_t *at, uint32_t field, uint64_t value)
{
	uint64_t out = htole64(value);

	return value ? put_copy(put_tag(at, field, WIRE_FIXED64), &out, sizeof(out)) : at;
}

static inline uint8_t *put_fixed32(uint8_t *at, uint32_t field, uint32_t value)
{
	uint32_t out = htole32(value);

	return value ? put_copy(put_tag(at, field, WIRE_FIXED32), &out, sizeof(out)) : at;
}

static inline uint8_t *put_head(uint8_t *at, uint32_t field, size_t len)
{
	return attributes__put_varint(put_tag(at, field, WIRE_BYTES), len);
}

static inline uint8_t *put_bytes(uint8_t *at, uint32_t field, struct slice in)
{
	return in.len ? put_copy(put_head(at, field, in.len), in.data, in.len) : at;
}

static uint8_t *put_status(uint8_t *at, const struct span *span)
{
	struct slice message =
		slice__head(span->status_message, span->status == STATUS_ERROR ? SIZE_MAX : 0);
	size_t len = 2; /* of the code */

	if (span->status == STATUS_UNSET)
		return at;
	if (message.len)
		len += 1 + attributes__varint_len(message.len) + message.len;
	at = put_head(at, SPAN_STATUS, len);
	at = put_bytes(at, STATUS_MESSAGE, message);
	return put_uint(at, STATUS_CODE, span->status);
}

/* All zero is "none", which is written as an empty field. */
static struct slice id(const uint8_t *bytes, size_t len)
{
	static const uint8_t none[16];

	return slice__of((const char *)bytes, memcmp(bytes, none, len) ? len : 0);
}

static uint8_t *put_fields(uint8_t *at, const struct span *span)
{
	struct slice parent = id(span->parent_id, sizeof(span->parent_id));
	struct slice attributes = attributes__encoded(&span->attributes);
	uint32_t flags = FLAG_REMOTE_KNOWN | span->trace_flags;

	if (parent.len && span->parent_remote)
		flags |= FLAG_REMOTE;
	at = put_bytes(at, SPAN_TRACE_ID, id(span->trace_id, sizeof(span->trace_id)));
	at = put_bytes(at, SPAN_SPAN_ID, id(span->span_id, sizeof(span->span_id)));
	at = put_bytes(at, SPAN_TRACE_STATE, span->trace_state);
	at = put_bytes(at, SPAN_PARENT_SPAN_ID, parent);
	at = put_bytes(at, SPAN_NAME, span->name);
	at = put_uint(at, SPAN_KIND, span->kind);
	at = put_fixed64(at, SPAN_START_TIME, span->start_unix_ns);
	at = put_fixed64(at, SPAN_END_TIME, span->end_unix_ns);
	at = put_copy(at, attributes.data, attributes.len);
	at = put_uint(at, SPAN_DROPPED_ATTRIBUTES, span->dropped_attributes);
	at = put_status(at, span);
	return put_fixed32(at, SPAN_FLAGS, flags);
}

size_t otlp__span_bytes(const struct span *span)
{
	return attributes__encoded(&span->attributes).len + span->name.len + span->trace_state.len +
	       span->status_message.len + SPAN_OTHER_BYTES;
}

/* The length stands before the fields, and is known behind them: where it does not take as many bytes
 * as that of most spans, they are moved. */
uint8_t *otlp__put_span(uint8_t *at, const struct span *span)
{
	uint8_t *fields = at + SPAN_HEAD_BYTES;
	size_t len = (size_t)(put_fields(fields, span) - fields);
	size_t head_len = 1 + attributes__varint_len(len);

	if (head_len != SPAN_HEAD_BYTES)
		memmove(at + head_len, fields, len);
	return put_head(at, SCOPE_SPANS_SPANS, len) + len;
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
