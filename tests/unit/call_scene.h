/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call on this host as the kernel tells of it: a client's connection and a server's, each
 * with its own records, and what came of them.  For tests that give contexts to the messages.
 */
#ifndef SPANLOOM_CALL_SCENE_H
#define SPANLOOM_CALL_SCENE_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/event.h"
#include "user/flow/config.h"
#include "user/flow/ledger.h"
#include "user/flow/span.h"

#define GET	 "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
#define RESPONSE "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define SECOND	 1000000000ULL

enum { CLIENT = 1, SERVER = 2, OTHER_SERVER = 3 }; /* conn_id */

/* Spans of one kind: how many, and the newest one. */
struct seen {
	size_t spans;
	uint8_t trace_id[16], span_id[8], parent_id[8];
	bool remote;
	char link[16], root[32];
	char state[64];
};

struct scene {
	struct pipeline *pipeline;
	struct flow_config config;
	struct ledger ledger;
	struct resource *resource;
	uint64_t pos[4][2]; /* by conn_id and enum event_dir */
	uint64_t now;
	uint8_t ref;	  /* of the next request that the server receives: from the client */
	uint64_t refusal; /* of what the client sends */
	size_t joins, proven, left, roots_told;
	struct seen client, server;
};

/* For cmocka: *state is the scene, without a connection. */
int scene__setup(void **state);
int scene__teardown(void **state);

void scene__record(struct scene *s, const void *record, size_t len);
void scene__conn(struct scene *s, uint64_t id, enum conn_role role, uint8_t flags);
/* All of @bytes in one record. */
void scene__feed(struct scene *s, uint64_t id, enum event_dir dir, const char *bytes);
/* A whole call by the client. */
void scene__call(struct scene *s, const char *request);

/* Is each of the @len bytes @with? */
void assert_filled(const uint8_t *id, size_t len, uint8_t with);

#endif
