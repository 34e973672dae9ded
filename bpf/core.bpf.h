/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What differs between kernels and processors: the current task, its system call, sockets.  All
 * that is asked of the running kernel's types is asked here, with the commit that made the
 * difference.
 */
#ifndef SPANLOOM_CORE_BPF_H
#define SPANLOOM_CORE_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/config.bpf.h"

/* The registers of the current thread's system call. */
struct core_syscall {
	__u64 arg1; /* its second argument */
	__u64 arg2;
	__u32 nr;
	bool compat;  /* of a 32-bit program: other numbers, other structures */
	bool running; /* not over yet; else this is work queued for the way back to user mode, or a
		       * worker of io_uring, which makes no calls */
	__u16 pad;
};

/* bpf_get_current_task_btf(), 5.11 (3ca1032ab7ab), lets us load fields without a helper call;
 * bpf_task_pt_regs(), 5.15 (dd6e10fbd9fb), knows where the registers are. */
static __always_inline bool core__has_task_btf(void)
{
	return bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf) &&
	       bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs);
}

/* bpf_skc_to_unix_sock(), 5.16 (9eeb3aa33ae0). */
static __always_inline bool core__has_unix_cast(void)
{
	return bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_skc_to_unix_sock);
}

/* How many bytes of @skb, the first in a unix socket's queue, were read; false: it does not say.
 * The field came in 4.2 (2b514574f7e8). */
static __always_inline bool core__unix_consumed(const struct sk_buff *skb, __u32 *bytes)
{
	const struct unix_skb_parms *parms = (const struct unix_skb_parms *)&skb->cb;

	if (!bpf_core_field_exists(struct unix_skb_parms, consumed))
		return false;
	*bytes = BPF_CORE_READ(parms, consumed);
	return true;
}

/* Flags of sockets have no numbers of their own: one that is added moves those behind it. */
#define core__flag(flag) (1UL << bpf_core_enum_value(enum sock_flags, flag))

static __always_inline bool core__is_zerocopy(const struct sock *sk)
{
	return sk->__sk_common.skc_flags & core__flag(SOCK_ZEROCOPY);
}

static __always_inline __u32 core__task_flags(void)
{
	if (core__has_task_btf())
		return bpf_get_current_task_btf()->flags;
	return BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), flags);
}

/* Sockets that we follow: streams of TCP and of this host. */
static __always_inline bool core__is_followed(struct sock *sk)
{
	__u16 family, type, protocol;

	if (use_sk_storage) {
		family = sk->__sk_common.skc_family;
		type = sk->sk_type;
		protocol = sk->sk_protocol;
	} else { /* @sk is only a number here */
		family = BPF_CORE_READ(sk, __sk_common.skc_family);
		type = BPF_CORE_READ(sk, sk_type);
		protocol = BPF_CORE_READ(sk, sk_protocol);
	}
	if (type != SOCK_STREAM)
		return false;
	if (family == AF_INET || family == AF_INET6)
		return protocol == IPPROTO_TCP;
	return family == AF_UNIX;
}

/*
 * The socket that user space holds @sk by; NULL: none.  To be loaded once: for each load of a
 * pointer by a trusted one the verifier goes through all types of the kernel, on each path
 * (57539b1c0ac2, 6.3).
 */
static __always_inline struct socket *core__bsd_socket(struct sock *sk)
{
	if (!use_sk_storage) /* @sk is only a number here */
		return BPF_CORE_READ(sk, sk_socket);
	return sk->sk_socket;
}

/* Does a thread that reads @socket wait in it?  Only where its file says so. */
static __always_inline bool core__blocks(struct socket *socket)
{
	struct file *file;

	if (!use_sk_storage) { /* likewise a number */
		file = BPF_CORE_READ(socket, file);
		return file && !(BPF_CORE_READ(file, f_flags) & O_NONBLOCK);
	}
	file = socket->file;
	return file && !(file->f_flags & O_NONBLOCK);
}

/* Does somebody wait for @socket?  Who is in epoll does all the time; who was in poll() does
 * not.  The queue is in the socket since 5.3 (333f7909a857). */
static __always_inline bool core__is_awaited(struct socket *socket)
{
	struct list_head *first;

	if (use_sk_storage)
		first = socket->wq.wait.head.next;
	else
		first = BPF_CORE_READ(socket, wq.wait.head.next);
	return first != &socket->wq.wait.head;
}

/* The socket that is open as @file, for its address only; NULL: it is none. */
static __always_inline struct sock *core__socket_of(struct file *file)
{
	struct socket *socket;

	if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	socket = BPF_CORE_READ(file, private_data);
	return BPF_CORE_READ(socket, sk);
}

/*
 * Likewise, but one that has storage, where that is used.  bpf_sock_from_file() is as old as the
 * storage of sockets in tracing programs: 5.11 (4f19cab76136, 8e4597c627fb).
 */
static __always_inline struct sock *core__sock_from_file(struct file *file)
{
	struct socket *socket;

	if (!use_sk_storage)
		return core__socket_of(file);
	socket = file ? bpf_sock_from_file(file) : NULL;
	return socket ? socket->sk : NULL;
}

/* The socket that is open in the current process as @fd, for its address only; NULL: none. */
static __always_inline struct sock *core__socket(__u32 fd)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file *file = NULL, **open = BPF_CORE_READ(table, fd);

	if (fd >= BPF_CORE_READ(table, max_fds) ||
	    bpf_probe_read_kernel(&file, sizeof(file), open + fd))
		return NULL;
	return core__socket_of(file);
}

/* Without bpf_task_pt_regs(): the registers end the kernel stack. */
static __always_inline struct pt_regs *core__stack_regs(struct task_struct *task)
{
	__u64 stack = (__u64)BPF_CORE_READ(task, stack);

	return (struct pt_regs *)(stack + stack_bytes - bpf_core_type_size(struct pt_regs));
}

#if defined(__TARGET_ARCH_x86)

/* Of the program, as it was when the current system call was made. */
static __always_inline __u64 core__frame_pointer(void)
{
	if (core__has_task_btf()) {
		struct task_struct *task = bpf_get_current_task_btf();

		return ((struct pt_regs *)bpf_task_pt_regs(task))->bp;
	}
	return BPF_CORE_READ(core__stack_regs((struct task_struct *)bpf_get_current_task()), bp);
}

/* The entry code leaves -ENOSYS in ax until the call has its result; a new thread has 0 there. */
static __always_inline void core__syscall(struct core_syscall *call)
{
	if (core__has_task_btf()) {
		struct task_struct *task = bpf_get_current_task_btf();
		struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);

		call->compat = task->thread_info.status & TS_COMPAT;
		call->running = (__s32)regs->ax == -ENOSYS;
		call->nr = regs->orig_ax;
		call->arg1 = regs->si;
		call->arg2 = regs->dx;
	} else {
		struct task_struct *task = (struct task_struct *)bpf_get_current_task();
		struct pt_regs *regs = core__stack_regs(task);

		call->compat = BPF_CORE_READ(task, thread_info.status) & TS_COMPAT;
		call->running = (__s32)BPF_CORE_READ(regs, ax) == -ENOSYS;
		call->nr = BPF_CORE_READ(regs, orig_ax);
		call->arg1 = BPF_CORE_READ(regs, si);
		call->arg2 = BPF_CORE_READ(regs, dx);
	}
}

/* The first argument of the current thread's system call, where that is a file. */
static __always_inline __u32 core__syscall_fd(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	if (core__has_task_btf())
		return ((struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf()))->di;
	return BPF_CORE_READ(core__stack_regs(task), di);
}

enum syscall_nr {
	NR_READ = 0,
	NR_WRITE = 1,
	NR_READV = 19,
	NR_WRITEV = 20,
	NR_SENDFILE = 40,
	NR_SENDTO = 44,
	NR_RECVFROM = 45,
	NR_SENDMSG = 46,
	NR_RECVMSG = 47,
	NR_SPLICE = 275,
	NR_VMSPLICE = 278,
	NR_RECVMMSG = 299,
	NR_SENDMMSG = 307,
	NR_IO_URING_ENTER = 426,
};

#elif defined(__TARGET_ARCH_arm64)

static __always_inline __u64 core__frame_pointer(void)
{
	if (core__has_task_btf()) {
		struct task_struct *task = bpf_get_current_task_btf();

		return ((struct pt_regs *)bpf_task_pt_regs(task))->regs[29];
	}
	return BPF_CORE_READ(core__stack_regs((struct task_struct *)bpf_get_current_task()),
			     regs[29]);
}

/* The result of a finished call takes the place of its first argument, of which there is a copy.
 * Only a result that happens to be that number looks like a call that runs.  All registers of a
 * worker of io_uring are 0. */
static __always_inline void core__syscall(struct core_syscall *call)
{
	if (core__has_task_btf()) {
		struct task_struct *task = bpf_get_current_task_btf();
		struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);

		call->compat = task->thread_info.flags >> TIF_32BIT & 1;
		call->running = regs->regs[0] == regs->orig_x0 && !(task->flags & PF_IO_WORKER);
		call->nr = regs->syscallno;
		call->arg1 = regs->regs[1];
		call->arg2 = regs->regs[2];
	} else {
		struct task_struct *task = (struct task_struct *)bpf_get_current_task();
		struct pt_regs *regs = core__stack_regs(task);

		call->compat = BPF_CORE_READ(task, thread_info.flags) >> TIF_32BIT & 1;
		call->running = BPF_CORE_READ(regs, regs[0]) == BPF_CORE_READ(regs, orig_x0) &&
				!(BPF_CORE_READ(task, flags) & PF_IO_WORKER);
		call->nr = BPF_CORE_READ(regs, syscallno);
		call->arg1 = BPF_CORE_READ(regs, regs[1]);
		call->arg2 = BPF_CORE_READ(regs, regs[2]);
	}
}

static __always_inline __u32 core__syscall_fd(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	if (core__has_task_btf())
		return ((struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf()))->orig_x0;
	return BPF_CORE_READ(core__stack_regs(task), orig_x0);
}

enum syscall_nr {
	NR_READ = 63,
	NR_WRITE = 64,
	NR_READV = 65,
	NR_WRITEV = 66,
	NR_SENDFILE = 71,
	NR_VMSPLICE = 75,
	NR_SPLICE = 76,
	NR_SENDTO = 206,
	NR_RECVFROM = 207,
	NR_SENDMSG = 211,
	NR_RECVMSG = 212,
	NR_RECVMMSG = 243,
	NR_SENDMMSG = 269,
	NR_IO_URING_ENTER = 426,
};

#endif

#endif
