// SPDX-License-Identifier: Apache-2.0
#include "user/protocols/protocol.h"

static const struct protocol *const protocols[PROTO_COUNT] = {
#define PROTOCOL(ID, name, depth) [PROTO_##ID] = &protocol_##name,
#include "bpf/protocols.def"
#undef PROTOCOL
};

static const unsigned int depths[PROTO_COUNT] = {
#define PROTOCOL(ID, name, depth) [PROTO_##ID] = depth,
#include "bpf/protocols.def"
#undef PROTOCOL
};

const struct protocol *protocol__by_id(unsigned int id)
{
	return id < PROTO_COUNT ? protocols[id] : NULL;
}

unsigned int protocol__depth(unsigned int id)
{
	return id < PROTO_COUNT ? depths[id] : 0;
}
