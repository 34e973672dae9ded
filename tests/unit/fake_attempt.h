/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for user/kernel/attempt.c: a kernel whose answers the test sets, because no test
 * machine has them all.
 */
#ifndef SPANLOOM_FAKE_ATTEMPT_H
#define SPANLOOM_FAKE_ATTEMPT_H

#include "user/kernel/injection_probe.h"

/* What each attempt gives: 0 or a negative errno. */
struct fake_kernel {
	int privilege;
	int ring_buffer;
	int sock_length; /* sock_send_length and sock_recv_length */
	int send_start;	 /* tcp_sendmsg_locked */
	int fentry;
	int kprobe;
	int sk_storage_tp;
	int sk_storage_fentry;
	enum injection_state injection;
	int tcp_option;
};

extern struct fake_kernel fake_kernel;

#endif
