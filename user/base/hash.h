/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uthash, but for its exit() when memory is short: whoever adds asks whether that was done.
 */
#ifndef SPANLOOM_HASH_H
#define SPANLOOM_HASH_H

#define HASH_NONFATAL_OOM 1
#include <stdbool.h>
#include <uthash.h>

/* After HASH_ADD(): is the element with @hh in the table?  Not when there was no memory. */
static inline bool hash__has(const UT_hash_handle *hh)
{
	return hh->tbl;
}

#endif
