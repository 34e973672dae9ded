/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text of a stranger -> text that is safe in a log line.
 */
#ifndef SPANLOOM_PRINTABLE_H
#define SPANLOOM_PRINTABLE_H

#include "user/base/slice.h"

/*
 * Copies @in to @out (@room bytes, > 0; always NUL-terminated), cut at a whole character.  A
 * control character, a C1 one included, becomes a space and a byte that is not UTF-8 a '?'.
 */
void printable__copy(char *out, size_t room, struct slice in);

#endif
