/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One spanloom per host: two would trace everything twice.  The claim is an abstract unix socket,
 * so it needs no file, ends with the process however that ends, and tells who holds it.  It is
 * seen within one network namespace: agents in containers of their own do not meet.
 */
#ifndef SPANLOOM_INSTANCE_H
#define SPANLOOM_INSTANCE_H

#include <stdint.h>

/*
 * A file descriptor that is the claim until it is closed; or a negative errno, -EADDRINUSE when
 * another process has it: *@owner_pid is its pid then (0: of a pid namespace that is not ours).
 */
int instance__claim(uint32_t *owner_pid);

#endif
