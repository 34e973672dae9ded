/* SPDX-License-Identifier: Apache-2.0 */
/* What the user asked for and what the kernel allows -> what its programs are told. */
#ifndef SPANLOOM_TRACER_CONFIG_H
#define SPANLOOM_TRACER_CONFIG_H

#include "user/flow/trace.h"
#include "user/kernel/tracer.h"
#include "user/options.h"

/* Fills in @config, which borrows from @options.  Logs what stays off, and why.  0, or a
 * negative errno with one line in @why when something was asked for that cannot be had. */
int tracer_config__fill(struct tracer_config *config, const struct options *options,
			const struct flow_config *flow, const struct features *features, char *why,
			size_t why_len);

#endif
