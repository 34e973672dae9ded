/* SPDX-License-Identifier: Apache-2.0 */
/* Words of a line of a .case: each call reads on at *@rest. */
#ifndef SPANLOOM_REPLAY_LINE_H
#define SPANLOOM_REPLAY_LINE_H

#include "user/base/slice.h"

/* False: there is none, or it is longer than @room. */
bool line__word(const char **rest, char *word, size_t room);
/* 0 when there is none. */
uint64_t line__number(const char **rest);
/* A quoted string, unescaped in place of @buf (room for a line); false when there is none. */
bool line__string(const char **rest, char *buf, struct slice *out);

#endif
