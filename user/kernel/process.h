/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pid -> resource: executable, service name, container, host.  Read from /proc once per
 * process and kept while it lives, and a little longer, because records come late.
 */
#ifndef SPANLOOM_PROCESS_H
#define SPANLOOM_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "user/flow/resource.h"

struct processes;

struct processes_config {
	const char *proc_root;	  /* "/proc" */
	const char *service_name; /* default for processes without one of their own, or NULL */
	const char *resource_attributes; /* raw OTEL_RESOURCE_ATTRIBUTES, likewise */
	char *const *exe_globs;		 /* NULL-terminated or NULL: only these programs */
	char *const *exclude_exe_globs;
	char *const *inject_exclude_globs;
	uint32_t self_pid;
};

/* @config is borrowed.  NULL: no memory. */
struct processes *processes__new(const struct processes_config *config);
void processes__free(struct processes *p);

/* The resource of @pid (a new reference); NULL when its program is excluded by the globs.  A
 * process that is gone already has what the kernel knew: @comm. */
struct resource *processes__resource(struct processes *p, uint32_t pid, const char *comm);

/* From the kernel's process records.  @path and @comm are NUL-terminated. */
void processes__exec(struct processes *p, uint32_t pid, const char *path, const char *comm);
void processes__exit(struct processes *p, uint32_t pid);

/* Does this pid's program pass the globs? */
bool processes__wanted(struct processes *p, uint32_t pid);
/* May its requests get headers? */
bool processes__injected(struct processes *p, uint32_t pid);

/* Time passes: forgets processes that ended some seconds ago.  @now_ns is CLOCK_MONOTONIC. */
void processes__tick(struct processes *p, uint64_t now_ns);

#endif
