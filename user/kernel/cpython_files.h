/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes that run CPython: finds them, watches the functions of their files, and tells the
 * kernel how to read their contexts.
 */
#ifndef SPANLOOM_CPYTHON_FILES_H
#define SPANLOOM_CPYTHON_FILES_H

#include <stdint.h>

struct cpython_files;
struct tracer;

/* @tracer is borrowed.  NULL: no memory. */
struct cpython_files *cpython_files__new(struct tracer *tracer);
void cpython_files__free(struct cpython_files *files);

/* @pid runs a new program, or is seen for the first time.  It is looked at now, and a few times
 * later: modules are loaded as a program goes. */
void cpython_files__process(struct cpython_files *files, uint32_t pid);
/* @pid has a connection: it may be seen for the first time. */
void cpython_files__connection(struct cpython_files *files, uint32_t pid);
void cpython_files__exit(struct cpython_files *files, uint32_t pid);

/* Time passes, about 100 ms. */
void cpython_files__tick(struct cpython_files *files);

#endif
