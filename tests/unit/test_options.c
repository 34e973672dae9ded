// SPDX-License-Identifier: Apache-2.0
#include <argp.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "user/base/pairs.h"
#include "user/options.h"
#include "user/options_value.h"

#define MAX_ARGS 20

static char *said; /* what the last read_options() printed */

static int read_options(struct options *o, const char *const *args, const char *const *env)
{
	static char *const nothing[] = { NULL };
	char *argv[MAX_ARGS] = { (char *)"spanloom run" };
	size_t len;
	FILE *err;
	int argc = 1, ret;

	free(said);
	said = NULL;
	err = open_memstream(&said, &len);
	for (; args && args[argc - 1]; argc++)
		argv[argc] = (char *)args[argc - 1];
	ret = options__read(o, argc, argv, env ? (char *const *)env : nothing, err, ARGP_NO_EXIT);
	fclose(err);
	return ret;
}

#define ARGS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static int teardown(void **state)
{
	free(said);
	said = NULL;
	return 0;
}

static void test_defaults(void **state)
{
	struct options o;

	assert_int_equal(read_options(&o, NULL, NULL), 0);
	assert_string_equal(said, "");
	assert_int_equal(o.exporters, EXPORT_CONSOLE);
	assert_int_equal(o.console_format, CONSOLE_TREE);
	assert_string_equal(o.otlp.url, "http://localhost:4318/v1/traces");
	assert_int_equal(o.otlp.timeout_ms, 10000);
	assert_int_equal(o.otlp.max_queue_size, 16384);
	assert_int_equal(o.otlp.max_export_batch_size, 512);
	assert_int_equal(o.capture_bytes, 4096);
	assert_int_equal(o.ring_bytes, 4 << 20);
	assert_int_equal(o.duration_ns, 0);
	assert_int_equal(o.hooks, HOOKS_NONE);
	assert_true(o.flow.sdk_adopt);
	assert_false(o.tcp_option);
	assert_int_equal(o.log_level, LOG_INFO);
	assert_int_equal(o.flow.sampler, SAMPLER_ALWAYS_ON);
	assert_true(o.flow.parent_based);
	assert_true(o.flow.route_heuristic);
	assert_null(o.exe_globs);
	assert_null(o.otlp.headers);
	options__free(&o);
}

static void test_command_line(void **state)
{
	struct options o;

	assert_int_equal(
		read_options(&o,
			     ARGS("--exporter", "otlp,console", "--console=json", "--pid", "1,22",
				  "--pid=333", "--port", "80,443", "--exe=nginx,*/redis*",
				  "--exclude-exe=curl", "--ring-size=1M", "--capture-bytes=64K"),
			     NULL),
		0);
	assert_int_equal(o.exporters, EXPORT_CONSOLE | EXPORT_OTLP);
	assert_int_equal(o.console_format, CONSOLE_JSON);
	assert_int_equal(o.pid_count, 3);
	assert_int_equal(o.pids[2], 333);
	assert_int_equal(o.port_count, 2);
	assert_int_equal(o.ports[1], 443);
	assert_string_equal(o.exe_globs[1], "*/redis*");
	assert_null(o.exe_globs[2]);
	assert_string_equal(o.exclude_exe_globs[0], "curl");
	assert_int_equal(o.ring_bytes, 1 << 20);
	assert_int_equal(o.capture_bytes, 65536);
	options__free(&o);

	assert_int_equal(
		read_options(&o,
			     ARGS("--duration=500ms", "--log-level=debug", "--hooks=kprobe",
				  "--routes=/a/{id}", "--routes", "/b,/c", "--route-heuristic=off",
				  "--ignore-path=/health*", "--db-server-spans",
				  "--idle-timeout=10m", "--response-timeout=5",
				  "--max-connections=100", "--exporter=none", "--sdk=ignore",
				  "--tcp-option=on"),
			     NULL),
		0);
	assert_int_equal(o.exporters, 0);
	assert_int_equal(o.duration_ns, 500000000);
	assert_int_equal(o.log_level, LOG_DEBUG);
	assert_int_equal(o.hooks, HOOKS_KPROBE);
	assert_string_equal(o.flow.routes[2], "/c");
	assert_null(o.flow.routes[3]);
	assert_false(o.flow.route_heuristic);
	assert_string_equal(o.flow.ignore_paths[0], "/health*");
	assert_true(o.flow.db_server_spans);
	assert_false(o.flow.sdk_adopt);
	assert_true(o.tcp_option);
	assert_int_equal(o.flow.idle_timeout_ns, 600000000000);
	assert_int_equal(o.flow.response_timeout_ns, 5000000000);
	assert_int_equal(o.flow.max_connections, 100);
	options__free(&o);
}

static void test_refused(void **state)
{
	static const struct {
		const char *arg;
		const char *said;
	} cases[] = {
		{ "--sdk=on", "--sdk on: expected ignore or adopt" },
		{ "--tcp-option=auto", "--tcp-option auto: expected off or on" },
		{ "--ring-size=5", "--ring-size 5: expected a power of two from 64K to 1G" },
		{ "--ring-size=96K", "--ring-size 96K: expected a power of two" },
		{ "--ring-size=2G", "--ring-size 2G: expected" },
		{ "--ring-size=17179869185G", "expected a power of two" },
		{ "--capture-bytes=255", "--capture-bytes 255: expected 256 to 65536" },
		{ "--capture-bytes=65537", "expected 256 to 65536" },
		{ "--port=0", "--port 0: expected 1 to 65535" },
		{ "--port=80,65536", "--port 65536: expected 1 to 65535" },
		{ "--port=80,", "--port 80,: expected a comma-separated list" },
		{ "--port=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", "at most 16 ports" },
		{ "--pid=-1", "--pid -1: expected 1 to 4194304" },
		{ "--pid=12a", "--pid 12a: expected" },
		{ "--duration=0", "--duration 0: expected 1ms to 1000h" },
		{ "--duration=5d", "--duration 5d: expected" },
		{ "--duration=999999999999999999h", "expected 1ms to 1000h" },
		{ "--exporter=jaeger", "--exporter jaeger: expected console, otlp" },
		{ "--exporter=none,console", "expected console, otlp" },
		{ "--console=xml", "--console xml: expected tree or json" },
		{ "--endpoint=localhost:4318", "expected http://HOST" },
		{ "--endpoint=http://", "expected http://HOST" },
		{ "--endpoint=ftp://me:secret@host", "--endpoint host: expected http://HOST" },
		{ "--endpoint=http://a\nb/", "expected http://HOST" },
		{ "--routes=users", "--routes users: expected a pattern that begins with /" },
		{ "--route-heuristic=maybe", "expected off or on" },
		{ "--hooks=syscalls", "expected auto, tp, fentry or kprobe" },
		{ "--log-level=loud", "expected error, warn, info or debug" },
		{ "surplus", "surplus: expected options only" },
	};
	struct options o;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(read_options(&o, ARGS(cases[i].arg), NULL), -EINVAL);
		if (!strstr(said, cases[i].said))
			fail_msg("%s: said: %s", cases[i].arg, said);
		assert_non_null(strstr(said, "spanloom run: "));
		assert_null(o.otlp.url);
	}
}

static void test_endpoint(void **state)
{
	static const struct {
		const char *env;
		const char *url;
	} cases[] = {
		{ "OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318", "http://c:4318/v1/traces" },
		{ "OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318/", "http://c:4318/v1/traces" },
		{ "OTEL_EXPORTER_OTLP_ENDPOINT=https://c/x/y", "https://c/x/y/v1/traces" },
		{ "OTEL_EXPORTER_OTLP_ENDPOINT=http://c/v1/traces",
		  "http://c/v1/traces/v1/traces" },
		{ "OTEL_EXPORTER_OTLP_ENDPOINT=http://c/in?k=v", "http://c/in/v1/traces?k=v" },
		{ "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://c:1", "http://c:1/" },
		{ "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=HTTP://c:1/in", "http://c:1/in" },
		{ "OTEL_EXPORTER_OTLP_ENDPOINT=http://[::1]:4318", "http://[::1]:4318/v1/traces" },
	};
	struct options o;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(read_options(&o, NULL, ARGS(cases[i].env)), 0);
		assert_string_equal(said, "");
		assert_string_equal(o.otlp.url, cases[i].url);
		assert_int_equal(o.exporters, EXPORT_OTLP);
		options__free(&o);
	}
	/* the signal's own wins whatever the order, and the option wins over both */
	assert_int_equal(read_options(&o, NULL,
				      ARGS("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://t/t",
					   "OTEL_EXPORTER_OTLP_ENDPOINT=http://g/")),
			 0);
	assert_string_equal(o.otlp.url, "http://t/t");
	options__free(&o);
	assert_int_equal(read_options(&o, ARGS("--endpoint=http://o/v1/traces"),
				      ARGS("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://t/t",
					   "OTEL_TRACES_EXPORTER=console")),
			 0);
	assert_string_equal(o.otlp.url, "http://o/v1/traces");
	assert_int_equal(o.exporters, EXPORT_OTLP);
	options__free(&o);
}

static void test_exporter_choice(void **state)
{
	struct options o;

	assert_int_equal(read_options(&o, NULL, ARGS("OTEL_TRACES_EXPORTER=none")), 0);
	assert_int_equal(o.exporters, 0);
	options__free(&o);
	assert_int_equal(read_options(&o, NULL, ARGS("OTEL_TRACES_EXPORTER=Console,OTLP")), 0);
	assert_int_equal(o.exporters, EXPORT_CONSOLE | EXPORT_OTLP);
	options__free(&o);
	assert_int_equal(
		read_options(&o, ARGS("--exporter=console"), ARGS("OTEL_TRACES_EXPORTER=otlp")), 0);
	assert_int_equal(o.exporters, EXPORT_CONSOLE);
	options__free(&o);
	assert_int_equal(read_options(&o, ARGS("--console=json"),
				      ARGS("OTEL_EXPORTER_OTLP_ENDPOINT=http://c")),
			 0);
	assert_int_equal(o.exporters, EXPORT_CONSOLE);
	options__free(&o);
	assert_int_equal(read_options(&o, NULL, ARGS("OTEL_TRACES_EXPORTER=zipkin")), 0);
	assert_int_equal(o.exporters, EXPORT_CONSOLE);
	assert_non_null(strstr(said, "OTEL_TRACES_EXPORTER=zipkin: expected otlp, console"));
	options__free(&o);
}

static void test_environment(void **state)
{
	struct options o;

	assert_int_equal(
		read_options(
			&o, NULL,
			ARGS("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT=7", "OTEL_EXPORTER_OTLP_TIMEOUT=9",
			     "OTEL_EXPORTER_OTLP_COMPRESSION=GZIP",
			     "OTEL_EXPORTER_OTLP_CERTIFICATE=/ca", "OTEL_BSP_MAX_QUEUE_SIZE=100",
			     "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=100", "OTEL_SERVICE_NAME=shop",
			     "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY=/k", "OTEL_LOG_LEVEL=debug",
			     "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=/c",
			     "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=5", "OTEL_ATTRIBUTE_COUNT_LIMIT=6",
			     "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT=64", "OTEL_SDK_DISABLED=TRUE",
			     "OTEL_RESOURCE_ATTRIBUTES=a=b%20c",
			     "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS=GET, PURGE",
			     "OTEL_BSP_SCHEDULE_DELAY=", "OTHER=1")),
		0);
	assert_string_equal(said, "");
	assert_int_equal(o.otlp.timeout_ms, 7);
	assert_true(o.otlp.gzip);
	assert_string_equal(o.otlp.ca_file, "/ca");
	assert_string_equal(o.otlp.key_file, "/k");
	assert_string_equal(o.otlp.cert_file, "/c");
	assert_int_equal(o.otlp.max_queue_size, 100);
	assert_int_equal(o.otlp.max_export_batch_size, 100);
	assert_int_equal(o.otlp.schedule_delay_ms, 500);
	assert_int_equal(o.flow.attribute_count_limit, 5);
	assert_int_equal(o.flow.attribute_value_limit, 64);
	assert_true(o.sdk_disabled);
	assert_int_equal(o.log_level, LOG_DEBUG);
	assert_string_equal(o.service_name, "shop");
	assert_string_equal(o.resource_attributes, "a=b%20c");
	assert_string_equal(o.flow.known_methods[1], "PURGE");
	assert_null(o.flow.known_methods[2]);
	options__free(&o);
}

static void test_bad_environment(void **state)
{
	static const char *const bad[] = {
		"OTEL_BSP_SCHEDULE_DELAY=-1: expected 0 to 2147483647, using 500",
		"OTEL_BSP_MAX_QUEUE_SIZE=0: expected 1 to 1048576, using 16384",
		("OTEL_BSP_MAX_EXPORT_BATCH_SIZE=99999: expected no more than the queue holds, "
		 "using 16384"),
		"OTEL_EXPORTER_OTLP_TIMEOUT=2147483648: expected 0 to 2147483647, using 10000",
		"OTEL_EXPORTER_OTLP_PROTOCOL=grpc: expected http/protobuf, using http/protobuf",
		"OTEL_EXPORTER_OTLP_COMPRESSION=zstd: expected gzip or none, using none",
		"OTEL_EXPORTER_OTLP_ENDPOINT=ftp://x: expected http://HOST",
		"OTEL_SDK_DISABLED=1: expected true or false, using false",
		"OTEL_LOG_LEVEL=loud: expected error, warn, info or debug, using info",
		"OTEL_TRACES_SAMPLER=xray: expected [parentbased_]always_on",
		"OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS=GET,,PUT: expected METHOD",
		"OTEL_CONFIG_FILE=/x: configuration files are not supported",
	};
	char var[128];
	struct options o;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int len = snprintf(var, sizeof(var), "%s", bad[i]);

		assert_true(len > 0);
		strstr(var, ": ")[0] = '\0';
		assert_int_equal(read_options(&o, NULL, ARGS(var)), 0);
		if (!strstr(said, bad[i]))
			fail_msg("%s: said: %s", var, said);
		assert_int_equal(o.otlp.schedule_delay_ms, 500);
		assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
		options__free(&o);
		/* who asked for errors only does not see it */
		assert_int_equal(read_options(&o, ARGS("--log-level=error"), ARGS(var)), 0);
		assert_string_equal(said, "");
		options__free(&o);
	}
}

static void test_headers(void **state)
{
	struct options o;

	assert_int_equal(
		read_options(
			&o, NULL,
			ARGS("OTEL_EXPORTER_OTLP_HEADERS=api-key=s%2Cx%3D, X-B = two words ,,")),
		0);
	assert_string_equal(said, "");
	assert_string_equal(o.otlp.headers[0], "api-key: s,x=");
	assert_string_equal(o.otlp.headers[1], "X-B: two words");
	assert_null(o.otlp.headers[2]);
	options__free(&o);

	assert_int_equal(read_options(&o, NULL,
				      ARGS("OTEL_EXPORTER_OTLP_HEADERS=a=1",
					   "OTEL_EXPORTER_OTLP_TRACES_HEADERS=b=2")),
			 0);
	assert_string_equal(o.otlp.headers[0], "b: 2");
	assert_null(o.otlp.headers[1]);
	options__free(&o);
}

static void test_bad_headers(void **state)
{
	static const char *const bad[] = { "x=secret%0d%0aEvil: 1", "x=secret%00", "x=",
					   "x%20y=secret",	    "x=secret%4",  "secret",
					   "content-length=5" };
	char var[128];
	struct options o;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(var, sizeof(var), "OTEL_EXPORTER_OTLP_HEADERS=%s,good=1", bad[i]);
		assert_int_equal(read_options(&o, NULL, ARGS(var)), 0);
		assert_non_null(strstr(said, "warn options: OTEL_EXPORTER_OTLP_HEADERS: header"));
		assert_null(strstr(said, "secret"));
		assert_string_equal(o.otlp.headers[0], "good: 1");
		assert_null(o.otlp.headers[1]);
		options__free(&o);
	}
}

static void test_sampler(void **state)
{
	struct options o;

	assert_int_equal(read_options(&o, NULL,
				      ARGS("OTEL_TRACES_SAMPLER=parentbased_traceidratio",
					   "OTEL_TRACES_SAMPLER_ARG=0.01")),
			 0);
	assert_int_equal(o.flow.sampler, SAMPLER_RATIO);
	assert_true(o.flow.parent_based);
	assert_true(o.flow.sampler_threshold == 0xfd70a000000000);
	options__free(&o);
	assert_int_equal(read_options(&o, NULL, ARGS("OTEL_TRACES_SAMPLER=always_off")), 0);
	assert_int_equal(o.flow.sampler, SAMPLER_ALWAYS_OFF);
	assert_false(o.flow.parent_based);
	options__free(&o);
	assert_int_equal(read_options(&o, NULL,
				      ARGS("OTEL_TRACES_SAMPLER=TraceIdRatio",
					   "OTEL_TRACES_SAMPLER_ARG=1.5")),
			 0);
	assert_non_null(strstr(said, "OTEL_TRACES_SAMPLER_ARG=1.5: expected a number from 0 to 1"));
	assert_int_equal(o.flow.sampler, SAMPLER_RATIO);
	assert_false(o.flow.parent_based);
	assert_true(o.flow.sampler_threshold == 0);
	options__free(&o);
	assert_int_equal(
		read_options(&o, NULL,
			     ARGS("OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=0")),
		0);
	assert_int_equal(o.flow.sampler, SAMPLER_ALWAYS_OFF);
	options__free(&o);
}

/* The table of the specification of consistent probability sampling. */
static void test_threshold(void **state)
{
	static const struct {
		double ratio;
		uint64_t threshold;
	} cases[] = {
		{ 1, 0 },
		{ 1 / 2., 0x80000000000000 },
		{ 1 / 3., 0xaaab0000000000 },
		{ 1 / 4., 0xc0000000000000 },
		{ 1 / 5., 0xcccd0000000000 },
		{ 1 / 8., 0xe0000000000000 },
		{ 1 / 10., 0xe6660000000000 },
		{ 1 / 16., 0xf0000000000000 },
		{ 1 / 100., 0xfd70a000000000 },
		{ 1 / 1000., 0xffbe7700000000 },
		{ 1e-4, 0xfff97240000000 },
		{ 1e-5, 0xffff583a000000 },
		{ 1e-6, 0xffffef39000000 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_true(value__sampler_threshold(cases[i].ratio) == cases[i].threshold);
	/* the rarest still keep something, the most frequent lose next to nothing */
	assert_true(value__sampler_threshold(0x1p-56) < 1ULL << 56);
	assert_true(value__sampler_threshold(0x1p-56) > 0xffffffffff0000);
	assert_true(value__sampler_threshold(0.9999999) == 0);
}

static void test_ratio_text(void **state)
{
	static const char *const bad[] = { "",	  " 0.5", "nan",  "inf", "0x1",
					   "1.1", "-0.1", "0.5x", "e" };
	double ratio;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(value__ratio(bad[i], &ratio), -EINVAL);
	assert_int_equal(value__ratio("1e-3", &ratio), 0);
	assert_true(ratio > 0.9e-3 && ratio < 1.1e-3);
}

static void test_pairs(void **state)
{
	struct slice rest = SLICE("a=1,, b = x%2Cy ,=2,c,d=%zz,e=");
	struct arena arena;
	struct pair pair;

	arena__init(&arena, 4096);
	assert_int_equal(pairs__next(&rest, &arena, &pair), 1);
	assert_true(slice__eq(pair.key, SLICE("a")));
	assert_int_equal(pairs__next(&rest, &arena, &pair), 1);
	assert_true(slice__eq(pair.key, SLICE("b")));
	assert_true(slice__eq(pair.value, SLICE("x,y")));
	for (int i = 0; i < 3; i++)
		assert_int_equal(pairs__next(&rest, &arena, &pair), -EINVAL);
	assert_int_equal(pairs__next(&rest, &arena, &pair), 1);
	assert_int_equal(pair.value.len, 0);
	assert_int_equal(pairs__next(&rest, &arena, &pair), 0);
	arena__reset(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),	cmocka_unit_test(test_command_line),
		cmocka_unit_test(test_refused),		cmocka_unit_test(test_endpoint),
		cmocka_unit_test(test_exporter_choice), cmocka_unit_test(test_environment),
		cmocka_unit_test(test_bad_environment), cmocka_unit_test(test_headers),
		cmocka_unit_test(test_bad_headers),	cmocka_unit_test(test_sampler),
		cmocka_unit_test(test_threshold),	cmocka_unit_test(test_ratio_text),
		cmocka_unit_test(test_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
