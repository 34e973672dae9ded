/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intake: which processes may have been given requests that nobody here has read.
 * in:  what the kernel's programs and the stages could not read, by process
 * out: are the requests of a process that are known all that it has?
 *
 * For evidence that counts requests: of two that bear the same header one may have come over TLS,
 * in a protocol that is not known, or in a record that was lost, and the other looks like the only
 * one.
 */
#ifndef SPANLOOM_INTAKE_H
#define SPANLOOM_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INTAKE_ALL_ALONG UINT64_MAX /* in place of a time: it goes on */

struct flow_config;
struct intake_process;

struct intake {
	const struct flow_config *config; /* borrowed */
	struct intake_process *processes; /* by tgid */
	size_t count;
	uint64_t missed_ns; /* CLOCK_MONOTONIC: when some process may last have been; 0: none was */
};

void intake__init(struct intake *intake, const struct flow_config *config);
void intake__reset(struct intake *intake);

/* The process @tgid may have been given a request unseen, at @now_ns (CLOCK_MONOTONIC). */
void intake__miss(struct intake *intake, uint32_t tgid, uint64_t now_ns);
/* Whoever it was. */
void intake__miss_any(struct intake *intake, uint64_t now_ns);
/* The process @tgid has ended. */
void intake__forget(struct intake *intake, uint32_t tgid);

/* Are all requests known that may be under way in @tgid?  One that was missed may be so for as long
 * as a response is waited for. */
bool intake__is_whole(const struct intake *intake, uint32_t tgid, uint64_t now_ns);

#endif
