/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The BPF programs and maps of a running spanloom, told by the kernel: works from any process
 * and asks nothing of the agent.
 */
#ifndef SPANLOOM_PROBES_H
#define SPANLOOM_PROBES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/kernel/attachment.h"
#include "user/kernel/golang_list.h"
#include "user/kernel/sdk_list.h"

#define PROBES_AGENTS_MAX 16

struct probe {
	uint32_t id;
	char name[128];	       /* the function's name, in full where the kernel has BTF of it */
	const char *prog_type; /* static: "tracing", "sk_msg" ... */
	uint64_t hits;	       /* counted only while the kernel counts run times */
	uint64_t run_ns;
	uint64_t missed; /* not run, because the program was running already on that CPU */
	uint64_t memory_bytes;
};

struct probe_map {
	uint32_t id;
	char name[16];	  /* cut by the kernel */
	const char *type; /* static: "ringbuf", "hash" ... */
	uint32_t max_entries;
	uint64_t memory_bytes;
};

struct probes {
	struct probe *programs;
	size_t program_count;
	struct probe_map *maps;
	size_t map_count;
	struct attachments attached;	    /* of these programs alone */
	struct sdk_list sdk;		    /* processes that make spans themselves */
	struct golang_list golang;	    /* Go programs */
	uint32_t agents[PROBES_AGENTS_MAX]; /* who hold the maps: one in a network namespace */
	size_t agent_count;
	bool unsettled;	      /* not all is attached that is from the start to the end */
	bool counting;	      /* run times are counted all the time (sysctl) */
	uint64_t measured_ns; /* probes__measure(): how long; else 0 */
};

/* No program: nothing is attached.  0 or a negative errno (-EPERM without CAP_SYS_ADMIN).  Call
 * probes__free() in either case. */
int probes__read(struct probes *p);
/* Has the kernel count for @seconds; hits and times are of these seconds alone. */
int probes__measure(struct probes *p, unsigned int seconds);
void probes__free(struct probes *p);

#endif
