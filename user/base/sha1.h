/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-1 (RFC 3174), for version 5 UUIDs (RFC 9562) and nothing else: it protects nothing.
 */
#ifndef SPANLOOM_SHA1_H
#define SPANLOOM_SHA1_H

#include "user/base/slice.h"

#define SHA1_BYTES    20
#define UUID_BYTES    16
#define UUID_TEXT_LEN 36

void sha1__digest(struct slice in, uint8_t out[SHA1_BYTES]);

/* The UUID of @name in @space, as text: lower case, NUL-terminated.  @name is at most 1000
 * bytes; what is longer is cut. */
void sha1__uuid5(const uint8_t space[UUID_BYTES], struct slice name, char out[UUID_TEXT_LEN + 1]);

#endif
