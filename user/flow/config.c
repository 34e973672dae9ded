// SPDX-License-Identifier: Apache-2.0
#include "user/flow/config.h"

#define SECOND_NS 1000000000ULL

void flow_config__defaults(struct flow_config *config)
{
	*config = (struct flow_config){
		.route_heuristic = true,
		.sampler = SAMPLER_ALWAYS_ON,
		.parent_based = true,
		.sdk_adopt = true,
		.attribute_count_limit = 128,
		.max_connections = 65536,
		.max_transactions = 65536,
		.max_held_bytes = 64 * 1024 * 1024,
		.max_stream_bytes = 256 * 1024,
		.idle_timeout_ns = 900 * SECOND_NS,
		.response_timeout_ns = 900 * SECOND_NS,
	};
}
