/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes -> a gzip member (RFC 1952), for Content-Encoding: gzip.
 */
#ifndef SPANLOOM_GZIP_H
#define SPANLOOM_GZIP_H

#include <stddef.h>
#include <stdint.h>

/* @out is malloc'd, the caller frees it.  0 or -ENOMEM. */
int gzip__compress(const uint8_t *in, size_t len, uint8_t **out, size_t *out_len);

#endif
