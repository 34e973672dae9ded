/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of a request, in pieces that lie where they were written: none is moved before
 * libcurl asks for it.
 */
#ifndef SPANLOOM_BODY_H
#define SPANLOOM_BODY_H

#include "user/base/slice.h"

/* Borrows the pieces. */
struct body {
	const struct slice *pieces; /* in order */
	size_t count;
	size_t len; /* of all */
};

/* Where a reader of the body is. */
struct body_cursor {
	size_t piece;
	size_t at; /* bytes of this piece that were read */
};

/* Copies what comes next, @room bytes at most.  Returns how many, 0 at the end. */
size_t body__read(const struct body *body, struct body_cursor *cursor, char *to, size_t room);

#endif
