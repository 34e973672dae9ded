/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Knobs that user space sets before load.  They are constants to the verifier, which drops
 * the branches they rule out: a helper that this kernel refuses to a program may stand behind
 * a knob.
 */
#ifndef SPANLOOM_CONFIG_BPF_H
#define SPANLOOM_CONFIG_BPF_H

#include "vmlinux.h"

#include "bpf/event.h"

#define PORTS_MAX  16
#define BYSTANDERS 4096 /* a power of two */
#define BYSTANDER  8	/* words: a line of the processor's cache */

extern const volatile __u32 self_tgid;		 /* never traced */
extern const volatile __u32 capture_bytes;	 /* copied per turn, times the protocol's depth */
extern const volatile __u32 port_count;		 /* 0: all ports, and unix sockets */
extern const volatile __u16 ports[PORTS_MAX];	 /* host byte order; local or remote */
extern const volatile bool scope_default_skip;	 /* a process without verdict is not traced */
extern const volatile bool likely_links;	 /* guess parents where none is certain */
extern const volatile bool db_server_spans;	 /* else the server's side is left alone */
extern const volatile bool use_sk_storage;	 /* else connection state is in a hash */
extern const volatile bool twins_wanted;	 /* bpf/twin.bpf.h */
extern const volatile bool misses_possible;	 /* of the programs of sockets */
extern const volatile bool unix_ends_seen;	 /* of each unix socket */
extern const volatile __u64 sampler_threshold;	 /* sampled when R >= this; UINT64_MAX: never */
extern const volatile bool sampler_parent_based; /* traces that others began keep their word */
extern const volatile __u8 root_state_len;	 /* tracestate of traces that are begun here */
extern const volatile __u8 root_state[ROOT_STATE_MAX];
extern const volatile bool inject_wanted;   /* bpf/inject.bpf.h; needs contexts_wanted */
extern const volatile bool inject_blocking; /* into sockets that a thread waits in, too */
extern const volatile bool inject_asks;	    /* only processes with SCOPE_INJECT get headers */
extern const volatile bool contexts_wanted; /* bpf/context.bpf.h */
extern const volatile bool option_wanted;   /* bpf/option.bpf.h; needs contexts_wanted */
extern const volatile __u64 id_key[2];	    /* bpf/ids.h */
extern const volatile __u32 wakeup_bytes;   /* wake user space per this much; power of 2 */
extern const volatile __u32 stack_bytes;    /* of the kernel's stack for each thread */

/* Written by user space at any time, through its mapping of .bss. */
extern volatile __u32 verdict_epoch;  /* rises with each entry of "verdicts" */
extern volatile __u32 scope_epoch;    /* rises with each change of "scope"; 0: it is empty */
extern volatile __u32 runtime_epoch;  /* likewise of "runtimes" */
extern volatile __u32 sdks_adopted;   /* one of "sdk_processes" is, or was */
extern volatile __u32 inventory_done; /* sockets that were open before have their state */

/* Written by the kernel programs. */
extern volatile __u32 inventory_failed; /* one of those has none */
extern volatile __u32 heirs_made;	/* there was an entry in "heirs" */
extern volatile __u32 loops_made;	/* there was an entry in "loops" */
extern volatile __u32 unread_full;	/* there was no room in "unread" */
extern volatile __u32 workers_made;	/* rises with each entry of "workers" */
extern volatile __u64 ring_full_ns;	/* when a record was last lost; 0: none was */
extern volatile __u64 counts[COUNT_ROWS][COUNT_ROW];
extern volatile __u64 bystanders[BYSTANDERS][BYSTANDER]; /* bpf/bystander.bpf.h */

#define RING_FULL_FOR_GOOD ~0ULL /* in place of that time */

#endif
