/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP POST at a time, by libcurl multi on the event loop: never blocks, keeps the
 * connection, and reads no more of the answer than it has to.
 */
#ifndef SPANLOOM_TRANSFER_H
#define SPANLOOM_TRANSFER_H

#include <stddef.h>
#include <stdint.h>

#include "user/export/body.h"

struct loop;
struct otlp_options;
struct transfer;

enum transfer_end {
	TRANSFER_ANSWERED,   /* a whole HTTP status and header, and as much body as came */
	TRANSFER_NO_ANSWER,  /* no connection, disconnected, or no answer in time */
	TRANSFER_BAD_ANSWER, /* not HTTP, too large, or it cannot be asked at all */
};

/* Borrowed during the callback, until it starts the next transfer. */
struct transfer_result {
	enum transfer_end end;
	long status;		/* ANSWERED: 200 to 999, else 0 */
	uint64_t retry_after_s; /* Retry-After, 0: none */
	struct slice body;	/* ANSWERED */
	const char *error;	/* else: the cause, "" never */
};

/* May start the next transfer; must not free this one. */
typedef void (*transfer_fn)(void *ctx, const struct transfer_result *result);

/* @options are borrowed: URL, headers, gzip, TLS.  NULL with errno set. */
struct transfer *transfer__new(struct loop *loop, const struct otlp_options *options,
			       transfer_fn done, void *ctx);
void transfer__free(struct transfer *t);

/* Where to, without user, password and query: safe to log. */
const char *transfer__target(const struct transfer *t);

/*
 * Posts @body, whose pieces are borrowed until done or cancelled.  @timeout_ms: 0: none.  The result
 * comes from the loop, never from this call.  0, or a negative errno: nothing was started.
 */
int transfer__start(struct transfer *t, struct body body, uint32_t timeout_ms);
/* Ends the current transfer, if any, without a result. */
void transfer__cancel(struct transfer *t);

#endif
