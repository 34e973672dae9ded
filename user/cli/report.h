/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger as text: where everything that was seen went, and whether the sums agree.
 */
#ifndef SPANLOOM_REPORT_H
#define SPANLOOM_REPORT_H

#include <stdbool.h>
#include <stdio.h>

struct agent_totals;

/*
 * One line per count that is not zero, "<part>.<name> <count>", and one per sum:
 * "sum <name> agrees" or "sum <name> is off by <n>".  Returns whether all sums agree.
 */
bool report__print(const struct agent_totals *totals, FILE *out);

#endif
