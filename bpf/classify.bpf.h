/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* First bytes of a message -> protocol: the classifiers of protocols.def, and what is known of
 * each protocol. */
#ifndef SPANLOOM_CLASSIFY_BPF_H
#define SPANLOOM_CLASSIFY_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/classify/all.h"
#include "bpf/event.h"

#define CLASSIFY_HEAD 64 /* bytes that a classifier may read */

struct guess {
	__u8 proto; /* enum proto_id */
	__u8 match; /* enum match */
};

/* A message that only one side can have sent is better evidence than one of either side;
 * among equals the first protocol of the list wins. */
static __always_inline void classify__weigh(struct guess *best, enum proto_id proto,
					    enum match match)
{
	if (match == MATCH_NONE)
		return;
	if (best->match == MATCH_NONE || (best->match == MATCH_EITHER && match != MATCH_EITHER)) {
		best->proto = proto;
		best->match = match;
	}
}

/* How many times capture_bytes may be copied per turn. */
static __always_inline __u32 classify__depth(enum proto_id proto)
{
	switch (proto) {
#define PROTOCOL(ID, name, depth)                                                                  \
	case PROTO_##ID:                                                                           \
		return depth;
#include "bpf/protocols.def"
#undef PROTOCOL
	default:
		return 1;
	}
}

/* A protocol whose requests are handled, and make calls: HTTP, or what hands it on. */
static __always_inline bool classify__is_web(enum proto_id proto)
{
	return proto == PROTO_HTTP1 || proto == PROTO_FASTCGI;
}

/* A protocol of which the server's own view is not asked for, unless db_server_spans. */
static __always_inline bool classify__is_database(enum proto_id proto)
{
	return proto == PROTO_POSTGRES || proto == PROTO_REDIS;
}

#endif
