/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What processes that are not traced move: on a host where little is traced, most of what goes
 * by.
 *
 * It is summed up here without a look at the connection, whose position lacks it until it is
 * settled, see conn__settle().  A place belongs to one socket until that is gone; a second one
 * that wants it has none, and its connection is looked at each time.
 */
#ifndef SPANLOOM_BYSTANDER_BPF_H
#define SPANLOOM_BYSTANDER_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/config.bpf.h"
#include "bpf/event.h"
#include "bpf/scope.bpf.h"

struct bystander {
	__u64 sk;    /* 0: the place is free */
	__u64 scope; /* scope__key() of the process that is not traced */
	__u64 conn_id;
	__u64 moved[2];	  /* bytes, by enum event_dir */
	__u64 settled[2]; /* of these, what the connection counts */
	__u32 claims;
	__u32 newest; /* 1 + enum event_dir; 0: nothing since it was settled */
};

_Static_assert(sizeof(struct bystander) == sizeof(bystanders[0]), "a place");

/* The place of @sk, or of the socket that has it instead.  The low half of the address is taken
 * as a number: the verifier allows no arithmetic on a pointer. */
static __always_inline volatile struct bystander *bystander__place(const struct sock *sk)
{
	volatile __u8 *first = (volatile __u8 *)bystanders;
	__u32 low;

	asm("%0 = %1" : "=w"(low) : "w"((__u32)(__u64)sk));
	low *= 0x9e3779b1;
	low = low >> 8 & (sizeof(bystanders) - sizeof(struct bystander)); /* in bytes */
	return (volatile struct bystander *)(first + low);
}

/* Is @place that of @sk?  Without the barrier clang would go on with the number that is kept
 * there in place of the pointer, because the two are equal. */
static __always_inline bool bystander__is_of(const volatile struct bystander *place,
					     const struct sock *sk)
{
	__u64 address = (__u64)sk;

	barrier_var(address);
	return place->sk == address;
}

/* Is it known that the process of @key, scope__key(), which uses @sk, is not traced? */
static __always_inline bool bystander__is_out(const volatile struct bystander *place,
					      const struct sock *sk, __u64 key)
{
	return bystander__is_of(place, sk) && place->scope == key;
}

/* It has moved @size bytes. */
static __always_inline void bystander__moves(volatile struct bystander *place, enum event_dir dir,
					     __u32 size)
{
	__sync_fetch_and_add(&place->moved[dir], size);
	place->newest = dir + 1;
}

/*
 * The process of @key, which is not traced, uses the socket of connection @conn_id.  Two that
 * take a place at once may both let it be: what an atomic addition has found is not to be had
 * before 5.12 (5ffa25502b5a).  Nobody sums up in a place before its process is known.
 *
 * Where the end of a unix socket may go by unseen it has none: a socket made later at the same
 * address would be taken for the one that is gone.
 */
static __always_inline void bystander__take(const struct sock *sk, __u64 conn_id, __u64 key)
{
	volatile struct bystander *place = bystander__place(sk);

	if (!unix_ends_seen && BPF_CORE_READ(sk, __sk_common.skc_family) == AF_UNIX)
		return;
	if (!bystander__is_of(place, sk)) {
		if (place->claims)
			return;
		__sync_fetch_and_add(&place->claims, 1);
		if (place->claims != 1) {
			__sync_fetch_and_add(&place->claims, -1);
			return;
		}
		/* the sums go on: whoever was late for the last socket adds to none of this one */
		place->settled[DIR_SEND] = place->moved[DIR_SEND];
		place->settled[DIR_RECV] = place->moved[DIR_RECV];
		place->newest = 0;
		place->conn_id = conn_id;
		place->sk = (__u64)sk;
	}
	if (place->conn_id == conn_id)
		place->scope = key;
}

/* @sk is gone, or begins another life. */
static __always_inline void bystander__free(const struct sock *sk)
{
	volatile struct bystander *place = bystander__place(sk);

	if (!bystander__is_of(place, sk))
		return;
	place->scope = 0;
	place->sk = 0;
	__sync_fetch_and_add(&place->claims, -1);
}

/* Is it connection @conn_id of @sk whose bytes are summed up there? */
static __always_inline bool bystander__sums(const volatile struct bystander *place,
					    const struct sock *sk, __u64 conn_id)
{
	return bystander__is_of(place, sk) && place->conn_id == conn_id;
}

/* Bytes that the connection does not count yet. */
static __always_inline __u64 bystander__ahead(const volatile struct bystander *place,
					      enum event_dir dir)
{
	return place->moved[dir] - place->settled[dir];
}

#endif
