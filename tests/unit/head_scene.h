/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's reader of request heads at work on memory that ends at a guard page, with bytes
 * behind each piece that would mislead.
 */
#ifndef SPANLOOM_HEAD_SCENE_H
#define SPANLOOM_HEAD_SCENE_H

#include "bpf/head.h"
#include "user/base/slice.h"

#define T	 "12345678901234567890123456789012"
#define P	 "1234567890123456"
#define PARENT	 "00-" T "-" P "-01"
#define OTHER	 "00-" T "-" P "-00"

#define START	 "GET /x HTTP/1.1\r\nHost: a\r\n"
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define Z16	 "zzzzzzzzzzzzzzzz"
#define Z64	 Z16 Z16 Z16 Z16
#define Z256	 Z64 Z64 Z64 Z64

extern struct head_work *work; /* behind it any read faults */

/* For cmocka: maps @work.  0, or -1. */
int head_scene__map(void **unused);

/* Reads one piece, of at most HEAD_WINDOW bytes; what was used. */
size_t scan(struct slice piece);
/* Reads @in in pieces of at most @step bytes, but for the first one of @first; what was used. */
size_t feed(struct slice in, size_t first, size_t step);
size_t feed_whole(struct slice in);
/* What a caller may look at. */
struct head visible(void);
void expect_same(struct slice in, const struct head *want, size_t used, const char *how);
/* Reads @in whole, byte by byte and torn at every place; leaves it read whole. */
void read_head(struct slice in);

#endif
