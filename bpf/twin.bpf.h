/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Programs of tracepoints that can be preempted (7.0, a46023d5616e).
 *
 * The kernel does not run a program while the same one is under way on that processor.  Until a
 * thread that was preempted in it goes on, what others send and receive there would go by unseen.
 * So each program of the sockets has a twin, which hangs on the same tracepoint behind it, has
 * memory of its own, and takes the moments that the first one missed.
 *
 * Which those are a mark of the thread tells, where what was done shows in nothing else.  Both
 * may be missed at once, and the twin may have been missed before, so that the mark is old: then
 * the moment is lost.  "kernel.programs.missed" in the ledger has how many there are at most.
 */
#ifndef SPANLOOM_TWIN_BPF_H
#define SPANLOOM_TWIN_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/config.bpf.h"
#include "bpf/count.bpf.h"
#include "bpf/event.h"

struct twin_marks {
	__u8 seen[2]; /* by enum event_dir: the newest moment has not gone by the twin yet */
};

/* Of threads that send or receive; freed with them.  Only where there are twins. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct twin_marks);
} twin_marks SEC(".maps") __weak;

/* NULL, counted: no memory; the moment is nobody's. */
static __always_inline struct twin_marks *twin__marks(void)
{
	struct twin_marks *marks = bpf_task_storage_get(&twin_marks, bpf_get_current_task_btf(),
							NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!marks)
		count__one(COUNT_NO_STATE);
	return marks;
}

/* Is the first one to see the moment?  It is always the one who is asked first. */
static __always_inline bool twin__first(enum event_dir dir)
{
	struct twin_marks *marks;

	if (!twins_wanted)
		return true;
	marks = twin__marks();
	if (!marks)
		return false;
	marks->seen[dir] = 1;
	return true;
}

/* Has the first one missed it? */
static __always_inline bool twin__second(enum event_dir dir)
{
	struct twin_marks *marks = twin__marks();

	if (!marks)
		return false;
	if (!marks->seen[dir])
		return true;
	marks->seen[dir] = 0;
	return false;
}

#endif
