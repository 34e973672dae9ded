/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "key=value,key=value" lists, percent-encoded, as OTEL_RESOURCE_ATTRIBUTES and
 * OTEL_EXPORTER_OTLP_HEADERS have them.
 */
#ifndef SPANLOOM_PAIRS_H
#define SPANLOOM_PAIRS_H

#include "user/base/arena.h"

struct pair {
	struct slice key;
	struct slice value; /* may be empty, and may hold any byte */
};

/*
 * Takes the next pair off @rest and decodes it into @a.  Empty members are passed over; spaces
 * and tabs around key and value are not part of them.
 *
 *  1	    @out is a pair
 *  0	    the list is at its end
 *  -EINVAL the member has no '=', no key or a bad escape; @out->key is the key as written
 *	    (empty when there is no '=') and @rest is past the member
 *  -ENOMEM no room in @a
 */
int pairs__next(struct slice *rest, struct arena *a, struct pair *out);

#endif
