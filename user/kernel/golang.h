/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Go programs: where the kernel programs find the goroutine that runs.  Which Go has built the
 * program stands in its section ".go.buildinfo", stripped or not; where the fields are is a
 * matter of that version.  A version that is not in the table is left alone.
 */
#ifndef SPANLOOM_GOLANG_H
#define SPANLOOM_GOLANG_H

#include "bpf/event.h"
#include "user/base/slice.h"

/* What a program's file tells. */
struct golang {
	unsigned int minor; /* of Go 1.x */
	uint64_t entry;	    /* addresses as in the file */
	uint64_t sched;	    /* 0: the program has no symbols */
	uint64_t allp;
	bool g_below_thread_pointer; /* g is the only variable of a thread, and the last */
};

/* The x of "go1.x"; @section: start of .go.buildinfo.  -EBADMSG: none, or before 1.18. */
int golang__minor(struct slice section);

/* 0; -ENOENT: not a Go program; -EBADMSG: a file that is broken, or not for us. */
int golang__read(int fd, struct golang *go);

/* -ENOTSUP: not a version that is known.  @bias: loaded so far above the file's addresses. */
int golang__runtime(const struct golang *go, uint64_t bias, struct process_runtime *runtime);

/* All of it for a process.  What is not to be had is said in the debug log. */
int golang__of_process(const char *proc_root, uint32_t pid, struct process_runtime *runtime);

#endif
