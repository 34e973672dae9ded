/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that make spans themselves, with an OpenTelemetry SDK or the like: how they are told
 * from those that do not.
 * in:  requests as they begin, with their context
 * out: evidence, kept with the resource of the process
 *
 * Certain evidence only, because all calls of such a process are left to it.  Seen are exports of
 * traces by OTLP/HTTP without TLS, and headers on calls whose request is known.  The environment
 * is no evidence: OTEL_* variables are set for many programs that have no SDK.
 */
#ifndef SPANLOOM_SDK_H
#define SPANLOOM_SDK_H

#include "bpf/event.h"
#include "user/flow/context.h"
#include "user/flow/resource.h"
#include "user/flow/transaction.h"

/* What @txn, whose head was read, says of its process.  @context is its own, or NULL. */
enum sdk_evidence sdk__evidence(const struct transaction *txn, const struct context *context,
				const struct context_table *table);

/* Keeps it.  Whether it is news: makes_spans() has changed. */
bool sdk__learn(struct resource *process, enum sdk_evidence evidence);

bool sdk__makes_spans(const struct resource *process);

#endif
