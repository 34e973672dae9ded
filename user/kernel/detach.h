/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes probes off programs.  For each one the kernel waits until no processor can be inside of it:
 * 15 to 150 ms as measured, too long for the loop.  So a thread does it, which ends when it is done.
 */
#ifndef SPANLOOM_DETACH_H
#define SPANLOOM_DETACH_H

#include <stddef.h>

struct bpf_link;

/* Takes the links, of which some may be NULL. */
void detach__later(struct bpf_link *const *links, size_t count);
/* The same, done when it returns. */
void detach__now(struct bpf_link *const *links, size_t count);

#endif
