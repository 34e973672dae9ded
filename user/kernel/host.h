/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is the same for every process of this host, read once.  Where the agent runs in a
 * container with the host's pid namespace, the host is seen through process 1.
 */
#ifndef SPANLOOM_HOST_H
#define SPANLOOM_HOST_H

#include "user/base/slice.h"

struct host {
	char name[256];
	char id[64];	      /* machine-id, "" when there is none */
	char boot_id[64];     /* likewise */
	char arch[72];	      /* as OpenTelemetry names it: amd64, arm64, ... */
	int64_t boot_unix_s;  /* 0 when unknown */
	uint64_t ticks_per_s; /* unit of start times in /proc */
	char *passwd;	      /* text of the user table, NULL when unreadable */
	size_t passwd_len;
};

void host__read(struct host *host, const char *proc_root);
void host__free(struct host *host);

/* Name of a user of the host; empty when unknown. */
struct slice host__user(const struct host *host, uint32_t uid);

#endif
