// SPDX-License-Identifier: Apache-2.0
#include "user/flow/joining.h"

#include "user/flow/conn.h"
#include "user/flow/pipeline.h"
#include "user/protocols/protocol.h"

static void joining__left(const struct pipeline_callbacks *callbacks, struct conn *conn,
			  const struct event_leave *event)
{
	if (conn) {
		conn->joining = false;
		/* Where this request ends only the kernel does not know, or did not want to. */
		conn->apart = event->reason == LEAVE_BULK || event->reason == LEAVE_UNKNOWN_END;
	}
	callbacks->leave(callbacks->ctx, event->hdr.conn_id);
}

void joining__record(const struct pipeline_callbacks *callbacks, struct conn *conn,
		     const struct event_view *view)
{
	if (!callbacks->join)
		return;
	if (view->hdr.type == EVENT_LEAVE) {
		joining__left(callbacks, conn, &view->leave);
	} else if (conn) {
		conn->joining = true;
		conn->join_pos = view->head.pos;
	}
}

void joining__finished(const struct pipeline_callbacks *callbacks, struct conn *conn,
		       const struct transaction *txn)
{
	if ((!conn->apart && !conn->joining) || !callbacks->join || conn->role != ROLE_CLIENT ||
	    !conn->protocol || conn->protocol->id != PROTO_HTTP1 || txn->flags & TXN_INCOMPLETE)
		return;
	if (conn->apart) {
		conn->apart = false;
		callbacks->join(callbacks->ctx, conn->id);
	}
	if (!conn->joining || txn->request_pos < conn->join_pos)
		return;
	conn->joining = false;
	if (txn->request_pos == conn->join_pos)
		callbacks->proven(callbacks->ctx, conn->id);
	else
		callbacks->leave(callbacks->ctx, conn->id);
}
