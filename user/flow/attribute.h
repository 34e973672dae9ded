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
	unsigned int key_len;
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

static inline struct slice attribute__key(const struct attribute *attribute)
{
	return slice__of(attribute->key, attribute->key_len);
}

#endif
