/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sockets of TCP of which nothing is told, by their address.  On a host where little is traced they
 * are most of what goes by: here they leave without a call, and what they moved is summed up until
 * somebody looks at their state (conn__find()).
 *
 * A place is shared by all sockets with its number.  Who finds it taken, or is not known here, is
 * looked up.  The hooks on the begin and the end of a socket clear what is known of its address.
 */
#ifndef SPANLOOM_PASS_BPF_H
#define SPANLOOM_PASS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/core.bpf.h"
#include "bpf/event.h"

#define PASSES_BITS 12
#define PASSES	    (1 << PASSES_BITS)

struct pass {
	__u64 sk;	/* whose the next three are; 0: nobody's */
	__u64 scope;	/* conn__scope_key() of the process that is not traced */
	__u64 moved[2]; /* by that, by enum event_dir, and not counted in the state yet */
	__u64 claims;	/* of the above; whoever is not alone leaves it */
	__u64 ignored;	/* one whose state is CONN_IGNORED */
	__u64 unasked;	/* one of whose sends the beginning is nothing */
	__u32 last_dir; /* of @moved */
	__u32 pad;
};

#define PASS_WORDS (sizeof(struct pass) / sizeof(__u64))

extern __u64 passes[PASSES * PASS_WORDS]; /* in words, as the skeleton has no structures */

/* 32 bits of an address are a number to the verifier, 64 are not. */
static __always_inline struct pass *pass__of(const void *sk)
{
	__u32 place = (__u32)(__u64)sk * 0x9e3779b1 >> (32 - PASSES_BITS);

	return (struct pass *)&passes[place * PASS_WORDS];
}

static __always_inline bool pass__is_of(const struct pass *pass, const void *sk)
{
	return pass->sk == (__u64)sk;
}

static __always_inline void pass__move(struct pass *pass, enum event_dir dir, __u32 size)
{
	__sync_fetch_and_add(&pass->moved[dir], size);
	pass->last_dir = dir;
}

/* Unix sockets end unseen by some hooks. */
static __always_inline bool pass__bears(struct sock *sk)
{
	return BPF_CORE_READ(sk, __sk_common.skc_family) != AF_UNIX;
}

/* The process with @scope, which is not traced, uses @sk. */
static __always_inline void pass__admit(struct sock *sk, __u64 scope)
{
	struct pass *pass = pass__of(sk);

	if (pass__is_of(pass, sk)) {
		pass->scope = scope;
		return;
	}
	if (pass->sk || !pass__bears(sk))
		return;
	__sync_fetch_and_add(&pass->claims, 1);
	if (*(volatile __u64 *)&pass->claims != 1) {
		__sync_fetch_and_add(&pass->claims, -1);
		return;
	}
	pass->moved[DIR_SEND] = 0;
	pass->moved[DIR_RECV] = 0;
	pass->scope = scope;
	barrier();
	pass->sk = (__u64)sk;
}

static __always_inline void pass__ignore(struct sock *sk)
{
	if (pass__bears(sk))
		pass__of(sk)->ignored = (__u64)sk;
}

static __always_inline void pass__ask_not(struct sock *sk)
{
	if (pass__bears(sk))
		pass__of(sk)->unasked = (__u64)sk;
}

/* @sk begins, or ends. */
static __always_inline void pass__forget(struct sock *sk)
{
	struct pass *pass = pass__of(sk);

	if (pass->ignored == (__u64)sk)
		pass->ignored = 0;
	if (pass->unasked == (__u64)sk)
		pass->unasked = 0;
	if (!pass__is_of(pass, sk))
		return;
	pass->sk = 0;
	__sync_fetch_and_add(&pass->claims, -1);
}

#endif
