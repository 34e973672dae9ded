// SPDX-License-Identifier: Apache-2.0
#include "user/flow/joining.h"

#include "user/flow/conn.h"
#include "user/flow/pipeline.h"
#include "user/protocols/protocol.h"

#define LOSSES_MAX 4 /* of a connection, whose requests may get headers again */

/*
 * Where this request ends only the kernel does not know, or did not want to; or its process was
 * not traced, of which there are records when it is; or the kernel has lost its place.  A connection to which that happens again and again is one that several
 * share, or whose sends are taken in part.
 */
static bool joining__returns(struct conn *conn, enum leave_reason reason)
{
	switch (reason) {
	case LEAVE_BULK:
	case LEAVE_UNKNOWN_END:
	case LEAVE_NOT_TRACED:
		return true;
	case LEAVE_LOST:
		if (conn->losses == LOSSES_MAX)
			return false;
		conn->losses++;
		return true;
	default:
		return false;
	}
}

static void joining__left(const struct pipeline_callbacks *callbacks, struct conn *conn,
			  const struct event_leave *event)
{
	if (conn) {
		conn->joining = false;
		conn->apart = joining__returns(conn, event->reason);
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
