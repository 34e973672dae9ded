/* SPDX-License-Identifier: Apache-2.0 */
/*
 * W3C Trace Context, Level 2: the tracestate header.
 * in:  the values of all tracestate lines, joined by ","
 * out: its members in normal form, or nothing
 *
 * One bad member makes the whole header worthless, as the official test suite demands.
 */
#ifndef SPANLOOM_TRACESTATE_H
#define SPANLOOM_TRACESTATE_H

#include "user/base/arena.h"

#define TRACESTATE_MEMBERS   32
#define TRACESTATE_MAX_BYTES 512 /* the least that must be carried on, and the most that we do */

/*
 * The members of @in in their order, each key once (the first, which is the newest), without
 * white space around them and without empty ones; in @a.  Too long a list loses whole members:
 * those of more than 128 bytes first, then from the right end.  Empty when @in is malformed,
 * holds no member, or there is no room.
 */
struct slice tracestate__normalise(struct arena *a, struct slice in);

#endif
