/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where BPF programs are attached: the kernel's links, the perf events of one process (which
 * kprobes, uprobes and tracepoints are), and maps of sockets.
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
/* Adds the program that sees what is sent on the sockets of a map; from Linux 5.16 on the kernel tells
 * (748cd5729ac7).  0 or -ENOMEM. */
int attachments__add_map(struct attachments *a, uint32_t map_id, const char *map_name);
void attachments__free(struct attachments *a);

#endif
