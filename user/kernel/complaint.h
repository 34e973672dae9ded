/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What libbpf and the verifier say while programs are loaded, kept for the one line that the
 * user gets to see.  One load at a time: libbpf's print function has no context.
 */
#ifndef SPANLOOM_COMPLAINT_H
#define SPANLOOM_COMPLAINT_H

#include <stdarg.h>
#include <stddef.h>

#include <bpf/libbpf.h>

/* For libbpf_set_print().  The whole text goes to the log at level debug. */
int complaint__listen(enum libbpf_print_level level, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));

/* Before each attempt. */
void complaint__forget(void);

/* One line in @why: to @what ("load", "attach") failed with @err, a negative errno; cause and
 * remedy. */
void complaint__explain(char *why, size_t len, const char *what, int err);

#endif
