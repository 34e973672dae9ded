/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wires the stages in their order; the only file that knows them all.
 * in:  kernel records, and the time
 * out: spans, and verdicts for the kernel
 *
 * No system call, no clock, no log: the same records give the same spans.
 */
#ifndef SPANLOOM_PIPELINE_H
#define SPANLOOM_PIPELINE_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/event.h"
#include "user/flow/config.h"
#include "user/flow/ledger.h"

struct endpoint;
struct pipeline;
struct resource;
struct span;

struct pipeline_callbacks {
	/* A finished span, which the callee takes. */
	void (*span)(void *ctx, struct span *span);
	/* The resource of a process; a new reference, or NULL when the process is not traced
	 * (its transactions are then dropped without a trace).  @comm is the name the kernel
	 * knew, NUL-terminated, never NULL. */
	struct resource *(*resource)(void *ctx, uint32_t tgid, const char *comm);
	/* @process was found to make spans itself, or, with SDK_RELAYS, not to after all: see
	 * sdk.h.  @to: where it exports to, or NULL.  May be NULL. */
	void (*sdk)(void *ctx, const struct resource *process, enum sdk_evidence evidence,
		    const struct endpoint *to);
	/* A call of @process has no parent for @cause, see root.h: the first.  May be NULL. */
	void (*root)(void *ctx, const struct resource *process, enum ledger_entry cause);
	/* No further record of this connection is wanted.  May be NULL. */
	void (*ignore)(void *ctx, uint64_t conn_id);
	/* Of header injection, all or none.  This connection speaks HTTP and could join;
	 * requests on it do begin where EVENT_HEAD said; or they do not: it must leave. */
	void (*join)(void *ctx, uint64_t conn_id);
	void (*proven)(void *ctx, uint64_t conn_id);
	void (*leave)(void *ctx, uint64_t conn_id);
	void *ctx;
};

/* @config and @ledger are borrowed.  NULL: no memory. */
struct pipeline *pipeline__new(const struct flow_config *config,
			       const struct pipeline_callbacks *callbacks, struct ledger *ledger);
/* Drops what is in flight, without spans. */
void pipeline__free(struct pipeline *p);

/* Add to CLOCK_MONOTONIC times to get Unix time. */
void pipeline__set_clock(struct pipeline *p, int64_t unix_offset_ns);

/* One record (bpf/event.h) of @len bytes, which may be read-only memory.  0, or -EBADMSG when
 * it was malformed (counted). */
int pipeline__record(struct pipeline *p, const void *record, size_t len);

/* Time passes: @now_ns is CLOCK_MONOTONIC.  Finishes what has waited too long.  Call it about
 * ten times a second. */
void pipeline__tick(struct pipeline *p, uint64_t now_ns);

/* The end: every open transaction becomes a span now. */
void pipeline__drain(struct pipeline *p);

/* Requests begun and not finished: the rest of the ledger's sum. */
size_t pipeline__in_flight(const struct pipeline *p);
size_t pipeline__connections(const struct pipeline *p);
/* Bytes held, of max_held_bytes. */
size_t pipeline__held(const struct pipeline *p);

#endif
