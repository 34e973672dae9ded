/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The parameters of a FastCGI request, for its trace context: HTTP_TRACEPARENT and HTTP_TRACESTATE
 * -> what a head says of them (bpf/head_data.h).
 *
 * Records and pairs may be cut by receives anywhere but in the bytes that are looked at: lengths,
 * headers, and the two values.  What is cut there is broken: the context is not known then.
 */
#ifndef SPANLOOM_FASTCGI_PARAMS_BPF_H
#define SPANLOOM_FASTCGI_PARAMS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/classify/fastcgi.h"
#include "bpf/head.bpf.h"

#define FASTCGI_STEPS	   128 /* pairs and records that are read of one receive */
#define FASTCGI_PARENT_LEN 16  /* of the name HTTP_TRACEPARENT */
#define FASTCGI_STATE_LEN  15  /* HTTP_TRACESTATE */

/* How far the parameters have been read. */
struct fastcgi_walk {
	__u64 at;      /* in user memory: the bytes at hand */
	__u32 left;    /* how many these are */
	__u32 skip;    /* bytes to be passed over next */
	__u32 content; /* then, of the current record of PARAMS ... */
	__u32 padding; /* ... and behind that */
};

static __always_inline void fastcgi__pass(struct fastcgi_walk *walk, __u32 len)
{
	walk->at += len;
	walk->left -= len;
}

/* The record whose header is next.  False: it is none, or cut. */
static __always_inline bool fastcgi__record(struct fastcgi_walk *walk, struct head *h)
{
	__u8 header[FASTCGI_HEADER];
	__u32 len;

	if (walk->left < sizeof(header) ||
	    bpf_probe_read_user(header, sizeof(header), (void *)walk->at) ||
	    header[0] != FASTCGI_VERSION)
		return false;
	fastcgi__pass(walk, sizeof(header));
	len = header[4] << 8 | header[5];
	if (header[1] == FASTCGI_PARAMS && len) {
		walk->content = len;
		walk->padding = header[6];
	} else if (header[1] == FASTCGI_BEGIN_REQUEST) {
		walk->skip = len + header[6];
	} else {
		h->done = 1; /* an empty record ends the parameters, and so does another's */
	}
	return true;
}

/* Takes a length, of one byte or four, off the front of @bytes; how many they were. */
static __always_inline __u32 fastcgi__length(__u64 *bytes, __u32 *len)
{
	__u32 word = *bytes;

	if (!(word & 0x80)) {
		*len = word & 0x7f;
		*bytes >>= 8;
		return 1;
	}
	*len = __builtin_bswap32(word) & 0x7fffffff;
	*bytes >>= 32;
	return 4;
}

/* Which of the two is the name of @len bytes at @at? */
static __always_inline enum head_kind fastcgi__kind(__u64 at, __u32 len)
{
	__u64 name[2] = {};

	if (len == FASTCGI_PARENT_LEN && !bpf_probe_read_user(name, FASTCGI_PARENT_LEN, (void *)at))
		return head__is(name[0], "HTTP_TRA") && head__is(name[1], "CEPARENT") ? HEAD_PARENT
										      : HEAD_OTHER;
	if (len == FASTCGI_STATE_LEN && !bpf_probe_read_user(name, FASTCGI_STATE_LEN, (void *)at))
		return head__is(name[0], "HTTP_TRA") && head__is(name[1], "CESTATE") ? HEAD_STATE
										     : HEAD_OTHER;
	return HEAD_OTHER;
}

/* The value of HTTP_TRACEPARENT.  False: blanks around it, which others trim, or too long. */
static __always_inline bool fastcgi__parent(struct head *h, __u64 at, __u32 len)
{
	barrier_var(len); /* see payload__record_of() */
	if (len > HEAD_PARENT_MAX || bpf_probe_read_user(h->traceparent, len, (void *)at))
		return false;
	h->parent_len = len;
	h->count[HEAD_PARENT]++;
	return !len ||
	       (h->traceparent[0] > ' ' && h->traceparent[(len - 1) & (HEAD_PARENT_MAX - 1)] > ' ');
}

static __always_inline bool fastcgi__state(struct head *h, __u64 at, __u32 len)
{
	barrier_var(len); /* as above */
	if (len > HEAD_STATE_MAX) {
		h->state_cut = 1;
		return true;
	}
	h->state_len = len;
	return !bpf_probe_read_user(h->tracestate, len, (void *)at);
}

/* The pair that is next.  False: it is cut, by its record or where it is of use. */
static __always_inline bool fastcgi__pair(struct fastcgi_walk *walk, struct head *h)
{
	__u32 len = walk->left < 8 ? walk->left : 8, name_len, value_len, names, size;
	__u64 lengths = 0, name;

	barrier_var(len); /* as above */
	if (len > sizeof(lengths) || bpf_probe_read_user(&lengths, len, (void *)walk->at))
		return false;
	names = fastcgi__length(&lengths, &name_len);
	names += fastcgi__length(&lengths, &value_len);
	/* lengths that overflow are larger than any record, too */
	if (name_len > walk->content || value_len > walk->content || names > len)
		return false;
	size = names + name_len + value_len;
	if (size > walk->content)
		return false;
	name = walk->at + names;
	walk->content -= size;
	walk->skip = size;
	if (name_len != FASTCGI_PARENT_LEN && name_len != FASTCGI_STATE_LEN)
		return true;
	if (size > walk->left)
		return false;
	switch (fastcgi__kind(name, name_len)) {
	case HEAD_PARENT:
		return fastcgi__parent(h, name + name_len, value_len);
	case HEAD_STATE:
		return fastcgi__state(h, name + name_len, value_len);
	default:
		return true;
	}
}

/* One step further.  False: broken. */
static __always_inline bool fastcgi__step(struct fastcgi_walk *walk, struct head *h)
{
	__u32 skip = walk->skip < walk->left ? walk->skip : walk->left;

	fastcgi__pass(walk, skip);
	walk->skip -= skip;
	if (!walk->left)
		return true;
	if (walk->content)
		return fastcgi__pair(walk, h);
	if (!walk->padding)
		return fastcgi__record(walk, h);
	walk->skip = walk->padding;
	walk->padding = 0;
	return true;
}

#endif
