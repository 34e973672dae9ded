/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who waits for what comes on a socket: a thread that does nothing else, or a loop that serves
 * many sockets?
 *
 * Some servers give each request to a thread of its own, and read it from a socket that does not
 * block, so as to give up after a while: they wait in poll().  To the kernel they look like a loop
 * that does the same; they are known by name.  Where such a program runs a loop after all (uWSGI
 * with gevent), that waits in epoll, which shows in the socket.
 */
#ifndef SPANLOOM_WAITER_BPF_H
#define SPANLOOM_WAITER_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/core.bpf.h"
#include "bpf/event.h"

static __always_inline bool waiter__is_named(const char *comm, const char *name, int len)
{
	for (int i = 0; i < len; i++)
		if (comm[i] != name[i])
			return false;
	return true;
}

/* Threads of Apache and uWSGI are named as their programs, those of Puma by what they do. */
static __always_inline bool waiter__is_known(void)
{
	char comm[EVENT_COMM_LEN];

	bpf_get_current_comm(comm, sizeof(comm));
	return waiter__is_named(comm, "puma srv tp ", 12) || waiter__is_named(comm, "uwsgi", 6) ||
	       waiter__is_named(comm, "apache2", 8) || waiter__is_named(comm, "httpd", 6);
}

/* Who is in epoll is in the queue of the socket all the time; who was in poll() is not. */
static __always_inline bool waiter__is_queued(struct sock *sk)
{
	struct socket_wq *wq = BPF_CORE_READ(sk, sk_wq);

	return !wq || BPF_CORE_READ(wq, wait.head.next) != &wq->wait.head;
}

/* Does the current thread, that has received from @sk with @flags, wait for it alone? */
static __always_inline bool waiter__is_thread(struct sock *sk, int flags)
{
	if (!(flags & MSG_DONTWAIT) && core__blocks(sk))
		return true;
	return waiter__is_known() && !waiter__is_queued(sk);
}

#endif
