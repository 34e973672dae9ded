/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where BPF programs are attached: the kernel's links, and the perf events of one process (which
 * kprobes, uprobes and tracepoints are).  Programs attached without a link (sk_msg to a sockmap)
 * are not here.
 */
#ifndef SPANLOOM_ATTACHMENT_H
#define SPANLOOM_ATTACHMENT_H

#include <stddef.h>
#include <stdint.h>

struct attachment {
	uint32_t prog_id;
	char type[16];	  /* as in SEC(): "tp_btf", "fentry", "kprobe", "uretprobe" ... */
	char target[256]; /* tracepoint, kernel function, file:function; "-" when unknown */
};

struct attachments {
	struct attachment *list;
	size_t count;
	size_t capacity;
};

/* All of the host; of perf events those that @pids hold.  0 or a negative errno.  Call
 * attachments__free() in either case. */
int attachments__read(struct attachments *a, const uint32_t *pids, size_t count);
void attachments__free(struct attachments *a);

#endif
