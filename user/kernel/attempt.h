/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tries single abilities of the kernel with programs of a few instructions, which are gone
 * again when the call returns.  Every attempt gives 0 or the negative errno of the step that was
 * refused, and leaves the name of its last step in @step.
 */
#ifndef SPANLOOM_ATTEMPT_H
#define SPANLOOM_ATTEMPT_H

#include "user/kernel/features.h"

struct btf;

struct attempt {
	struct btf *btf;  /* of the running kernel; NULL when it has none */
	int btf_err;	  /* why there is none */
	const char *step; /* "load", "attach" ...: static */
	void *print;	  /* libbpf's log function, silent meanwhile: a refusal is a finding */
};

/* Reads the kernel's types (some ms).  Call attempt__reset() afterwards. */
void attempt__init(struct attempt *a);
void attempt__reset(struct attempt *a);

/* May this process load tracing programs at all? */
int attempt__privilege(struct attempt *a);
int attempt__ring_buffer(struct attempt *a);
/* tp_btf: a program for the tracepoint @name. */
int attempt__tracepoint(struct attempt *a, const char *name);
/* The same, attached too.  To detach waits for an RCU grace period (10 to 20 ms): once is enough
 * to know, for what one tracepoint allows the others do. */
int attempt__tracepoint_attach(struct attempt *a, const char *name);
/* fentry: a program at the entry of the kernel function @name. */
int attempt__function(struct attempt *a, const char *name);
/* A kprobe at the entry of the kernel function @name. */
int attempt__kprobe(struct attempt *a, const char *name);
/* bpf_sk_storage_get() in programs of @family. */
int attempt__sk_storage(struct attempt *a, enum hook_family family);

#endif
