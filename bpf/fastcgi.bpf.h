/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * FastCGI as a server moves it: where a request begins, and where its response ends.
 *
 * The direction of the traffic does not tell.  PHP-FPM reads what it has left of one request (the
 * record that ends its input) before the next one, with a read each for header and content; and a
 * script goes on calling others behind its first output.
 */
#ifndef SPANLOOM_FASTCGI_BPF_H
#define SPANLOOM_FASTCGI_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/classify/fastcgi.h"
#include "bpf/conn.bpf.h"
#include "bpf/payload.bpf.h"

/*
 * Do the @size bytes that were received begin a request?  @turned: they are the first after some
 * that were sent.  What comes while a request is open is its own, whatever it looks like.
 */
static __always_inline bool fastcgi__begins(const struct conn *conn, const struct transfer *t,
					    __u32 size, bool turned)
{
	__u8 head[FASTCGI_HEADER];

	if (!turned && conn->served_by.kind)
		return false;
	if (size < sizeof(head) || t->piece.len < sizeof(head) ||
	    bpf_probe_read_user(head, sizeof(head), (void *)t->piece.base))
		return false;
	return fastcgi_is_begin(head);
}

/* Is the response over with the @size bytes that were sent?  So it is where they cannot be read. */
static __always_inline bool fastcgi__ends(const struct transfer *t, __u32 size)
{
	__u8 last[FASTCGI_HEADER];

	if (size < FASTCGI_BOUNDARY || t->piece.len < size ||
	    bpf_probe_read_user(last, sizeof(last),
				(void *)(t->piece.base + size - FASTCGI_BOUNDARY)))
		return true;
	return fastcgi_is_end(last);
}

#endif
