/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A named value of a span or a resource (OTLP KeyValue).
 */
#ifndef SPANLOOM_ATTRIBUTE_H
#define SPANLOOM_ATTRIBUTE_H

#include "user/base/slice.h"

enum attribute_type {
	ATTRIBUTE_STRING,
	ATTRIBUTE_INT,
	ATTRIBUTE_BOOL,
	ATTRIBUTE_STRINGS, /* array of strings, e.g. captured headers */
};

struct attribute {
	const char *key; /* lives as long as the owner */
	enum attribute_type type;
	union {
		struct slice string; /* valid UTF-8 */
		int64_t integer;
		bool boolean;
		struct {
			const struct slice *item;
			size_t count;
		} strings;
	};
};

#endif
