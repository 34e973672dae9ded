/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel programs: open, load, attach, poll.  Hands raw records to a callback.
 */
#ifndef SPANLOOM_TRACER_H
#define SPANLOOM_TRACER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/event.h"
#include "user/kernel/features.h"

struct bpf_link;
struct injection;
struct tracer;

struct tracer_config {
	enum hook_family family; /* from features__probe() */
	bool fentry; /* FEATURE_FENTRY: with HOOKS_TP, load what has no tracepoint as well */
	uint32_t capture_bytes;
	uint32_t ring_bytes;
	const uint16_t *ports; /* local or remote port; count 0: all */
	unsigned int port_count;
	bool scope_default_skip; /* processes without a verdict are not traced (--pid) */
	bool python;		 /* what contexts of CPython work for is wanted */
	bool likely_links;	 /* parents that are only likely are wanted, too */
	bool db_server_spans; /* else the server's side of databases is left alone in the kernel */
	uint32_t self_tgid;   /* never traced */
	bool contexts;	      /* the kernel knows the trace contexts of requests */
	bool inject;	      /* put trace contexts into the HTTP requests of clients */
	bool inject_blocking; /* ... also where a thread waits in the socket */
	bool inject_asks;     /* ... only of processes with SCOPE_INJECT */
	bool tcp_option;      /* put them into TCP options, and read them there */
	bool parent_based;    /* the sampler keeps the word of traces that others began */
	char root_state[ROOT_STATE_MAX]; /* tracestate of traces that begin here; "" when none */
	uint64_t sampler_threshold;	 /* keep when R >= this; 0: all; UINT64_MAX: none */
	uint8_t id_key[16];
	int signal_fd; /* user/base/signals.h: one that has come ends the start */
};

/* @record is read-only and valid during the call.  Returns whether to go on: false ends the
 * drain behind this record. */
typedef bool (*tracer_record_fn)(void *ctx, const void *record, size_t len);

/*
 * Loads and attaches.  On failure NULL, with one line for the user in @why (cause,
 * consequence, remedy), which is "" where a signal came before anything was attached.
 */
struct tracer *tracer__new(const struct tracer_config *config, tracer_record_fn fn, void *ctx,
			   char *why, size_t why_len);
/* Detaches and frees; NULL is legal. */
void tracer__free(struct tracer *t);

/* Becomes readable when the ring passes its threshold. */
int tracer__fd(const struct tracer *t);
/* Reads what is in the ring, until the callback says stop; the number of records, or a negative
 * errno. */
int tracer__drain(struct tracer *t);
/* Stops new records: detaches the programs, but keeps the ring for a last drain. */
void tracer__detach(struct tracer *t);

/* Verdicts (bpf/event.h).  0 or a negative errno. */
int tracer__ignore_conn(struct tracer *t, uint64_t conn_id);
int tracer__scope(struct tracer *t, uint32_t tgid, uint32_t verdict);
/* The same for a process that has a verdict, its own or its parent's; -ENOENT: it has none. */
int tracer__rescope(struct tracer *t, uint32_t tgid, uint32_t verdict);

/* CLOCK_MONOTONIC: when a record was last lost, 0: none was.  Changes at any time; valid as long as
 * the tracer is. */
const volatile uint64_t *tracer__lost_ns(const struct tracer *t);

/* NULL where headers are not injected.  Belongs to the tracer. */
struct injection *tracer__injection(struct tracer *t);

/* What is known of the runtime of a process; NULL: nothing any more. */
int tracer__runtime(struct tracer *t, uint32_t tgid, const struct process_runtime *runtime);

/* Runs the program of that name, of bpf/, at @offset of the file @path, or when the function there
 * returns, in whatever process.  0 with a @link for detach.h, before the tracer is freed, or a
 * negative errno. */
int tracer__attach(struct tracer *t, const char *program, const char *path, uint64_t offset,
		   bool at_return, struct bpf_link **link);

/* What is listed of a process that makes spans itself; NULL: nothing any more. */
int tracer__sdk_process(struct tracer *t, uint32_t tgid, const struct sdk_process *process);

/* The kernel's counters, summed over the CPUs. */
void tracer__counters(const struct tracer *t, uint64_t out[COUNTERS]);
/* Lower case with dots, e.g. "ring.full". */
const char *tracer__counter_name(enum counter counter);

#endif
