/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An edge: one call, both ends of which are on this host, as the kernel saw.
 * in:  spans whose context is settled, in the order in which they leave
 * out: the same, with the server's inside of the client's
 *
 * Each end takes its times by itself, and the moments of both overlap: while the server's send
 * is still under way the client may have received all of it.  Who leaves second knows better.
 */
#ifndef SPANLOOM_FLOW_EDGE_H
#define SPANLOOM_FLOW_EDGE_H

struct context;
struct context_table;
struct span;

/* @span leaves, with this context. */
void edge__fit(const struct context_table *table, struct context *context, struct span *span);

#endif
