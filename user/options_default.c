// SPDX-License-Identifier: Apache-2.0
#include "user/options.h"

/*
 * The queue is larger than an SDK's and sent sooner (OpenTelemetry: 2048, 5000): it holds the
 * spans of a whole host, and people look at a trace while it happens.  Batches are not larger:
 * sending a megabyte at once holds a processor for a millisecond that a traced program waits.
 */
#define QUEUE_SIZE	  16384
#define BATCH_SIZE	  512
#define SCHEDULE_DELAY_MS 500

void options__defaults(struct options *options)
{
	*options = (struct options){
		.console_format = CONSOLE_TREE,
		.otlp = {
			.timeout_ms = 10000,
			.schedule_delay_ms = SCHEDULE_DELAY_MS,
			.export_timeout_ms = 30000,
			.max_queue_size = QUEUE_SIZE,
			.max_export_batch_size = BATCH_SIZE,
		},
		.capture_bytes = 4096,
		.ring_bytes = 4 << 20,
		.python = true,
		.log_level = LOG_INFO,
	};
	flow_config__defaults(&options->flow);
}
