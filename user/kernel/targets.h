/* SPDX-License-Identifier: Apache-2.0 */
/* Which runtime does a process have?  Finds out, and tells the kernel programs. */
#ifndef SPANLOOM_TARGETS_H
#define SPANLOOM_TARGETS_H

#include <stdint.h>

struct targets;
struct tracer;

/* Looks at all processes that run.  NULL: errno. */
struct targets *targets__new(struct tracer *tracer);
void targets__free(struct targets *t);

/* @pid runs a new program. */
void targets__process(struct targets *t, uint32_t pid);
void targets__exit(struct targets *t, uint32_t pid);

#endif
