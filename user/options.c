// SPDX-License-Identifier: Apache-2.0
#include "user/options.h"

#include <argp.h>
#include <errno.h>
#include <unistd.h>

#include "user/options_env.h"
#include "user/options_table.h"
#include "user/options_value.h"

#define DEFAULT_ENDPOINT "http://localhost:4318/v1/traces"
#define PID_LIMIT	 4194304 /* PID_MAX_LIMIT of 64-bit kernels */
#define MILLISECOND_NS	 1000000ULL
#define SECOND_NS	 (1000 * MILLISECOND_NS)
#define HOUR_NS		 (3600 * SECOND_NS)

/* One range-checked option: what it is in, and what is said when it is refused. */
struct range {
	const char *option;
	enum value_unit unit;
	uint64_t min;
	uint64_t max;
	const char *expected;
};

struct parse {
	struct options *options;
	FILE *err;
	bool exporters_given;
	bool endpoint_given;
	bool console_given;
};

static error_t refuse(struct argp_state *state, const char *option, const char *value,
		      const char *expected)
{
	argp_error(state, "--%s %s: expected %s", option, value, expected);
	return EINVAL;
}

static error_t parse_range(struct argp_state *state, const struct range *range, const char *arg,
			   uint64_t *out)
{
	if (value__number(arg, range->unit, range->min, range->max, out))
		return refuse(state, range->option, arg, range->expected);
	return 0;
}

static error_t parse_list(struct argp_state *state, const char *option, const char *arg,
			  char ***list)
{
	int err = value__append_all(list, slice__str(arg));

	if (err == -EINVAL)
		return refuse(state, option, arg, "a comma-separated list without empty items");
	return -err;
}

/* The numbers of a list, handed to @add one by one. */
static error_t parse_numbers(struct argp_state *state, const struct range *range, const char *arg,
			     error_t (*add)(struct argp_state *, const char *, uint64_t))
{
	char **items = NULL;
	error_t err = parse_list(state, range->option, arg, &items);

	for (size_t i = 0; !err && items[i]; i++) {
		uint64_t number = 0;

		err = parse_range(state, range, items[i], &number);
		if (!err)
			err = add(state, items[i], number);
	}
	value__free_list(items);
	return err;
}

static error_t add_pid(struct argp_state *state, const char *text, uint64_t pid)
{
	struct options *options = ((struct parse *)state->input)->options;

	if (options->pid_count == OPTIONS_PIDS)
		return refuse(state, "pid", text, "at most 64 processes");
	options->pids[options->pid_count++] = (uint32_t)pid;
	return 0;
}

static error_t add_port(struct argp_state *state, const char *text, uint64_t port)
{
	struct options *options = ((struct parse *)state->input)->options;

	if (options->port_count == OPTIONS_PORTS)
		return refuse(state, "port", text, "at most 16 ports");
	options->ports[options->port_count++] = (uint16_t)port;
	return 0;
}

static error_t parse_scope(struct argp_state *state, int key, char *arg)
{
	static const struct range pid = { "pid", VALUE_PLAIN, 1, PID_LIMIT, "1 to 4194304" };
	static const struct range port = { "port", VALUE_PLAIN, 1, UINT16_MAX, "1 to 65535" };
	static const struct range duration = { "duration", VALUE_DURATION, MILLISECOND_NS,
					       1000 * HOUR_NS,
					       "1ms to 1000h, such as 30, 500ms, 30s, 5m, 1h" };
	struct options *options = ((struct parse *)state->input)->options;

	switch (key) {
	case KEY_PID:
		return parse_numbers(state, &pid, arg, add_pid);
	case KEY_PORT:
		return parse_numbers(state, &port, arg, add_port);
	case KEY_EXE:
		return parse_list(state, "exe", arg, &options->exe_globs);
	case KEY_EXCLUDE_EXE:
		return parse_list(state, "exclude-exe", arg, &options->exclude_exe_globs);
	case KEY_DURATION:
		return parse_range(state, &duration, arg, &options->duration_ns);
	}
	return ARGP_ERR_UNKNOWN;
}

static error_t parse_exporter(struct argp_state *state, const char *arg)
{
	struct parse *parse = state->input;
	int err = options_env__exporters(arg, &parse->options->exporters);

	if (err == -EINVAL)
		return refuse(state, "exporter", arg, "console, otlp (or both) or none");
	parse->exporters_given = true;
	return -err;
}

static error_t parse_endpoint(struct argp_state *state, const char *arg)
{
	struct parse *parse = state->input;
	size_t len = strlen(arg);
	bool complete = len > 10 && strcmp(arg + len - 10, "/v1/traces") == 0;
	char *url = NULL;
	int err = value__endpoint(arg, !complete, &url);

	if (err == -EINVAL)
		return refuse(state, "endpoint", value__without_user(arg),
			      "http://HOST[:PORT][/PATH] or https://...");
	if (err)
		return -err;
	free(parse->options->otlp.url);
	parse->options->otlp.url = url;
	parse->endpoint_given = true;
	return 0;
}

static error_t parse_console(struct argp_state *state, const char *arg)
{
	static const char *const formats[] = { "tree", "json", NULL };
	struct parse *parse = state->input;
	int index = value__choice(slice__str(arg), formats);

	if (index < 0)
		return refuse(state, "console", arg, "tree or json");
	parse->options->console_format = (enum console_format)index;
	parse->console_given = true;
	return 0;
}

/* The members of flow_config are const because the pipeline only borrows them. */
static error_t parse_flow_list(struct argp_state *state, const char *option, const char *arg,
			       const char *const **list)
{
	char **grown = (char **)*list;
	error_t err = parse_list(state, option, arg, &grown);

	*list = (const char *const *)grown;
	return err;
}

static error_t parse_routes(struct argp_state *state, const char *arg)
{
	struct options *options = ((struct parse *)state->input)->options;
	error_t err = parse_flow_list(state, "routes", arg, &options->flow.routes);

	for (size_t i = 0; !err && options->flow.routes[i]; i++)
		if (options->flow.routes[i][0] != '/')
			err = refuse(state, "routes", options->flow.routes[i],
				     "a pattern that begins with /");
	return err;
}

/* A choice of two: *@flag is whether @arg is the second. */
static error_t parse_either(struct argp_state *state, const char *option, const char *arg,
			    const char *const words[3], bool *flag)
{
	int index = value__choice(slice__str(arg), words);
	char accepted[64];

	snprintf(accepted, sizeof(accepted), "%s or %s", words[0], words[1]);
	if (index < 0)
		return refuse(state, option, arg, accepted);
	*flag = index == 1;
	return 0;
}

static error_t parse_output(struct argp_state *state, int key, char *arg)
{
	static const char *const switches[] = { "off", "on", NULL };
	static const char *const links[] = { "certain", "likely", NULL };
	static const char *const sdk[] = { "ignore", "adopt", NULL };
	struct options *options = ((struct parse *)state->input)->options;

	switch (key) {
	case KEY_EXPORTER:
		return parse_exporter(state, arg);
	case KEY_ENDPOINT:
		return parse_endpoint(state, arg);
	case KEY_CONSOLE:
		return parse_console(state, arg);
	case KEY_ROUTES:
		return parse_routes(state, arg);
	case KEY_ROUTE_HEURISTIC:
		return parse_either(state, "route-heuristic", arg, switches,
				    &options->flow.route_heuristic);
	case KEY_IGNORE_PATH:
		return parse_flow_list(state, "ignore-path", arg, &options->flow.ignore_paths);
	case KEY_DB_SERVER_SPANS:
		options->flow.db_server_spans = true;
		return 0;
	case KEY_LINKS:
		return parse_either(state, "links", arg, links, &options->likely_links);
	case KEY_SDK:
		return parse_either(state, "sdk", arg, sdk, &options->flow.sdk_adopt);
	case KEY_PYTHON:
		return parse_either(state, "python", arg, switches, &options->python);
	}
	return ARGP_ERR_UNKNOWN;
}

static error_t parse_sent_contexts(struct argp_state *state, int key, char *arg)
{
	static const char *const switches[] = { "off", "on", NULL };
	static const char *const modes[] = {
		[INJECT_AUTO] = "auto",
		[INJECT_ON] = "on",
		[INJECT_OFF] = "off",
		NULL,
	};
	struct options *options = ((struct parse *)state->input)->options;
	int index;

	switch (key) {
	case KEY_INJECT:
		index = value__choice(slice__str(arg), modes);
		if (index < 0)
			return refuse(state, "inject", arg, "auto, on or off");
		options->inject = (enum inject_mode)index;
		return 0;
	case KEY_INJECT_EXCLUDE:
		return parse_list(state, "inject-exclude", arg, &options->inject_exclude_globs);
	case KEY_TCP_OPTION:
		return parse_either(state, "tcp-option", arg, switches, &options->tcp_option);
	}
	return ARGP_ERR_UNKNOWN;
}

static error_t parse_ring_size(struct argp_state *state, const char *arg)
{
	static const struct range range = { "ring-size", VALUE_SIZE, 64 << 10, 1 << 30,
					    "a power of two from 64K to 1G" };
	struct options *options = ((struct parse *)state->input)->options;
	uint64_t bytes = 0;
	error_t err = parse_range(state, &range, arg, &bytes);

	if (err)
		return err;
	if (bytes & (bytes - 1))
		return refuse(state, range.option, arg, range.expected);
	options->ring_bytes = (uint32_t)bytes;
	return 0;
}

static error_t parse_hooks(struct argp_state *state, const char *arg)
{
	static const char *const families[] = {
		[HOOKS_NONE] = "auto",
		[HOOKS_TP] = "tp",
		[HOOKS_FENTRY] = "fentry",
		[HOOKS_KPROBE] = "kprobe",
		NULL,
	};
	struct options *options = ((struct parse *)state->input)->options;
	int index = value__choice(slice__str(arg), families);

	if (index < 0)
		return refuse(state, "hooks", arg, "auto, tp, fentry or kprobe");
	options->hooks = (enum hook_family)index;
	return 0;
}

static error_t parse_log_level(struct argp_state *state, const char *arg)
{
	struct options *options = ((struct parse *)state->input)->options;
	int index = value__choice(slice__str(arg), value__log_levels);

	if (index < 0)
		return refuse(state, "log-level", arg, "error, warn, info or debug");
	options->log_level = (enum log_level)index;
	return 0;
}

static error_t parse_limits(struct argp_state *state, int key, char *arg)
{
	static const struct range capture = { "capture-bytes", VALUE_SIZE, 256, 64 << 10,
					      "256 to 65536" };
	static const struct range connections = { "max-connections", VALUE_PLAIN, 64, 1 << 20,
						  "64 to 1048576" };
	static const struct range idle = { "idle-timeout", VALUE_DURATION, SECOND_NS, 24 * HOUR_NS,
					   "1s to 24h" };
	static const struct range response = { "response-timeout", VALUE_DURATION, SECOND_NS,
					       24 * HOUR_NS, "1s to 24h" };
	struct options *options = ((struct parse *)state->input)->options;
	struct flow_config *flow = &options->flow;
	uint64_t number;
	error_t err;

	switch (key) {
	case KEY_CAPTURE_BYTES:
		number = options->capture_bytes;
		err = parse_range(state, &capture, arg, &number);
		options->capture_bytes = (uint32_t)number;
		return err;
	case KEY_MAX_CONNECTIONS:
		number = flow->max_connections;
		err = parse_range(state, &connections, arg, &number);
		flow->max_connections = (size_t)number;
		return err;
	case KEY_RING_SIZE:
		return parse_ring_size(state, arg);
	case KEY_IDLE_TIMEOUT:
		return parse_range(state, &idle, arg, &flow->idle_timeout_ns);
	case KEY_RESPONSE_TIMEOUT:
		return parse_range(state, &response, arg, &flow->response_timeout_ns);
	case KEY_HOOKS:
		return parse_hooks(state, arg);
	case KEY_LOG_LEVEL:
		return parse_log_level(state, arg);
	}
	return ARGP_ERR_UNKNOWN;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct parse *parse = state->input;
	error_t err;

	switch (key) {
	case ARGP_KEY_INIT:
		state->err_stream = parse->err;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "%s: expected options only", arg);
		return EINVAL;
	}
	err = parse_scope(state, key, arg);
	if (err == ARGP_ERR_UNKNOWN)
		err = parse_output(state, key, arg);
	if (err == ARGP_ERR_UNKNOWN)
		err = parse_sent_contexts(state, key, arg);
	if (err == ARGP_ERR_UNKNOWN)
		err = parse_limits(state, key, arg);
	return err;
}

/* What was not said follows from what was: an endpoint is there to be used. */
static int choose_exporters(struct options *options, const struct parse *parse, bool from_env)
{
	unsigned int implied = (parse->console_given ? EXPORT_CONSOLE : 0) |
			       (parse->endpoint_given ? EXPORT_OTLP : 0);

	if (!parse->exporters_given && implied)
		options->exporters = implied;
	else if (!parse->exporters_given && !from_env)
		options->exporters = options->otlp.url ? EXPORT_OTLP : EXPORT_CONSOLE;
	if (options->otlp.url)
		return 0;
	options->otlp.url = strdup(DEFAULT_ENDPOINT);
	return options->otlp.url ? 0 : -ENOMEM;
}

static int read_all(struct options *options, int argc, char **argv, char *const *envp,
		    FILE *warnings, FILE *err_stream, unsigned int argp_flags)
{
	static const struct argp argp = { options_table, parse_option, NULL, options_doc,
					  NULL,		 NULL,	       NULL };
	const unsigned int unset = ~0u;
	struct parse parse = { .options = options, .err = err_stream };
	bool from_env;
	int err;

	options__defaults(options);
	options->exporters = unset;
	err = options_env__apply(options, envp, warnings);
	if (err)
		return err;
	from_env = options->exporters != unset;
	err = argp_parse(&argp, argc, argv, argp_flags, NULL, &parse);
	return err ? -err : choose_exporters(options, &parse, from_env);
}

int options__read(struct options *options, int argc, char **argv, char *const *envp, FILE *err,
		  unsigned int argp_flags)
{
	char *text = NULL;
	size_t len = 0;
	/* held back until it is known whether the user wants to see warnings */
	FILE *warnings = open_memstream(&text, &len);
	int ret;

	if (!warnings)
		return -errno;
	ret = read_all(options, argc, argv, envp, warnings, err, argp_flags);
	fclose(warnings);
	if (options->log_level >= LOG_WARN && text)
		fwrite(text, 1, len, err);
	free(text);
	if (ret)
		options__free(options);
	return ret;
}

void options__parse(struct options *options, int argc, char **argv)
{
	int err;

	argp_err_exit_status = EXIT_FAILURE;
	err = options__read(options, argc, argv, environ, stderr, 0);
	if (err) {
		fprintf(stderr, "error options: cannot be read: %s\n", strerror(-err));
		exit(EXIT_FAILURE);
	}
}

void options__free(struct options *options)
{
	free(options->otlp.url);
	value__free_list(options->otlp.headers);
	free(options->otlp.ca_file);
	free(options->otlp.cert_file);
	free(options->otlp.key_file);
	value__free_list(options->exe_globs);
	value__free_list(options->exclude_exe_globs);
	value__free_list(options->inject_exclude_globs);
	value__free_list((char **)options->flow.routes);
	value__free_list((char **)options->flow.ignore_paths);
	value__free_list((char **)options->flow.known_methods);
	free(options->service_name);
	free(options->resource_attributes);
	*options = (struct options){ 0 };
}
