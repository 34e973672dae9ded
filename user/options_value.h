/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text -> the value of an option, for the command line and the environment alike.  Nothing
 * here prints; the caller names the option, the value and what is accepted.
 */
#ifndef SPANLOOM_OPTIONS_VALUE_H
#define SPANLOOM_OPTIONS_VALUE_H

#include <stdint.h>

#include "user/base/slice.h"

enum value_unit {
	VALUE_PLAIN,	/* 12 */
	VALUE_SIZE,	/* bytes: 4096, 64K, 8M, 1G */
	VALUE_DURATION, /* nanoseconds: 30 (seconds), 500ms, 30s, 5m, 1h */
};

/* @text as a number from @min to @max; -EINVAL when it is none, or out of range. */
int value__number(const char *text, enum value_unit unit, uint64_t min, uint64_t max,
		  uint64_t *out);

/* Names of enum log_level in its order. */
extern const char *const value__log_levels[];

/* Index of @text, whatever its case, in the NULL-terminated @names; -EINVAL when not there. */
int value__choice(struct slice text, const char *const *names);

/* A number from 0 to 1; -EINVAL. */
int value__ratio(const char *text, double *out);

/*
 * The rejection threshold T of the consistent probability sampler for a @ratio above 0: 56
 * bits, rounded to 4 to 12 hexadecimal digits.  A trace is kept when the low 56 bits of its id
 * are >= T.
 */
uint64_t value__sampler_threshold(double ratio);

/*
 * The URL to POST traces to, malloc'd.  @append: the path gets "/v1/traces" at its end; else it
 * is used as it stands.  -EINVAL when @text is no http:// or https:// URL, -ENOMEM.
 */
int value__endpoint(const char *text, bool append, char **url);
/* What of a refused one may be shown: what stands behind user and password. */
const char *value__without_user(const char *text);

/* Appends a copy of @item to a NULL-terminated list.  0 or -ENOMEM. */
int value__append(char ***list, struct slice item);
/* Appends the members of a comma-separated list; -EINVAL when one is empty. */
int value__append_all(char ***list, struct slice members);
void value__free_list(char **list);

#endif
