/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which runtime does a process have?  Finds out, tells the kernel programs, and attaches those
 * that watch functions of the runtime.
 */
#ifndef SPANLOOM_TARGETS_H
#define SPANLOOM_TARGETS_H

#include <stdbool.h>
#include <stdint.h>

struct targets;
struct tracer;

/* Looks at all processes that run.  @python: also at what the contexts of CPython work for.
 * @tracer is borrowed.  NULL: errno. */
struct targets *targets__new(struct tracer *tracer, bool python);
void targets__free(struct targets *t);

/* @pid runs a new program. */
void targets__process(struct targets *t, uint32_t pid);
/* @pid has a connection: it may be the child of a process that has none. */
void targets__connection(struct targets *t, uint32_t pid);
void targets__exit(struct targets *t, uint32_t pid);

/* Time passes, about 100 ms: looks again at programs that are still loading what they need. */
void targets__tick(struct targets *t);

#endif
