/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which connections may get trace contexts into their requests from their middle on: the kernel
 * says where a request seems to begin, the parser, who has read all before, whether one does.
 * in:  EVENT_HEAD, EVENT_LEAVE, finished transactions
 * out: callbacks join, proven, leave (pipeline.h)
 */
#ifndef SPANLOOM_JOINING_H
#define SPANLOOM_JOINING_H

struct conn;
struct event_view;
struct pipeline_callbacks;
struct transaction;

/* @conn may be NULL: it is not known, and leaves all the same. */
void joining__record(const struct pipeline_callbacks *callbacks, struct conn *conn,
		     const struct event_view *view);

void joining__finished(const struct pipeline_callbacks *callbacks, struct conn *conn,
		       const struct transaction *txn);

#endif
