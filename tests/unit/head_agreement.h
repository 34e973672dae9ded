/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's reader of request heads against the parser of user space.  @in is a head that
 * the former has read to its end: see head_scene.h.
 */
#ifndef SPANLOOM_HEAD_AGREEMENT_H
#define SPANLOOM_HEAD_AGREEMENT_H

#include "user/base/slice.h"

/* Has it what the two take differently on purpose: folded lines, blanks around names, control
 * characters in targets, CR in a line? */
bool head__is_contested(struct slice in);
/* They find the same trace context. */
void head__expect_agreement(struct slice in);
/* A line put in at end_at, and a value put in place of the one at parent_at, are found. */
void head__expect_offsets(struct slice in);

#endif
