/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Can sockets be put into a map without harm to their programs?  Found by trying, never by
 * version: the fault came with a correction that went into older kernels, too.
 */
#ifndef SPANLOOM_INJECTION_PROBE_H
#define SPANLOOM_INJECTION_PROBE_H

#include <stddef.h>

enum injection_state {
	INJECTION_SAFE,
	INJECTION_HARMFUL,    /* works, but some programs would be misled */
	INJECTION_IMPOSSIBLE, /* the kernel, or the host, has not what it takes */
};

/* Tries with a connection of its own over loopback, some ms.  @detail: one clause that says what
 * was found. */
enum injection_state injection__probe(char *detail, size_t len);

#define ROOT_CGROUP_INO 1 /* of the directory that all groups are below of */

/* Where cgroup v2 is mounted, as a file descriptor, or a negative errno.  The root of all groups where
 * one of the mounts shows it; else, as in a container, another group. */
int injection__open_cgroups(void);

#endif
