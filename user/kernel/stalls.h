/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which sockets that get headers stand still, and what follows from it.
 * in:  once a second, the sockets that have bytes under way
 * out: connections that leave, processes that rest, whether the kernel is to be examined
 *
 *	socket	  the same bytes for some seconds	it leaves
 *	process	  many such sockets in a minute		it rests, each time twice as long
 *	host	  many such sockets in a minute		the kernel is examined: injection ends only
 *						       when that fails, and fails again
 *
 * Mostly it is a program that reads slowly, or is stopped: that is its own affair, and no reason
 * to go without headers for others.
 */
#ifndef SPANLOOM_STALLS_H
#define SPANLOOM_STALLS_H

#include <stdbool.h>
#include <stdint.h>

#define STALLS_SECONDS	     3	  /* that bytes may stand still in a socket */
#define STALLS_OF_PROCESS    8	  /* sockets in a minute, from which on a process rests */
#define STALLS_OF_HOST	     16	  /* likewise, from which on the kernel is examined */
#define STALLS_REST_FIRST    10	  /* seconds */
#define STALLS_REST_LAST     1280 /* at most */
#define STALLS_EXAMINATIONS  3	  /* that must fail in a row */
#define STALLS_PROCESSES_MAX 1024 /* of which others than the first come off with less */

struct inject_socket_state;

struct stalls_callbacks {
	void (*leave)(void *ctx, uint64_t conn_id);
	/* None of the sockets of @tgid is to get headers for @seconds; 0: they may again. */
	void (*rest)(void *ctx, uint32_t tgid, unsigned int seconds);
	void *ctx;
};

struct stalls {
	struct stalls_callbacks callbacks;
	struct stalled_socket *sockets;
	struct stalled_process *processes;
	unsigned int process_count;
	uint64_t look;	   /* number of the current one */
	uint64_t minute;   /* look at which the current minute began */
	unsigned int host; /* sockets that stood still in it */
	unsigned int failed;
};

void stalls__init(struct stalls *s, const struct stalls_callbacks *callbacks);
void stalls__reset(struct stalls *s);

/* A look, one second after the one before.  Is the kernel to be examined? */
bool stalls__look(struct stalls *s, const struct inject_socket_state *states, size_t count);

/* Has the kernel proven @sound?  True: it has failed so often that injection must end. */
bool stalls__examined(struct stalls *s, bool sound);

#endif
