/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who produced a span: one resource per traced process, shared by its spans.
 */
#ifndef SPANLOOM_RESOURCE_H
#define SPANLOOM_RESOURCE_H

#include "user/base/arena.h"
#include "user/flow/attributes.h"

#define RESOURCE_ATTRIBUTES 48 /* at most */

struct resource {
	unsigned int refs;
	uint32_t pid;	    /* in the initial pid namespace */
	uint8_t sdk;	    /* enum sdk_evidence, the best there is so far: sdk.h */
	bool serves;	    /* it has received requests */
	uint8_t roots_told; /* causes of roots: one bit for each, from LEDGER_ROOT_APART on */
	struct slice service_name; /* also among @attributes */
	struct slice executable;   /* path of the program, for display and --exe; may be empty */
	struct attributes attributes;
	struct arena text; /* what the slices point into */
};

/* A resource with one reference, no attribute and a text limit of 64 KiB; NULL: no memory. */
struct resource *resource__new(uint32_t pid);

static inline struct resource *resource__get(struct resource *r)
{
	r->refs++;
	return r;
}

/* Drops a reference; the last one frees.  NULL is legal. */
void resource__put(struct resource *r);

/* Adds an attribute; a value with len 0, one too many or a known @key is left out. */
void resource__add(struct resource *r, const char *key, struct slice value);
void resource__add_int(struct resource *r, const char *key, int64_t value);

#endif
