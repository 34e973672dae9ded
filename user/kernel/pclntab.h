/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of functions in a program of Go's (1.18 and later, 64-bit), which is there in stripped
 * programs too.
 *	in:  the section ".gopclntab", from a file that is not trusted; names
 *	out: where the functions of these names begin
 */
#ifndef SPANLOOM_PCLNTAB_H
#define SPANLOOM_PCLNTAB_H

#include "user/base/slice.h"

#define PCLNTAB_NAME_MAX 120

struct pclntab_function {
	const char *name; /* at most PCLNTAB_NAME_MAX bytes */
	uint32_t offset;  /* from the beginning of Go's code */
	bool found;
};

/* Sets @found and @offset of each.  0, also when none is there, or -EBADMSG. */
int pclntab__find(struct slice table, struct pclntab_function *functions, size_t count);

#endif
