/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trace contexts in TCP options (bpf/option.bpf.h): whether the kernel can do it, and the
 * program that does.
 */
#ifndef SPANLOOM_TCP_OPTION_H
#define SPANLOOM_TCP_OPTION_H

#include <stddef.h>

struct bpf_link;
struct bpf_program;

/* 0, or a negative errno.  @detail: one clause that says what was found. */
int tcp_option__probe(char *detail, size_t len);

/* Attaches @socket (sockops) to all cgroups, beside what others have there.  The link is the
 * caller's.  NULL: errno says why. */
struct bpf_link *tcp_option__attach(const struct bpf_program *socket);

#endif
