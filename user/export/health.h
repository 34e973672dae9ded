/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the user is told about the collector: each change of its state once, with the cause,
 * the consequence and the remedy; never a line per try.  Of one that changes all the time the
 * first changes are told, and then one every ten seconds.
 */
#ifndef SPANLOOM_HEALTH_H
#define SPANLOOM_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

enum health_state {
	HEALTH_GOOD, /* also before the first answer */
	HEALTH_UNREACHABLE,
	HEALTH_REFUSING,
};

struct health {
	const char *target; /* the collector's address, borrowed */
	uint32_t queue_size;
	enum health_state state; /* that was told */
	uint64_t since_ns;	 /* when it stopped being good */
	uint64_t lost;		 /* spans lost until then */
	uint64_t lines;		 /* that may be told now ... */
	uint64_t lines_ns;	 /* ... as it was then */
	bool partial_told;
	bool odd_answer_told;
};

void health__init(struct health *h, const char *target, uint32_t queue_size);

/* An export succeeded.  @lost: spans lost so far, for whatever reason. */
void health__good(struct health *h, uint64_t now_ns, uint64_t lost);
/* It will be tried again.  @status: of HTTP, 0: there was no answer.  @cause is printable. */
void health__unreachable(struct health *h, uint64_t now_ns, uint64_t lost, long status,
			 const char *cause);
/* A final answer.  @status: likewise, 0: it was not HTTP. */
void health__refusing(struct health *h, uint64_t now_ns, uint64_t lost, long status,
		      const char *cause);

/* Partial success: @rejected spans, or a warning when 0.  @message is printable. */
void health__partial(struct health *h, int64_t rejected, const char *message);
/* "200" with something that is no OTLP answer. */
void health__odd_answer(struct health *h);

#endif
