/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a span has no parent: each root is counted under one cause, and a call that could have had
 * one says which.
 * in:  spans whose context is settled
 * out: LEDGER_ROOTS and one of its parts; the attribute spanloom.root
 */
#ifndef SPANLOOM_ROOT_H
#define SPANLOOM_ROOT_H

#include "user/base/slice.h"
#include "user/flow/ledger.h"

struct context;
struct span;

/* Of @span, a root with @context: which part of LEDGER_ROOTS. */
enum ledger_entry root__cause(const struct span *span, const struct context *context);

/* What it is called, "several_requests" and the like; empty: it is no matter of evidence.  A
 * literal. */
struct slice root__name(enum ledger_entry cause);

/* The same for people. */
const char *root__text(enum ledger_entry cause);

#endif
