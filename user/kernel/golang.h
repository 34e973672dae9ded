/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Go programs: where the kernel programs find the goroutine that runs, and which functions they
 * have to watch.  Which Go has built the program stands in its section ".go.buildinfo", stripped
 * or not.  Files are not trusted.
 */
#ifndef SPANLOOM_GOLANG_H
#define SPANLOOM_GOLANG_H

#include "bpf/event.h"
#include "user/base/slice.h"
#include "user/kernel/golang_layout.h"

#define GOLANG_PROBES_MAX 32

struct golang_probe {
	const char *program;  /* of bpf/go.bpf.c */
	const char *function; /* in which the instruction is */
	uint64_t offset;      /* of the instruction, in the file */
};

/* What a program's file tells. */
struct golang {
	unsigned int minor; /* of Go 1.x */
	uint64_t entry;	    /* addresses as in the file */
	uint64_t sched;	    /* 0: the program has no symbols */
	uint64_t allp;
	bool g_below_thread_pointer; /* g is the only variable of a thread, and the last */
	bool layout_known;
	struct golang_layout layout;
	unsigned int probe_count;
	struct golang_probe probes[GOLANG_PROBES_MAX];
};

/* The x of "go1.x"; @section: start of .go.buildinfo.  -EBADMSG: none, or before 1.18. */
int golang__minor(struct slice section);

/* Where in a function that begins with @code its arguments are still in place, and a probe is
 * cheap: at its first jump.  -ENOTSUP: it does not begin as Go's functions do. */
int golang__first_jump(struct slice code);

/* 0; -ENOENT: not a Go program; -EBADMSG: a file that is broken, or not for us;
 * -EFBIG: one that takes more memory than it is worth. */
int golang__read(int fd, struct golang *go);

/* -ENOTSUP: its goroutines are not known; @runtime then says no more than that it is Go.  @bias:
 * loaded so far above the file's addresses. */
int golang__runtime(const struct golang *go, uint64_t bias, struct process_runtime *runtime);

/* Why that is so, or NULL: a literal. */
const char *golang__obstacle(const struct golang *go);

#endif
