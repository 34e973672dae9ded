/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The OTEL_* variables of the agent's own environment -> options.
 *
 * A bad value is one warning that names the variable, the value, what is accepted and what is
 * used instead; it never stops the agent.  Not supported: OTEL_CONFIG_FILE, OTLP over gRPC or
 * JSON, samplers that ask a server.
 */
#ifndef SPANLOOM_OPTIONS_ENV_H
#define SPANLOOM_OPTIONS_ENV_H

#include <stdio.h>

struct options;

/* @options holds the defaults; @envp is NULL-terminated; warnings go to @warnings, a line each.
 * Leaves options->exporters alone unless OTEL_TRACES_EXPORTER is set, and options->otlp.url
 * unless an endpoint is.  0 or -ENOMEM. */
int options_env__apply(struct options *options, char *const *envp, FILE *warnings);

/* "console,otlp" -> enum exporter_bit; -EINVAL when a name is unknown, or "none" is not alone.
 * Shared with --exporter. */
int options_env__exporters(const char *text, unsigned int *exporters);

#endif
