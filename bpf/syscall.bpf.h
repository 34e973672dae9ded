/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where the current system call has its buffers.  The hooks run inside of the call, when its
 * registers and the structures they point to are as the program left them.
 */
#ifndef SPANLOOM_SYSCALL_BPF_H
#define SPANLOOM_SYSCALL_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/conn.bpf.h"
#include "bpf/core.bpf.h"
#include "bpf/event.h"
#include "bpf/payload.bpf.h"

/* struct msghdr and struct mmsghdr of user space, 64-bit. */
struct user_message {
	__u64 name;
	__u64 name_len;
	__u64 iov;
	__u64 iov_len;
	__u64 control;
	__u64 control_len;
	__u64 flags;
};

struct user_mmessage {
	struct user_message message;
	__u64 len;
};

static __always_inline void syscall__at_buffer(struct transfer *t, __u64 base, __u64 len)
{
	t->piece.base = base;
	t->piece.len = len;
	t->pieces = 0;
}

static __always_inline void syscall__at_list(struct transfer *t, __u64 iov, __u64 count)
{
	t->piece.len = 0;
	t->next_piece = iov;
	t->pieces = count < PIECES_MAX ? count : PIECES_MAX;
	payload__look_ahead(t, iov, count);
	payload__next_piece(t);
}

static __always_inline void syscall__at_message(struct transfer *t, __u64 at)
{
	struct user_message message = {};

	bpf_probe_read_user(&message, sizeof(message), (void *)at);
	syscall__at_list(t, message.iov, message.iov_len);
}

/*
 * sendmmsg and recvmmsg: the hook runs once per message of the vector, and only we know how
 * many there were.  A call that ends before its vector does, ends with an error (traffic__nothing())
 * or with a message that was cut short.
 */
static __always_inline void syscall__at_vector(struct transfer *t, struct conn *conn,
					       const struct core_syscall *call, __u32 size)
{
	if (conn->mmsg_vector != call->arg1) {
		conn->mmsg_vector = call->arg1;
		conn->mmsg_next = 0;
	}
	syscall__at_message(t, call->arg1 + conn->mmsg_next * sizeof(struct user_mmessage));
	conn->mmsg_next++;
	if (conn->mmsg_next >= (__u32)call->arg2 || (!t->pieces && size < t->piece.len))
		conn->mmsg_vector = 0;
}

static __always_inline enum counter syscall__without_buffer(__u32 nr)
{
	switch (nr) {
	case NR_SENDFILE:
		return COUNT_NO_BUFFER_SENDFILE;
	case NR_SPLICE:
	case NR_VMSPLICE:
		return COUNT_NO_BUFFER_SPLICE;
	case NR_IO_URING_ENTER:
		return COUNT_NO_BUFFER_IO_URING;
	default:
		return COUNT_NO_BUFFER_OTHER;
	}
}

static __always_inline bool syscall__at_sent(struct transfer *t, struct conn *conn,
					     const struct core_syscall *call, __u32 size)
{
	switch (call->nr) {
	case NR_WRITE:
	case NR_SENDTO:
		syscall__at_buffer(t, call->arg1, call->arg2);
		return true;
	case NR_WRITEV:
		syscall__at_list(t, call->arg1, call->arg2);
		return true;
	case NR_SENDMSG:
		syscall__at_message(t, call->arg1);
		return true;
	case NR_SENDMMSG:
		syscall__at_vector(t, conn, call, size);
		return true;
	default:
		return false;
	}
}

static __always_inline bool syscall__at_received(struct transfer *t, struct conn *conn,
						 const struct core_syscall *call, __u32 size)
{
	switch (call->nr) {
	case NR_READ:
	case NR_RECVFROM:
		syscall__at_buffer(t, call->arg1, call->arg2);
		return true;
	case NR_READV:
		syscall__at_list(t, call->arg1, call->arg2);
		return true;
	case NR_RECVMSG:
		syscall__at_message(t, call->arg1);
		return true;
	case NR_RECVMMSG:
		syscall__at_vector(t, conn, call, size);
		return true;
	default:
		return false;
	}
}

/* Sets @t to the start of the user's buffers.  False: out of reach, and counted by cause. */
static __always_inline bool syscall__locate(struct transfer *t, struct conn *conn,
					    enum event_dir dir, __u32 size, int flags)
{
	struct core_syscall call;
	enum counter cause;
	bool found;

	if (flags & MSG_TRUNC) { /* the bytes were dropped, not copied */
		count__one(COUNT_NO_BUFFER_OTHER);
		return false;
	}
	core__syscall(&call);
	if (call.compat) {
		count__one(COUNT_NO_BUFFER_COMPAT);
		return false;
	}
	if (!call.running) { /* only io_uring moves bytes on the way back to user mode, or elsewhere */
		count__one(COUNT_NO_BUFFER_IO_URING);
		return false;
	}
	found = dir == DIR_SEND ? syscall__at_sent(t, conn, &call, size)
				: syscall__at_received(t, conn, &call, size);
	if (!found) {
		cause = syscall__without_buffer(call.nr);
		count__one(cause);
	}
	return found;
}

#endif
