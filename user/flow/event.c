// SPDX-License-Identifier: Apache-2.0
#include "user/flow/event.h"

#include <errno.h>

/* No stream is that long; sums of positions and sizes cannot wrap. */
#define POS_MAX (1ULL << 62)

uint32_t event__type(const void *record, size_t len)
{
	struct event_hdr hdr;

	if (len < sizeof(hdr))
		return 0;
	memcpy(&hdr, record, sizeof(hdr));
	return hdr.type;
}

static size_t event__size(uint32_t type)
{
	switch (type) {
	case EVENT_CONN:
	case EVENT_CONN_FAILED:
		return sizeof(struct event_conn);
	case EVENT_CLOSE:
		return sizeof(struct event_close);
	case EVENT_PROCESS:
		return sizeof(struct event_process);
	case EVENT_CONTEXT:
		return sizeof(struct event_context);
	case EVENT_HEAD:
		return sizeof(struct event_head);
	case EVENT_LEAVE:
		return sizeof(struct event_leave);
	case EVENT_UNREAD:
		return sizeof(struct event_unread);
	default:
		return 0;
	}
}

static int event__view_data(const void *record, struct event_view *view)
{
	const struct event_data *data = &view->data;

	if (view->hdr.len < sizeof(*data))
		return -EBADMSG;
	memcpy(&view->data, record, sizeof(*data)); /* most records: a size that is known */
	if (data->captured != data->hdr.len - sizeof(*data) || data->captured > data->size ||
	    data->dir > DIR_RECV || data->pos > POS_MAX)
		return -EBADMSG;
	view->payload = slice__of((const char *)record + sizeof(*data), data->captured);
	return 0;
}

static int event__view_conn(struct event_view *view)
{
	struct event_conn *conn = &view->conn;

	if (conn->pos[DIR_SEND] > POS_MAX || conn->pos[DIR_RECV] > POS_MAX)
		return -EBADMSG;
	conn->comm[EVENT_COMM_LEN - 1] = '\0';
	conn->path[EVENT_PATH_LEN - 1] = '\0';
	return 0;
}

/* A reference that has no name would be a parent in one place and none in another. */
static int event__view_context(const struct event_context *context)
{
	if (context->ref > REF_HEADER || context->dir > DIR_RECV ||
	    context->carrier > CARRIER_OPTION)
		return -EBADMSG;
	return 0;
}

static int event__view_other(const void *record, struct event_view *view)
{
	size_t size = event__size(view->hdr.type);

	if (size == 0 || view->hdr.len < size)
		return -EBADMSG;
	memcpy(view, record, size);
	switch (view->hdr.type) {
	case EVENT_CONN:
	case EVENT_CONN_FAILED:
		return event__view_conn(view);
	case EVENT_CONTEXT:
		return event__view_context(&view->context);
	case EVENT_PROCESS:
		view->process.comm[EVENT_COMM_LEN - 1] = '\0';
		view->process.path[EVENT_PATH_LEN - 1] = '\0';
		return 0;
	default:
		return 0;
	}
}

int event__view(const void *record, size_t len, struct event_view *view)
{
	if (len < sizeof(view->hdr))
		return -EBADMSG;
	memcpy(&view->hdr, record, sizeof(view->hdr));
	if (view->hdr.len > len)
		return -EBADMSG;
	if (view->hdr.type == EVENT_DATA)
		return event__view_data(record, view);
	view->payload = slice__of("", 0);
	return event__view_other(record, view);
}
