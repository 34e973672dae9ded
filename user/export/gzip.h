/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of a request -> a gzip member (RFC 1952), for Content-Encoding: gzip.
 */
#ifndef SPANLOOM_GZIP_H
#define SPANLOOM_GZIP_H

#include <stddef.h>
#include <stdint.h>

struct body;

/* @out is malloc'd, the caller frees it.  0 or -ENOMEM. */
int gzip__compress(const struct body *in, uint8_t **out, size_t *out_len);

#endif
