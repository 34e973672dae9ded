/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ExportTraceServiceRequest in the making.
 * in:  finished spans, each encoded at once, while it is in the cache
 * out: the request, grouped by resource and scope, in order within a group
 */
#ifndef SPANLOOM_BATCH_H
#define SPANLOOM_BATCH_H

#include <stddef.h>

#include "user/export/body.h"
#include "user/export/wire.h"

#define BATCH_BUCKETS 64

struct resource_spans;
struct span;

struct batch {
	struct batch *next; /* for whoever keeps more than one */
	size_t spans;
	size_t bytes;	       /* of the request, at most */
	size_t chunks, scopes; /* how many */
	struct wire wire;      /* of a resource that is added; in the end of what is around spans */
	struct slice *pieces;  /* of the request */
	struct resource_spans *buckets[BATCH_BUCKETS]; /* by address of the resource */
};

/* NULL: no memory. */
struct batch *batch__new(void);
void batch__free(struct batch *b);

/* @span is borrowed.  0, -ENOMEM, or -E2BIG when the request could become larger than 64 MiB;
 * what was added before stays. */
int batch__add(struct batch *b, const struct span *span);

/* The request of a batch that has spans, which is then complete; it borrows from the batch.
 * 0 or -ENOMEM. */
int batch__encode(struct batch *b, struct body *request);

#endif
