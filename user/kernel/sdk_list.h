/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of processes that make spans themselves (user/flow/sdk.h): the agent writes it into a map
 * of the kernel, "spanloom probes" reads it there.
 */
#ifndef SPANLOOM_SDK_LIST_H
#define SPANLOOM_SDK_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "bpf/event.h"

#define SDK_LIST_MAP	    "sdk_processes"
#define SDK_LIST_TEXT_BYTES 96

struct endpoint;
struct resource;
struct tracer;

struct sdk_listed {
	__u32 pid;
	char exe[256]; /* path of the program, printable; "" when unknown */
	struct sdk_process process;
};

struct sdk_list {
	struct sdk_listed *list;
	size_t count;
};

/* What was learned of @process, on @evidence: into the list or, SDK_RELAYS, off it, and a line of
 * the log.  @to: where it exports to, or NULL.  @adopted: it gives no spans of ours. */
void sdk_list__learned(struct tracer *tracer, const struct resource *process,
		       enum sdk_evidence evidence, const struct endpoint *to, bool adopted);

/* Adds what the map of this file descriptor holds, by pid.  0 or a negative errno; call
 * sdk_list__free() in either case. */
int sdk_list__read(struct sdk_list *list, int map_fd);
void sdk_list__free(struct sdk_list *list);

/* What was seen, as words: "exports OTLP traces to 127.0.0.1:4318". */
const char *sdk_list__evidence(const struct sdk_process *process, char out[SDK_LIST_TEXT_BYTES]);

#endif
