/* SPDX-License-Identifier: Apache-2.0 */
/* Force-included in every user space file: words that the compiler refuses. */
#ifndef SPANLOOM_BAN_H
#define SPANLOOM_BAN_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi gets

#endif
