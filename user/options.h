/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the user asked for: command line (argp) over OTEL_* environment over defaults.
 */
#ifndef SPANLOOM_OPTIONS_H
#define SPANLOOM_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "user/flow/config.h"
#include "user/kernel/features.h"
#include "user/log.h"

#define OPTIONS_PORTS 16
#define OPTIONS_PIDS  64

enum exporter_bit {
	EXPORT_CONSOLE = 1 << 0,
	EXPORT_OTLP = 1 << 1,
};

enum console_format {
	CONSOLE_TREE,
	CONSOLE_JSON, /* one JSON object a line and span */
};

/* Header injection. */
enum inject_mode {
	INJECT_AUTO, /* where the kernel does it without harm */
	INJECT_ON,
	INJECT_OFF,
};

/* OTLP/HTTP (OTEL_EXPORTER_OTLP_*, OTEL_BSP_*). */
struct otlp_options {
	char *url;	     /* of the traces signal, complete */
	char **headers;	     /* "Name: value" lines, NULL-terminated, or NULL */
	uint32_t timeout_ms; /* of one export, 0: none */
	bool gzip;
	char *ca_file;	 /* NULL: the system's */
	char *cert_file; /* client certificate and key, or NULL */
	char *key_file;
	uint32_t schedule_delay_ms;
	uint32_t export_timeout_ms; /* all tries of one batch, 0: none */
	uint32_t max_queue_size;
	uint32_t max_export_batch_size;
};

struct options {
	unsigned int exporters; /* enum exporter_bit; 0: none */
	enum console_format console_format;
	struct otlp_options otlp;
	/* what to trace; all empty: every process but this one */
	uint32_t pids[OPTIONS_PIDS];
	unsigned int pid_count;
	char **exe_globs;	  /* NULL-terminated, or NULL */
	char **exclude_exe_globs; /* likewise */
	uint16_t ports[OPTIONS_PORTS];
	unsigned int port_count;
	/* capture */
	uint32_t capture_bytes; /* of the head of each message, 256 to 65536 */
	uint32_t ring_bytes;	/* a power of two */
	uint64_t duration_ns;	/* 0: until a signal */
	enum hook_family hooks; /* HOOKS_NONE: the best that there is */
	enum inject_mode inject;
	char **inject_exclude_globs; /* programs whose requests are left alone; or NULL */
	bool tcp_option;	     /* trace contexts in TCP options, both ways */
	bool likely_links;	     /* parents that are only likely, too */
	bool python;		     /* what contexts of CPython work for */
	enum log_level log_level;
	bool sdk_disabled; /* OTEL_SDK_DISABLED: say so and trace nothing */
	struct flow_config flow;
	/* of the agent's own environment: the default service.name and attributes of processes
	 * that have none of their own */
	char *service_name;	   /* OTEL_SERVICE_NAME, or NULL */
	char *resource_attributes; /* OTEL_RESOURCE_ATTRIBUTES, raw, or NULL */
};

/* What holds when nothing is said; nothing in it is to be freed. */
void options__defaults(struct options *options);

/*
 * Parses the arguments of "spanloom run", which is argv[0].  A refused option names the value
 * and the accepted range on stderr and exits with 1 (argp).  A bad environment variable is a
 * warning and its default.  Call options__free() afterwards.
 */
void options__parse(struct options *options, int argc, char **argv);
void options__free(struct options *options);

/*
 * The same with the environment as @envp ("NAME=value" strings, NULL-terminated), messages to
 * @err and the ARGP_* bits of @argp_flags, for callers that must not exit.  0 or a negative
 * errno; @options is then empty.
 */
int options__read(struct options *options, int argc, char **argv, char *const *envp, FILE *err,
		  unsigned int argp_flags);

#endif
