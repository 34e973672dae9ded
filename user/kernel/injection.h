/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Header injection at work: sockets join the map whose program adds the headers, leave it, and
 * are watched while they are in it.
 */
#ifndef SPANLOOM_INJECTION_H
#define SPANLOOM_INJECTION_H

#include <stdint.h>

struct injection;
struct spanloom_bpf;

/* Before @skel is loaded: bounds that hang on the number of processors.  0 or a negative errno. */
int injection__set_sizes(struct spanloom_bpf *skel);

/* Attaches the programs of @skel (borrowed, loaded).  NULL: errno says why. */
struct injection *injection__start(struct spanloom_bpf *skel);
/* What is sent passes by nobody from now on.  NULL is legal, here and below. */
void injection__stop(struct injection *in);

/* This connection speaks HTTP: it joins with the next tick. */
void injection__join(struct injection *in, uint64_t conn_id);
/* A request did begin where EVENT_HEAD said: the next ones get headers. */
void injection__proven(struct injection *in, uint64_t conn_id);
void injection__leave(struct injection *in, uint64_t conn_id);

/* Call it about ten times a second, @now_ns is CLOCK_MONOTONIC.  What becomes of sockets in which
 * bytes stand still: stalls.h. */
void injection__tick(struct injection *in, uint64_t now_ns);

#endif
