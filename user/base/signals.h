/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signals that end the program, as a file descriptor to read them from.
 */
#ifndef SPANLOOM_SIGNALS_H
#define SPANLOOM_SIGNALS_H

#include <stdbool.h>

/*
 * SIGINT and SIGTERM, and SIGHUP unless it is ignored already (nohup): they are blocked from now
 * on, and SIGPIPE is ignored.  A file descriptor that does not wait, or a negative errno.
 */
int signals__open(void);

/* Has one come that nobody has read yet? */
bool signals__pending(int fd);

#endif
