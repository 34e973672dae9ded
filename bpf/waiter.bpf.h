/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who waits for what comes on a socket: a thread that does nothing else, or a loop that serves
 * many sockets?
 *
 * Some servers give each request to a thread of its own, and read it from a socket that does not
 * block, so as to give up after a while: they wait in poll().  To the kernel they look like a
 * loop that does the same; they are known by name.  Where such a program runs a loop after all
 * (uWSGI with gevent), that waits in epoll, which shows in the socket.
 *
 * A thread of Puma gives a connection away before a request is whole, and takes up another's.
 * So does PHP's own server ("php -S"): but where it has a request as a whole, it runs the script
 * at once.
 */
#ifndef SPANLOOM_WAITER_BPF_H
#define SPANLOOM_WAITER_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/core.bpf.h"
#include "bpf/event.h"
#include "bpf/head.bpf.h"
#include "bpf/payload.bpf.h"

#define WAITER_ARGS 64 /* bytes of a command line that are looked at */

static __always_inline bool waiter__is_named(const char *comm, const char *name, int len)
{
	for (int i = 0; i < len; i++)
		if (comm[i] != name[i])
			return false;
	return true;
}

/* Not inline: among the registers of its caller clang spills @len, and the verifier (6.1) loses
 * its bound. */
static __noinline int waiter__copy(struct head_work *work, __u64 from, __u32 len)
{
	barrier_var(len); /* see payload__record_of() */
	if (len > HEAD_WINDOW)
		return -1;
	return bpf_probe_read_user(work->bytes, len, (void *)from);
}

/* Were the @size bytes that the current system call has received one request, and all of it? */
static __always_inline bool waiter__has_whole(const struct transfer *t, __u32 size)
{
	struct head_work *work = head__work(t->head);

	if (!work || t->piece.len < size || waiter__copy(work, t->piece.base, size))
		return false;
	head__start(&work->head);
	work->len = size;
	head__scan_slot(t->head);
	return work->head.done && !work->head.chunked &&
	       work->head.size + (work->head.has_length ? work->head.content_length : 0) == size;
}

/* Is the current program "php -S ADDRESS ..."?  Others of PHP may be loops. */
static __always_inline bool waiter__is_php_server(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	char words[WAITER_ARGS] = {};

	if (bpf_probe_read_user(words, sizeof(words), (void *)BPF_CORE_READ(task, mm, arg_start)))
		return false;
	for (int i = 0; i < WAITER_ARGS - 2; i++)
		if (!words[i])
			return words[i + 1] == '-' && words[i + 2] == 'S';
	return false;
}

/* Threads of Apache and uWSGI are named as their programs, those of Puma by what they do.  A
 * function of its own: so the verifier goes through it once. */
__weak int waiter__is_known(__u32 slot, __u32 size)
{
	const struct transfer *t = payload__transfer(slot);
	char comm[EVENT_COMM_LEN];

	if (!t)
		return 0;
	bpf_get_current_comm(comm, sizeof(comm));
	if (waiter__is_named(comm, "puma srv tp ", 12) ||
	    (waiter__is_named(comm, "php", 3) && waiter__is_php_server()))
		return waiter__has_whole(t, size);
	return waiter__is_named(comm, "uwsgi", 6) || waiter__is_named(comm, "apache2", 8) ||
	       waiter__is_named(comm, "httpd", 6);
}

/* Does the current thread, that has received the @size bytes of the transfer of @slot from @sk
 * with @flags, wait for this socket alone? */
static __always_inline bool waiter__is_thread(struct sock *sk, enum slot slot, __u32 size,
					      int flags)
{
	struct socket *socket = core__bsd_socket(sk);

	if (!socket)
		return false;
	if (!(flags & MSG_DONTWAIT) && core__blocks(socket))
		return true;
	return !core__is_awaited(socket) && waiter__is_known(slot, size);
}

#endif
