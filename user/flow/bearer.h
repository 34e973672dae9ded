/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bearers: the requests that came to a process with a traceparent, by that.
 * in:  requests with their contexts
 * out: the request whose header a call of the same process passes on
 *
 * An event loop or a pool serves many requests at once, and nothing tells which of them a call is
 * of; but when one of them alone came with the header that the call passes on, it is of that one.
 * Known are the requests whose contexts are: those under way and the last that are over.
 */
#ifndef SPANLOOM_BEARER_H
#define SPANLOOM_BEARER_H

#include <stdbool.h>

struct bearer;
struct context;
struct place;
struct transaction;

/* The request @txn bears the header that its @context named, until bearers__leave().  NULL: no
 * memory. */
struct bearer *bearers__join(struct bearer **bearers, const struct transaction *txn,
			     const struct context *context);
/* NULL is legal. */
void bearers__leave(struct bearer **bearers, struct bearer *bearer);

/* The place of the only request that bears what the call @txn passes on, and was there before it;
 * NULL: there is none, or there were @several. */
const struct place *bearers__find(struct bearer *const *bearers, const struct transaction *txn,
				  const struct context *context, bool *several);

#endif
