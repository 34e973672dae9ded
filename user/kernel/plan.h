/* SPDX-License-Identifier: Apache-2.0 */
/* One way to trace on this kernel: which programs are loaded, what they are told, how large their
 * maps are. */
#ifndef SPANLOOM_PLAN_H
#define SPANLOOM_PLAN_H

#include "user/kernel/tracer.h"

struct spanloom_bpf;

struct plan {
	enum hook_family family;
	bool use_sk_storage;
	bool extras; /* programs "extra_" of bpf/sock_fentry.bpf.c */
};

/* Prepares @skel, open and not yet loaded.  0 or a negative errno. */
int plan__apply(const struct plan *plan, const struct tracer_config *config,
		struct spanloom_bpf *skel);

/* Is the program @name for functions of programs?  Those are attached as such programs are found. */
bool plan__waits(const char *name);

/* How many ports tracer_config may name. */
unsigned int plan__ports_max(void);

#endif
