/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Says in the log which processes make calls that have no parent, and why.
 */
#ifndef SPANLOOM_ROOT_LOG_H
#define SPANLOOM_ROOT_LOG_H

#include "user/flow/ledger.h"

struct resource;

/* For pipeline_callbacks.root: the first such call of @process for @cause. */
void root_log__first(void *unused, const struct resource *process, enum ledger_entry cause);

#endif
