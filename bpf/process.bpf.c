// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The life of processes: names for those that end before user space can look at them. */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/activity.bpf.h"
#include "bpf/event.h"
#include "bpf/heir.bpf.h"
#include "bpf/intake.bpf.h"
#include "bpf/output.bpf.h"
#include "bpf/runtime.bpf.h"
#include "bpf/scope.bpf.h"
#include "bpf/sdk.bpf.h"

static __always_inline void process__emit(struct task_struct *task, enum process_kind kind,
					  const char *path)
{
	struct event_process *event = output__reserve(sizeof(*event), 0);

	if (!event)
		return;
	__builtin_memset(event, 0, sizeof(*event));
	event->hdr.type = EVENT_PROCESS;
	event->hdr.len = sizeof(*event);
	event->hdr.ts_ns = bpf_ktime_get_ns();
	event->cgroup_id = bpf_get_current_cgroup_id();
	event->tgid = task->tgid;
	event->kind = kind;
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	if (path)
		bpf_probe_read_kernel_str(event->path, sizeof(event->path), path);
	output__submit(event, sizeof(*event));
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_forks, struct task_struct *parent, struct task_struct *child)
{
	if (child->pid == child->tgid) {
		scope__inherit(parent->tgid, child->tgid);
		runtime__inherit(parent->tgid, child->tgid);
		intake__inherit(parent->tgid, child->tgid);
	}
	if (child->pid == child->tgid || likely_links)
		activity__fork(bpf_get_current_pid_tgid(), child->pid);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_execs, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	heir__executes(task);
	process__emit(task, PROCESS_EXEC, bprm->filename);
	return 0;
}

/* Runs for every thread; the last one is the end of the process. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exits, struct task_struct *task)
{
	activity__forget(task->tgid, task->pid);
	if (likely_links)
		heir__forget(task->pid);
	if (task->signal->live.counter)
		return 0;
	activity__forget_process(task->tgid);
	heir__forget(task->tgid);
	process__emit(task, PROCESS_EXIT, NULL);
	scope__forget(task->tgid);
	runtime__forget(task->tgid);
	sdk__forget(task->tgid);
	intake__forget(task->tgid);
	return 0;
}
