/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stage 1: a kernel record -> a length-checked view.
 * in:  bytes of the ring buffer
 * out: copies of the fixed part, a slice for the payload
 */
#ifndef SPANLOOM_FLOW_EVENT_H
#define SPANLOOM_FLOW_EVENT_H

#include "bpf/event.h"
#include "user/base/slice.h"

/* The type of a record, 0 when it is too short for one. */
uint32_t event__type(const void *record, size_t len);

struct event_view {
	union {
		struct event_hdr hdr;
		struct event_conn conn;
		struct event_data data;
		struct event_close close;
		struct event_process process;
		struct event_context context;
		struct event_head head;
		struct event_leave leave;
		struct event_unread unread;
	};
	struct slice payload; /* EVENT_DATA; points into the record */
};

/* 0, or -EBADMSG when the record is shorter than its type or than it says, of no known type, or
 * at a position that no stream has.  Strings of the view are NUL-terminated afterwards whatever the record held. */
int event__view(const void *record, size_t len, struct event_view *view);

#endif
