// SPDX-License-Identifier: Apache-2.0
#include "user/options_table.h"

const struct argp_option options_table[] = {
	{ .doc = "What to trace (every process, when none of these is given):", .group = 1 },
	{ "pid", KEY_PID, "N[,...]", 0, "Only these processes", 0 },
	{ "exe", KEY_EXE, "GLOB[,...]", 0,
	  "Only programs whose path or file name matches: nginx, '/opt/shop/*'", 0 },
	{ "exclude-exe", KEY_EXCLUDE_EXE, "GLOB[,...]", 0, "Not these programs", 0 },
	{ "port", KEY_PORT, "N[,...]", 0,
	  "Only connections with one of these ports, on either side", 0 },

	{ .doc = "Where spans go:", .group = 2 },
	{ "exporter", KEY_EXPORTER, "NAME[,NAME]", 0,
	  "console, otlp or none; both: console,otlp (default: otlp when an endpoint is given, "
	  "else console)",
	  0 },
	{ "endpoint", KEY_ENDPOINT, "URL", 0,
	  "OTLP/HTTP collector, such as http://localhost:4318; /v1/traces is added to the path",
	  0 },
	{ "console", KEY_CONSOLE, "FORMAT", 0,
	  "tree: each trace as a tree (default); json: each span as a line with a JSON object", 0 },

	{ .doc = "What spans look like:", .group = 3 },
	{ "routes", KEY_ROUTES, "PATTERN[,...]", 0, "Routes of HTTP servers: '/users/{id}'", 0 },
	{ "route-heuristic", KEY_ROUTE_HEURISTIC, "on|off", 0,
	  "Guess which parts of other paths are ids (default: on)", 0 },
	{ "ignore-path", KEY_IGNORE_PATH, "GLOB[,...]", 0,
	  "No spans for HTTP requests with such a path: '/health*'", 0 },
	{ "db-server-spans", KEY_DB_SERVER_SPANS, NULL, 0,
	  "Spans for the server's side of database calls, too", 0 },
	{ "links", KEY_LINKS, "certain|likely", 0,
	  "Parents on certain evidence only, or guesses too, marked so (default: certain)", 0 },
	{ "sdk", KEY_SDK, "adopt|ignore", 0,
	  "Leave programs that export spans themselves to their SDK, or trace them too (default: "
	  "adopt)",
	  0 },
	{ "python", KEY_PYTHON, "on|off", 0,
	  "Watch what the event loops of CPython work for (default: on)", 0 },

	{ .doc = "Trace contexts for other hosts:", .group = 4 },
	{ "inject", KEY_INJECT, "auto|on|off", 0,
	  "Add a traceparent header to HTTP requests that clients send in plain text; auto: where "
	  "\"spanloom check\" finds the kernel safe (default: auto)",
	  0 },
	{ "inject-exclude", KEY_INJECT_EXCLUDE, "GLOB[,...]", 0,
	  "None to requests of these programs: nginx, '*/java'", 0 },
	{ "tcp-option", KEY_TCP_OPTION, "on|off", 0,
	  "Send the trace context of every call in a TCP option, for hosts that run spanloom, too; "
	  "some firewalls drop what has unknown options (default: off)",
	  0 },

	{ .doc = "Limits:", .group = 5 },
	{ "capture-bytes", KEY_CAPTURE_BYTES, "N", 0,
	  "Bytes to copy of each message, 256 to 64K (default: 4096)", 0 },
	{ "ring-size", KEY_RING_SIZE, "SIZE", 0,
	  "Buffer between kernel and agent, a power of two from 64K to 1G (default: 4M)", 0 },
	{ "max-connections", KEY_MAX_CONNECTIONS, "N", 0,
	  "Connections to follow at a time, 64 to 1048576 (default: 65536)", 0 },
	{ "idle-timeout", KEY_IDLE_TIMEOUT, "TIME", 0,
	  "Give up what waits on a connection without traffic, 1s to 24h (default: 15m)", 0 },
	{ "response-timeout", KEY_RESPONSE_TIMEOUT, "TIME", 0,
	  "Give up a request without an answer, 1s to 24h (default: 15m)", 0 },

	{ .doc = "Other:", .group = 6 },
	{ "duration", KEY_DURATION, "TIME", 0, "Stop after TIME: 30, 500ms, 30s, 5m, 1h", 0 },
	{ "hooks", KEY_HOOKS, "FAMILY", 0,
	  "How sockets are seen: tp (tracepoints), fentry (functions' entries and exits), kprobe "
	  "or "
	  "auto, the best that the kernel allows (default)",
	  0 },
	{ "log-level", KEY_LOG_LEVEL, "LEVEL", 0, "error, warn, info (default) or debug", 0 },
	{ 0 },
};

const char options_doc[] =
	"Trace the HTTP, FastCGI, PostgreSQL and Redis traffic of this host's processes.\v"
	"Examples:\n"
	"  sudo spanloom run\n"
	"  sudo spanloom run --endpoint http://collector:4318 --exe 'python3*'\n"
	"  sudo spanloom run --console json --port 5432,6379 --duration 30s\n"
	"\n"
	"OTEL_* environment variables (OTEL_EXPORTER_OTLP_*, OTEL_BSP_*, OTEL_TRACES_SAMPLER, "
	"OTEL_SERVICE_NAME, ...) are honoured; options win over them.";
