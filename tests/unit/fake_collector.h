/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A collector for tests, on the loop and on 127.0.0.1: it answers as told, also against all
 * rules, and remembers what it was asked.
 */
#ifndef SPANLOOM_FAKE_COLLECTOR_H
#define SPANLOOM_FAKE_COLLECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/base/slice.h"

struct loop;

enum answer_kind {
	ANSWER_BYTES,	/* then keep the connection */
	ANSWER_CLOSE,	/* the bytes, which may be none, then close */
	ANSWER_SILENCE, /* never */
	ANSWER_ENDLESS, /* the head, then the body again and again */
};

struct answer {
	enum answer_kind kind;
	struct slice head;
	struct slice body;
};

struct peer;

struct fake_collector {
	struct loop *loop;
	int fd;
	uint16_t port;
	const struct answer *script; /* an answer a request; the last one is repeated */
	size_t script_len;
	struct peer *peers;
	unsigned int connections;
	unsigned int requests;
	uint64_t spans;		/* in all requests that could be decoded */
	uint64_t body_bytes;	/* of all requests */
	uint64_t request_ns[8]; /* when each was complete, CLOCK_MONOTONIC */
	char last_head[4096];
};

/* Takes a free port, and listens when @listening. */
void fake_collector__open(struct fake_collector *c, struct loop *loop, const struct answer *script,
			  size_t script_len, bool listening);
void fake_collector__listen(struct fake_collector *c);
void fake_collector__close(struct fake_collector *c);

#endif
