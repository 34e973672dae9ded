/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which processes are traced: user space's verdicts, inherited at fork. */
#ifndef SPANLOOM_SCOPE_BPF_H
#define SPANLOOM_SCOPE_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/config.bpf.h"
#include "bpf/count.bpf.h"
#include "bpf/event.h"

/* tgid -> enum scope_verdict.  User space and fork add; exit deletes.  A child that finds the
 * map full is counted and has the default's verdict. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u32);
} scope SEC(".maps") __weak;

static __always_inline bool scope__traced(__u32 tgid)
{
	__u32 *verdict;

	if (tgid == self_tgid)
		return false;
	if (!scope_epoch)
		return !scope_default_skip;
	verdict = bpf_map_lookup_elem(&scope, &tgid);
	if (!verdict || (*verdict & SCOPE_MASK) == SCOPE_UNDECIDED)
		return !scope_default_skip;
	return (*verdict & SCOPE_MASK) == SCOPE_TRACE;
}

/* Whose verdict is asked for, and which: one number, to be compared at once. */
static __always_inline __u64 scope__key(__u32 tgid)
{
	return (__u64)tgid << 32 | scope_epoch;
}

/* May headers go into what @tgid sends?  Where some programs are to be left alone, only what
 * user space has looked at. */
static __always_inline bool scope__injected(__u32 tgid)
{
	__u32 *verdict;

	if (!inject_asks)
		return true;
	verdict = bpf_map_lookup_elem(&scope, &tgid);
	return verdict && *verdict & SCOPE_INJECT;
}

static __always_inline void scope__inherit(__u32 parent, __u32 child)
{
	__u32 *verdict;
	__u32 copy;

	if (!scope_epoch)
		return;
	verdict = bpf_map_lookup_elem(&scope, &parent);
	if (!verdict)
		return;
	copy = *verdict;
	if (bpf_map_update_elem(&scope, &child, &copy, BPF_ANY))
		count__one(COUNT_SCOPE_FULL);
}

static __always_inline void scope__forget(__u32 tgid)
{
	if (scope_epoch)
		bpf_map_delete_elem(&scope, &tgid);
}

#endif
