/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP transaction as a span: OpenTelemetry semantic conventions for HTTP, 1.44.0.
 */
#ifndef SPANLOOM_HTTP1_SPAN_H
#define SPANLOOM_HTTP1_SPAN_H

#include "user/flow/transaction.h"

struct flow_config;
struct span;

/* As those of struct protocol (protocol.h). */
void http1_span__describe(const struct transaction *txn, const struct flow_config *config,
			  struct span *span);
bool http1_span__ignored(const struct transaction *txn, const struct flow_config *config);
bool http1_span__exports_traces(const struct transaction *txn);

#endif
