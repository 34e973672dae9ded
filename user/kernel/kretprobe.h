/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probes on the return of kernel functions that threads wait in.
 *
 * The kernel has to remember each call whose return is to be seen.  By perf_event_open() it does so
 * for as many as there are processors (before 6.2) or twice as many, and misses the others: threads
 * that wait in recv() take all the room.  tracefs takes a number, but what is made there must be
 * taken away again.
 */
#ifndef SPANLOOM_KRETPROBE_H
#define SPANLOOM_KRETPROBE_H

struct bpf_object_skeleton;

/* Attaches the loaded programs "kretprobe/FUNCTION" of @skeleton and leaves the links there.  Where
 * tracefs is not to be had, with a warning, they are left to attach with the others. */
void kretprobes__attach(const struct bpf_object_skeleton *skeleton);

/* Takes away what kretprobes__attach() has made in tracefs, or an agent that was killed: all that
 * nobody uses. */
void kretprobes__sweep(void);

#endif
