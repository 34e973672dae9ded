/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was there before the agent: sockets that the kernel programs must not take for new.
 */
#ifndef SPANLOOM_INVENTORY_H
#define SPANLOOM_INVENTORY_H

struct spanloom_bpf;

/* Called once, when the programs are attached.  0 or a negative errno: then no unix socket is
 * ever known to be new, and the first message on one has no "peer" link. */
int inventory__take(struct spanloom_bpf *skel);

#endif
