// SPDX-License-Identifier: Apache-2.0
#include "user/options_env.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>

#include "user/base/pairs.h"
#include "user/options.h"
#include "user/options_value.h"

#define ENV_NUMBER_MAX	    0x7fffffffu /* of the specification */
#define QUEUE_MAX	    (1u << 20)
#define HEADERS_LIMIT_BYTES (64 * 1024)

struct env {
	char *const *vars;
	FILE *warnings;
	struct options *options;
};

/* The value of a variable; NULL when it is not set, or empty, which means the same. */
static const char *env__get(const struct env *env, const char *name)
{
	size_t len = strlen(name);

	for (char *const *var = env->vars; *var; var++)
		if (strncmp(*var, name, len) == 0 && (*var)[len] == '=')
			return (*var)[len + 1] ? *var + len + 1 : NULL;
	return NULL;
}

static void __attribute__((format(printf, 4, 5)))
env__refuse(const struct env *env, const char *name, const char *value, const char *format, ...)
{
	va_list args;

	fprintf(env->warnings, "warn options: %s=%s: ", name, value);
	va_start(args, format);
	vfprintf(env->warnings, format, args);
	va_end(args);
	fputc('\n', env->warnings);
}

/* General names first: those of the traces signal, which follow, win. */
static void env__numbers(const struct env *env)
{
	static const struct {
		const char *name;
		size_t offset; /* of a uint32_t in struct options */
		uint32_t min;
		uint32_t max;
	} numbers[] = {
#define NUMBER(name, field, min, max) { name, offsetof(struct options, field), min, max }
		NUMBER("OTEL_EXPORTER_OTLP_TIMEOUT", otlp.timeout_ms, 0, ENV_NUMBER_MAX),
		NUMBER("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", otlp.timeout_ms, 0, ENV_NUMBER_MAX),
		NUMBER("OTEL_BSP_SCHEDULE_DELAY", otlp.schedule_delay_ms, 0, ENV_NUMBER_MAX),
		NUMBER("OTEL_BSP_EXPORT_TIMEOUT", otlp.export_timeout_ms, 0, ENV_NUMBER_MAX),
		NUMBER("OTEL_BSP_MAX_QUEUE_SIZE", otlp.max_queue_size, 1, QUEUE_MAX),
		NUMBER("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", otlp.max_export_batch_size, 1, QUEUE_MAX),
		NUMBER("OTEL_ATTRIBUTE_COUNT_LIMIT", flow.attribute_count_limit, 0, ENV_NUMBER_MAX),
		NUMBER("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", flow.attribute_count_limit, 0,
		       ENV_NUMBER_MAX),
		NUMBER("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", flow.attribute_value_limit, 1,
		       ENV_NUMBER_MAX),
		NUMBER("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", flow.attribute_value_limit, 1,
		       ENV_NUMBER_MAX),
#undef NUMBER
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		uint32_t *field = (uint32_t *)((char *)env->options + numbers[i].offset);
		const char *value = env__get(env, numbers[i].name);
		uint64_t number;

		if (!value)
			continue;
		if (value__number(value, VALUE_PLAIN, numbers[i].min, numbers[i].max, &number))
			env__refuse(env, numbers[i].name, value, "expected %u to %u, using %u",
				    numbers[i].min, numbers[i].max, *field);
		else
			*field = (uint32_t)number;
	}
}

static void env__batch_fits_queue(const struct env *env)
{
	struct otlp_options *otlp = &env->options->otlp;
	char value[16];

	if (otlp->max_export_batch_size <= otlp->max_queue_size)
		return;
	snprintf(value, sizeof(value), "%u", otlp->max_export_batch_size);
	env__refuse(env, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", value,
		    "expected no more than the queue holds, using %u", otlp->max_queue_size);
	otlp->max_export_batch_size = otlp->max_queue_size;
}

static int env__strings(const struct env *env)
{
	static const struct {
		const char *name;
		size_t offset; /* of a char * in struct options */
	} strings[] = {
#define STRING(name, field) { name, offsetof(struct options, field) }
		STRING("OTEL_EXPORTER_OTLP_CERTIFICATE", otlp.ca_file),
		STRING("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", otlp.ca_file),
		STRING("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", otlp.cert_file),
		STRING("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", otlp.cert_file),
		STRING("OTEL_EXPORTER_OTLP_CLIENT_KEY", otlp.key_file),
		STRING("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", otlp.key_file),
		STRING("OTEL_SERVICE_NAME", service_name),
		STRING("OTEL_RESOURCE_ATTRIBUTES", resource_attributes),
#undef STRING
	};

	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
		char **field = (char **)((char *)env->options + strings[i].offset);
		const char *value = env__get(env, strings[i].name);

		if (!value)
			continue;
		free(*field);
		*field = strdup(value);
		if (!*field)
			return -ENOMEM;
	}
	return 0;
}

/* Index of the variable's value in @names; -1 when it is not set, or none of them (a warning
 * says @used). */
static int env__choice(const struct env *env, const char *name, const char *const *names,
		       const char *accepted, const char *used)
{
	const char *value = env__get(env, name);
	int index = value ? value__choice(slice__str(value), names) : -1;

	if (value && index < 0)
		env__refuse(env, name, value, "expected %s, using %s", accepted, used);
	return index < 0 ? -1 : index;
}

static void env__enums(const struct env *env)
{
	static const char *const booleans[] = { "false", "true", NULL };
	static const char *const codings[] = { "none", "gzip", NULL };
	static const char *const protocols[] = { "http/protobuf", NULL };
	struct options *options = env->options;
	int index;

	index = env__choice(env, "OTEL_LOG_LEVEL", value__log_levels, "error, warn, info or debug",
			    "info");
	if (index >= 0)
		options->log_level = (enum log_level)index;
	index = env__choice(env, "OTEL_SDK_DISABLED", booleans, "true or false", "false");
	options->sdk_disabled = index == 1;

	index = env__choice(env, "OTEL_EXPORTER_OTLP_COMPRESSION", codings, "gzip or none", "none");
	options->otlp.gzip = index == 1;
	index = env__choice(env, "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", codings, "gzip or none",
			    options->otlp.gzip ? "gzip" : "none");
	if (index >= 0)
		options->otlp.gzip = index == 1;

	env__choice(env, "OTEL_EXPORTER_OTLP_PROTOCOL", protocols, "http/protobuf",
		    "http/protobuf");
	env__choice(env, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", protocols, "http/protobuf",
		    "http/protobuf");
}

/* The variable of the signal is the whole URL, the general one only its beginning. */
static int env__endpoint(const struct env *env)
{
	static const struct {
		const char *name;
		bool append;
	} names[] = {
		{ "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", false },
		{ "OTEL_EXPORTER_OTLP_ENDPOINT", true },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = env__get(env, names[i].name);
		int err = value ? value__endpoint(value, names[i].append, &env->options->otlp.url)
				: -ENOENT;

		if (err == 0 || err == -ENOMEM)
			return err;
		if (err == -EINVAL)
			env__refuse(env, names[i].name, value__without_user(value),
				    "expected http://HOST[:PORT][/PATH] or https://..., ignored");
	}
	return 0;
}

/* A name as RFC 9110 has it, and not one that the exporter must set itself. */
static bool header_name_ok(struct slice name)
{
	static const char *const reserved[] = { "content-type",	     "content-length",
						"content-encoding",  "connection",
						"transfer-encoding", NULL };

	for (size_t i = 0; i < name.len; i++)
		if (!isalnum((unsigned char)name.data[i]) &&
		    (name.data[i] == '\0' || !strchr("!#$%&'*+-.^_`|~", name.data[i])))
			return false;
	return value__choice(name, reserved) < 0;
}

/* Never empty: to libcurl "Name:" is a header to take away. */
static bool header_value_ok(struct slice value)
{
	for (size_t i = 0; i < value.len; i++)
		if (((unsigned char)value.data[i] < ' ' && value.data[i] != '\t') ||
		    value.data[i] == 0x7f)
			return false;
	return slice__trim(value).len > 0;
}

static int env__add_header(const struct env *env, const char *name, const struct pair *pair,
			   struct arena *text)
{
	struct slice line;

	if (!header_name_ok(pair->key) || !header_value_ok(pair->value)) {
		/* values are credentials: they are not printed */
		fprintf(env->warnings,
			"warn options: %s: header \"%.*s\" is not a legal name with a value "
			"without control characters, ignored\n",
			name, (int)pair->key.len, pair->key.data);
		return 0;
	}
	line = arena__printf(text, "%.*s: %.*s", (int)pair->key.len, pair->key.data,
			     (int)pair->value.len, pair->value.data);
	if (line.len == 0)
		return -ENOMEM;
	return value__append(&env->options->otlp.headers, line);
}

static int env__headers(const struct env *env)
{
	const char *name = "OTEL_EXPORTER_OTLP_TRACES_HEADERS";
	struct slice rest = slice__str(env__get(env, name));
	struct pair pair;
	struct arena text;
	int err;

	if (rest.len == 0) {
		name = "OTEL_EXPORTER_OTLP_HEADERS";
		rest = slice__str(env__get(env, name));
	}
	arena__init(&text, HEADERS_LIMIT_BYTES);
	while ((err = pairs__next(&rest, &text, &pair)) != 0) {
		if (err == -EINVAL)
			pair.value.len = 0; /* refused below */
		else if (err < 0)
			break;
		err = env__add_header(env, name, &pair, &text);
		if (err)
			break;
	}
	arena__reset(&text);
	return err;
}

static void env__sampler_ratio(const struct env *env)
{
	const char *value = env__get(env, "OTEL_TRACES_SAMPLER_ARG");
	struct flow_config *flow = &env->options->flow;
	double ratio = 1;

	if (value && value__ratio(value, &ratio))
		env__refuse(env, "OTEL_TRACES_SAMPLER_ARG", value,
			    "expected a number from 0 to 1, using 1");
	if (ratio < 0x1p-56) {
		flow->sampler = SAMPLER_ALWAYS_OFF;
		return;
	}
	flow->sampler = SAMPLER_RATIO;
	flow->sampler_threshold = value__sampler_threshold(ratio);
}

static void env__sampler(const struct env *env)
{
	static const char *const names[] = { "always_on",
					     "always_off",
					     "traceidratio",
					     "parentbased_always_on",
					     "parentbased_always_off",
					     "parentbased_traceidratio",
					     NULL };
	struct flow_config *flow = &env->options->flow;
	int index = env__choice(env, "OTEL_TRACES_SAMPLER", names,
				"[parentbased_]always_on, _always_off or _traceidratio",
				"parentbased_always_on");

	if (index < 0)
		return;
	flow->parent_based = index >= 3;
	flow->sampler = (enum sampler_kind)(index % 3);
	if (flow->sampler == SAMPLER_RATIO)
		env__sampler_ratio(env);
}

static int env__known_methods(const struct env *env)
{
	const char *name = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS";
	const char *value = env__get(env, name);
	char **methods = NULL;
	int err = value ? value__append_all(&methods, slice__str(value)) : 0;

	if (err) {
		value__free_list(methods);
		if (err == -EINVAL)
			env__refuse(env, name, value,
				    "expected METHOD[,METHOD...], using the standard methods");
		return err == -EINVAL ? 0 : err;
	}
	env->options->flow.known_methods = (const char *const *)methods;
	return 0;
}

int options_env__exporters(const char *text, unsigned int *exporters)
{
	static const char *const names[] = { "none", "console", "otlp", NULL };
	char **members = NULL;
	unsigned int seen = 0;
	int err = value__append_all(&members, slice__str(text));

	for (size_t i = 0; !err && members[i]; i++) {
		int index = value__choice(slice__str(members[i]), names);

		if (index < 0)
			err = index;
		else
			seen |= 1u << index;
	}
	value__free_list(members);
	if (!err && (seen & 1) && seen != 1)
		err = -EINVAL;
	if (err)
		return err;
	*exporters = (seen & 2 ? EXPORT_CONSOLE : 0) | (seen & 4 ? EXPORT_OTLP : 0);
	return 0;
}

static int env__exporters(const struct env *env)
{
	const char *value = env__get(env, "OTEL_TRACES_EXPORTER");
	int err = value ? options_env__exporters(value, &env->options->exporters) : 0;

	if (err != -EINVAL)
		return err;
	env__refuse(env, "OTEL_TRACES_EXPORTER", value,
		    "expected otlp, console (or both) or none, ignored");
	return 0;
}

int options_env__apply(struct options *options, char *const *envp, FILE *warnings)
{
	const struct env env = { envp, warnings, options };
	const char *file = env__get(&env, "OTEL_CONFIG_FILE");
	int err;

	if (file)
		env__refuse(&env, "OTEL_CONFIG_FILE", file,
			    "configuration files are not supported, using the other variables");
	env__numbers(&env);
	env__batch_fits_queue(&env);
	env__enums(&env);
	env__sampler(&env);
	err = env__strings(&env);
	if (!err)
		err = env__endpoint(&env);
	if (!err)
		err = env__headers(&env);
	if (!err)
		err = env__known_methods(&env);
	if (!err)
		err = env__exporters(&env);
	return err;
}
