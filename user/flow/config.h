/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the pipeline is told once, before the first record.  Borrowed for its whole life.
 */
#ifndef SPANLOOM_FLOW_CONFIG_H
#define SPANLOOM_FLOW_CONFIG_H

#include "user/base/slice.h"

enum sampler_kind {
	SAMPLER_ALWAYS_ON,
	SAMPLER_ALWAYS_OFF,
	SAMPLER_RATIO,
};

struct flow_config {
	/* HTTP */
	const char *const
		*routes;      /* "/users/{id}" patterns of --routes, NULL-terminated, or NULL */
	bool route_heuristic; /* guess {id} segments where no pattern fits */
	const char *const *ignore_paths;  /* globs (fnmatch) of --ignore-path, or NULL */
	const char *const *known_methods; /* OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS, or NULL */
	/* Databases */
	bool db_server_spans; /* spans for the server's side of database calls */
	/* Sampling, of traces that start here */
	enum sampler_kind sampler;
	bool parent_based;	    /* an incoming decision is followed */
	uint64_t sampler_threshold; /* SAMPLER_RATIO: keep when R >= this, 56 bits */
	/* Processes that make spans themselves (sdk.h) give none of ours */
	bool sdk_adopt;
	/* Limits */
	uint32_t attribute_count_limit; /* OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT */
	uint32_t attribute_value_limit; /* in characters, 0: none */
	size_t max_connections;		/* more are evicted, longest idle first, and counted */
	/* in flight, of all connections; one connection may have as many as are left to others */
	size_t max_transactions;
	size_t max_held_bytes;	  /* by all connections, see quota.h */
	size_t max_stream_bytes;  /* buffered per direction of a connection */
	uint64_t idle_timeout_ns; /* without traffic: open requests are given up */
	/* When a record of the kernel was last lost (CLOCK_MONOTONIC), 0: none was; or NULL. */
	const volatile uint64_t *lost_ns;
	uint64_t response_timeout_ns; /* a request without any answer is given up: incomplete */
	uint8_t id_key[16]; /* random, of this run: the seed of trace and span ids (bpf/ids.h) */
};

/* The defaults of all of the above; id_key stays zero. */
void flow_config__defaults(struct flow_config *config);

#endif
