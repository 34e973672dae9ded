/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Valid UTF-8 out of any bytes: OTLP strings must be valid (RFC 3629).
 */
#ifndef SPANLOOM_UTF8_H
#define SPANLOOM_UTF8_H

#include "user/base/arena.h"

/* Bytes of the valid sequence at the head of @in; 0 when there is none (or @in is empty). */
size_t utf8__sequence(struct slice in);

/* Most strings are ASCII: then bytes are characters, and all are good.  Copies @in and looks at it
 * meanwhile; false: it is not, and what stands at @to is of no use. */
bool utf8__copy_ascii(char *to, struct slice in);

/* A copy of @in in @a with each bad byte replaced by U+FFFD, cut to @max_chars characters
 * (0: no limit); empty when there is no room. */
struct slice utf8__copy(struct arena *a, struct slice in, size_t max_chars);

#endif
