/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pipeline that is fed record by record, by a clock of the test's, and what came of it.
 */
#ifndef SPANLOOM_PIPELINE_SCENE_H
#define SPANLOOM_PIPELINE_SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/event.h"
#include "user/flow/pipeline.h"
#include "user/flow/resource.h"

#define SPANS	  64
#define MS	  1000000ULL
#define SECOND	  (1000 * MS)
#define START	  (1000 * SECOND) /* of all times here */
#define GET	  "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
#define RESPONSE  "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define NOT_FOUND "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"

struct seen {
	int64_t status; /* of HTTP; 0: none */
	bool incomplete;
	char error[32];
	uint64_t start_ns, end_ns;
};

struct bench {
	struct pipeline *pipeline;
	struct flow_config config;
	struct ledger ledger;
	struct resource *resource;
	uint64_t pos[4][2];
	uint64_t now;
	uint8_t proto;
	uint16_t flags; /* of the next data */
	size_t ignored; /* verdicts */
	size_t count;
	struct seen seen[SPANS];
};

/* For cmocka: a bench without a pipeline, whose config may be changed before bench__start(). */
int bench__setup(void **state);
int bench__teardown(void **state);
void bench__start(struct bench *b);

/* Connection @id begins, at @pos in both directions.  As of pipeline__record(). */
int bench__feed_conn(struct bench *b, uint64_t id, enum conn_role role, uint64_t pos);
/* The text @bytes is moved on it. */
int bench__feed(struct bench *b, uint64_t id, enum event_dir dir, const char *bytes);
void bench__feed_close(struct bench *b, uint64_t id, enum close_kind kind);

#endif
