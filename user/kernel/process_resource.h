/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts of a process and of its host -> its resource, by the OpenTelemetry resource
 * conventions 1.44.0.
 *
 * Of the process's environment only OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES are looked
 * at; its command line, which may hold secrets, is not.
 */
#ifndef SPANLOOM_PROCESS_RESOURCE_H
#define SPANLOOM_PROCESS_RESOURCE_H

struct host;
struct process_facts;
struct processes_config;
struct resource;

/* @fallback: the program's path as it was given to execve(), or its short name; used where
 * /proc does not tell any more.  NULL: no memory. */
struct resource *process_resource__new(const struct processes_config *config,
				       const struct host *host, const struct process_facts *facts,
				       const char *fallback);

/* What follows the last '/'. */
const char *process_resource__basename(const char *path);

#endif
