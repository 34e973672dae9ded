/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * W3C Trace Context: the value of a traceparent header.  Pure: kernel and host compile it.
 */
#ifndef SPANLOOM_TRACEPARENT_H
#define SPANLOOM_TRACEPARENT_H

#include "bpf/word.h"

#define TRACEPARENT_LEN	   55 /* of version 00; later versions may be longer */
#define TRACEPARENT_FLAGS  0x03
#define TRACEPARENT_TRACE  3 /* offsets of the fields: 00-<trace>-<parent>-<flags> */
#define TRACEPARENT_PARENT 36
#define TRACEPARENT_FLAG   53

struct traceparent {
	__u8 trace_id[16];
	__u8 parent_id[8];
	__u8 flags; /* 0x01 sampled, 0x02 random; all other bits are cleared */
	__u8 pad[7];
} __attribute__((aligned(8)));

/* 0 to 15; negative when @c is not a lower-case hex digit. */
static __always_inline int traceparent_nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* Two hex digits; negative when they are not. */
static __always_inline int traceparent_byte(const char *hex)
{
	int high = traceparent_nibble(hex[0]);
	int low = traceparent_nibble(hex[1]);

	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* @count bytes of hex, a multiple of eight, to @out; 0 when they are no hex, or all zero. */
static __always_inline int traceparent_id(const char *hex, __u8 *out, unsigned int count)
{
	__u64 any = 0, first, second;
	int valid = 1;

	for (unsigned int i = 0; i < count; i += 8) {
		valid &= word__unhex(word__load(hex + 2 * i), &first);
		valid &= word__unhex(word__load(hex + 2 * i + 8), &second);
		word__store(out + i, second << 32 | first);
		any |= first | second;
	}
	return valid && any;
}

/*
 * @value: the header's value without the white space around it, @len bytes.
 * 1 when it is valid; 0 when not, @out is then unspecified.
 */
static __always_inline int traceparent_parse(const char *value, unsigned int len,
					     struct traceparent *out)
{
	int version, flags;

	if (len < TRACEPARENT_LEN)
		return 0;
	version = traceparent_byte(value);
	if (version < 0 || version == 0xff || (version == 0 && len != TRACEPARENT_LEN))
		return 0;
	if (len > TRACEPARENT_LEN && value[TRACEPARENT_LEN] != '-')
		return 0;
	if (value[TRACEPARENT_TRACE - 1] != '-' || value[TRACEPARENT_PARENT - 1] != '-' ||
	    value[TRACEPARENT_FLAG - 1] != '-')
		return 0;
	flags = traceparent_byte(value + TRACEPARENT_FLAG);
	if (flags < 0)
		return 0;
	__builtin_memset(out, 0, sizeof(*out));
	out->flags = flags & TRACEPARENT_FLAGS;
	return traceparent_id(value + TRACEPARENT_TRACE, out->trace_id, sizeof(out->trace_id)) &&
	       traceparent_id(value + TRACEPARENT_PARENT, out->parent_id, sizeof(out->parent_id));
}

#endif
