/* SPDX-License-Identifier: Apache-2.0 */
/* The files of Go programs that run: what is known of each, and the probes on its functions. */
#ifndef SPANLOOM_GOLANG_FILES_H
#define SPANLOOM_GOLANG_FILES_H

#include <stdint.h>

#include "bpf/event.h"

struct golang_files;
struct tracer;

/* @tracer is borrowed.  NULL: no memory. */
struct golang_files *golang_files__new(struct tracer *tracer);
void golang_files__free(struct golang_files *files);

/*
 * @pid runs a new program.  Watches its functions, and tells its @runtime.
 *	0
 *	-ENOTSUP	a Go program whose goroutines are not known; @runtime says that it is Go
 *	another errno	no Go program, or none that can be read
 */
int golang_files__process(struct golang_files *files, uint32_t pid,
			  struct process_runtime *runtime);
void golang_files__exit(struct golang_files *files, uint32_t pid);

#endif
