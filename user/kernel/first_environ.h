/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The environment that a program was started with, where /proc/PID/environ does not tell it any
 * more: nginx writes its title over the strings, but moves them first, and points to where they
 * are now from where exec() has put the pointers.  Not that of PHP-FPM, Redis and PostgreSQL,
 * which move the pointers as well.
 */
#ifndef SPANLOOM_FIRST_ENVIRON_H
#define SPANLOOM_FIRST_ENVIRON_H

#include <stdbool.h>

#include "user/base/slice.h"

/* Has the program written over its environment?  No string of it is empty otherwise. */
bool first_environ__is_gone(struct slice strings);

/*
 * The variables OTEL_*, each ended by a NUL, in @out.  @dir: of the process in /proc; @stack:
 * where its first stack began.  How many bytes; 0: none, or they are not to be read.
 */
size_t first_environ__read(int dir, uint64_t stack, char *out, size_t size);

#endif
