// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Functions of CPython and of uvloop that say what contexts work for.  User space attaches these
 * programs, once for each file.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/python.bpf.h"

/* NULL: not CPython, or not of a version that is known. */
static __always_inline const struct process_runtime *python__runtime(__u64 thread)
{
	const struct process_runtime *runtime = runtime__of(thread >> 32);

	return runtime && runtime->kind == RUNTIME_PYTHON ? runtime : NULL;
}

/* PyContext_CopyCurrent() returns a child of the current context. */
SEC("uretprobe")
int BPF_KRETPROBE(python_copies, __u64 context)
{
	__u64 thread = bpf_get_current_pid_tgid();
	const struct process_runtime *runtime = python__runtime(thread);

	if (context && runtime)
		python__made(thread, context, python__current(runtime, thread >> 32),
			     runtime->at[PYTHON_AT_UVLOOP]);
	return 0;
}

/* PyContext_New(), PyContext_Copy(), Context() and its copy() return one that is nobody's child. */
SEC("uretprobe")
int BPF_KRETPROBE(python_makes, __u64 context)
{
	__u64 thread = bpf_get_current_pid_tgid();

	if (context && python__runtime(thread))
		python__made(thread, context, NULL, false);
	return 0;
}

/* Future.set_result(), which is of interest while something read is being handed over. */
SEC("uprobe")
int BPF_KPROBE(python_resolves, __u64 future)
{
	__u64 thread = bpf_get_current_pid_tgid();
	const struct process_runtime *runtime;

	if (!bpf_map_lookup_elem(&python_reads, &thread))
		return 0;
	runtime = python__runtime(thread);
	if (runtime)
		python__resolves(runtime, thread, future);
	return 0;
}

/* uvloop hands over what it has read just before. */
SEC("uprobe")
int BPF_KPROBE(python_reads_begin, __u64 stream, __s64 size)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct python_read *read = bpf_map_lookup_elem(&python_reads, &thread);
	__u32 fd;

	if (!read)
		return 0;
	if (size == read->size &&
	    !bpf_probe_read_user(&fd, sizeof(fd), (void *)(stream + UV_STREAM_FD)) &&
	    fd == read->fd)
		read->called = 1;
	else
		bpf_map_delete_elem(&python_reads, &thread);
	return 0;
}

SEC("uretprobe")
int BPF_KRETPROBE(python_reads_end)
{
	__u64 thread = bpf_get_current_pid_tgid();

	bpf_map_delete_elem(&python_reads, &thread);
	return 0;
}
