// SPDX-License-Identifier: Apache-2.0
#include "user/cli/cli.h"

#include <stdio.h>

static const char help_text[] =
	"Usage: spanloom COMMAND [OPTION...]\n"
	"\n"
	"Traces the HTTP, FastCGI, PostgreSQL and Redis traffic of unmodified programs on\n"
	"this host with eBPF and sends OpenTelemetry spans.  Traced programs are neither\n"
	"changed nor restarted.\n"
	"\n"
	"Commands:\n"
	"  run      trace until Ctrl-C or a signal (root)\n"
	"  check    can spanloom run here, and what will it see\n"
	"  probes   what is attached right now, and what it costs (root)\n"
	"  help     this text; spanloom help COMMAND: the options of a command\n"
	"\n"
	"Examples:\n"
	"  sudo spanloom run --exporter console            live traces in the terminal\n"
	"  sudo spanloom run --endpoint http://host:4318   spans to a collector (OTLP/HTTP)\n"
	"  sudo spanloom run --exe '*/node' --port 8080    one program, one port\n"
	"  sudo spanloom probes --measure 5                cost of each probe over 5 seconds\n"
	"  spanloom check --json | jq .hook_family\n"
	"\n"
	"spanloom --version prints the version.  The manual: man 8 spanloom.\n";

int cli__help(int argc, char **argv)
{
	fputs(help_text, stdout);
	return 0;
}
