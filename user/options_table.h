/* SPDX-License-Identifier: Apache-2.0 */
/* The options of "spanloom run" as argp has them, and the text around their list. */
#ifndef SPANLOOM_OPTIONS_TABLE_H
#define SPANLOOM_OPTIONS_TABLE_H

#include <argp.h>

enum option_key {
	KEY_EXPORTER = 0x100, /* no one-letter options */
	KEY_ENDPOINT,
	KEY_CONSOLE,
	KEY_PID,
	KEY_EXE,
	KEY_EXCLUDE_EXE,
	KEY_PORT,
	KEY_CAPTURE_BYTES,
	KEY_RING_SIZE,
	KEY_DURATION,
	KEY_IDLE_TIMEOUT,
	KEY_RESPONSE_TIMEOUT,
	KEY_MAX_CONNECTIONS,
	KEY_DB_SERVER_SPANS,
	KEY_LINKS,
	KEY_HOOKS,
	KEY_SDK,
	KEY_PYTHON,
	KEY_INJECT,
	KEY_INJECT_EXCLUDE,
	KEY_TCP_OPTION,
	KEY_ROUTES,
	KEY_ROUTE_HEURISTIC,
	KEY_IGNORE_PATH,
	KEY_LOG_LEVEL,
};

extern const struct argp_option options_table[];
extern const char options_doc[];

#endif
