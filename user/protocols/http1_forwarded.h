/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What proxies say of the first hop: Forwarded (RFC 7239) and the X-Forwarded-* lines.
 */
#ifndef SPANLOOM_HTTP1_FORWARDED_H
#define SPANLOOM_HTTP1_FORWARDED_H

#include "user/flow/message.h"

struct http1_forwarded {
	struct slice client; /* address without port, or what stands for it */
	struct slice host;   /* host[:port] */
	struct slice proto;
};

/* Has any proxy said anything? */
bool http1_forwarded__is(const struct message *request);

/* Forwarded wins over X-Forwarded-*; what is not said is empty.  Slices point into @request. */
void http1_forwarded__read(const struct message *request, struct http1_forwarded *out);

#endif
