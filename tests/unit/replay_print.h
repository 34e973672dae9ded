/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A span as the lines of a .spans file.
 */
#ifndef SPANLOOM_TESTS_REPLAY_PRINT_H
#define SPANLOOM_TESTS_REPLAY_PRINT_H

#include <stdio.h>

struct span;

void replay__print(FILE *out, const struct span *span);

#endif
