// SPDX-License-Identifier: Apache-2.0
/*
 * The kernel's classifiers of first bytes: 64 bytes, zero behind the message.
 *
 *	input:	two bytes of the size of the whole send, one of flags, the message
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "bpf/classify/all.h"
#include "bpf/event.h"

#define CLASSIFY_HEAD 64

typedef enum match (*classify_fn)(const __u8 *head, __u32 len, __u32 size, __u8 fresh);

static const classify_fn classifiers[PROTO_COUNT] = {
#define PROTOCOL(ID, name, depth) [PROTO_##ID] = classify_##name,
#include "bpf/protocols.def"
#undef PROTOCOL
};

void fuzz_classifiers(struct slice in, unsigned int proto)
{
	struct reader r = reader__of(in);
	__u32 size = (__u32)reader__be(&r, 2);
	__u8 fresh = reader__be(&r, 1) & 1;
	struct slice message = slice__head(r.rest, CLASSIFY_HEAD);
	__u8 *head = calloc(1, CLASSIFY_HEAD);

	assert_non_null(head);
	if (message.len)
		memcpy(head, message.data, message.len);
	if (size < message.len)
		size = (__u32)message.len;
	for (unsigned int id = 1; id < PROTO_COUNT; id++) {
		enum match match = classifiers[id](head, (__u32)message.len, size, fresh);

		assert_true(match <= MATCH_EITHER);
	}
	free(head);
}
