/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The object file of the kernel programs, which the binary holds compressed.  A third of it says of
 * which line an instruction is: that is for who reads what the verifier says, so the kernel is told
 * only with --log-level debug.
 */
#ifndef SPANLOOM_OBJECT_H
#define SPANLOOM_OBJECT_H

struct spanloom_bpf;

/* As spanloom_bpf__open() would: for spanloom_bpf__destroy().  NULL: errno says why. */
struct spanloom_bpf *object__open(void);

#endif
