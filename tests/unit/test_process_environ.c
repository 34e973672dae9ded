// SPDX-License-Identifier: Apache-2.0
/* What a process' environment says of it: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/process_scene.h"
#include "user/kernel/process_facts.h"

static void test_environment(void **state)
{
	struct processes_config config = config_of();
	struct processes *p;
	struct resource *r;

	config.resource_attributes = "deployment.environment.name=prod,service.name=common,"
				     "service.instance.id=one,host.name=agent";
	p = processes__new(&config);
	put_process(42, "/usr/bin/node");
	put_process(43, "/usr/bin/node");
	put_process(44, "/usr/bin/node");
	PUT("42/environ", "PATH=/bin\0XOTEL_SERVICE_NAME=no\0OTEL_SERVICE_NAME=shop\0"
			  "OTEL_RESOURCE_ATTRIBUTES=service.name=no,service.namespace=eu%2Dwest,"
			  "host.name=mine,process.pid=1,telemetry.sdk.name=fake,caf%C3%A9=%"
			  "ff\0OTEL_SERVICE_NAME=2\0");
	r = processes__resource(p, 42, "node");
	assert_attr(r, "service.name", "shop");
	assert_attr(r, "service.namespace", "eu-west");
	assert_attr(r, "host.name", "mine");
	assert_attr(r, "caf\xc3\xa9", "\xef\xbf\xbd");
	assert_attr(r, "deployment.environment.name", "prod");
	assert_attr(r, "telemetry.sdk.name", "spanloom");
	assert_attr(r, "telemetry.sdk.language", "nodejs");
	assert_int_equal(get_attribute(r, "process.pid").integer, 42);
	assert_int_equal(get_attribute(r, "service.instance.id").string.len, 36);
	resource__put(r);

	/* one bad escape: nothing of the variable is used */
	PUT("43/environ", "OTEL_SERVICE_NAME=\0OTEL_RESOURCE_ATTRIBUTES=a=b,service.name=%4\0");
	r = processes__resource(p, 43, "node");
	assert_attr(r, "service.name", "common");
	assert_int_equal(find_attribute(r, "a").type, ATTRIBUTE_NONE);
	assert_attr(r, "host.name", "agent");
	resource__put(r);

	PUT("44/environ", "OTEL_RESOURCE_ATTRIBUTES=service.name=own");
	assert_name(p, 44, "node", "own");
	processes__free(p);
}

static void test_default_name(void **state)
{
	struct processes_config config = config_of();
	struct processes *p;

	config.service_name = "fleet";
	config.resource_attributes = "service.name=common";
	p = processes__new(&config);
	put_process(42, "/usr/bin/node");
	assert_name(p, 42, "node", "fleet");
	processes__free(p);
}

static void test_hostile_environment(void **state)
{
	struct processes_config config = config_of();
	struct processes *p = processes__new(&config);
	char *large = malloc(FACTS_ENVIRON_BYTES + 4096);
	struct resource *r;
	size_t len;

	/* attributes without end leave room for ours */
	len = (size_t)snprintf(large, FACTS_ENVIRON_BYTES, "OTEL_RESOURCE_ATTRIBUTES=");
	for (int i = 0; i < 1000; i++)
		len += (size_t)snprintf(large + len, FACTS_ENVIRON_BYTES - len, "key%d=%060d,", i,
					i);
	put_process(42, "/usr/bin/node");
	put_bytes("42/environ", large, len);
	r = processes__resource(p, 42, "node");
	assert_attr(r, "key0", "000000000000000000000000000000000000000000000000000000000000");
	assert_attr(r, "host.name", "web1");
	assert_attr(r, "os.type", "linux");
	assert_true(r->attributes.count <= RESOURCE_ATTRIBUTES);
	resource__put(r);

	/* a variable that lies across the limit of what is read is not used */
	memset(large, 'x', FACTS_ENVIRON_BYTES + 4096);
	large[FACTS_ENVIRON_BYTES - 40] = '\0';
	memcpy(large + FACTS_ENVIRON_BYTES - 39, "OTEL_SERVICE_NAME=", 18);
	put_process(43, "/usr/bin/node");
	put_bytes("43/environ", large, FACTS_ENVIRON_BYTES + 4096);
	assert_name(p, 43, "node", "unknown_service:node");

	/* names are made valid UTF-8, whatever they hold */
	put_process(44, "/tmp/\xff\x1b[2J");
	assert_name(p, 44, "node", "unknown_service:\xef\xbf\xbd\x1b[2J");
	put_text("45/stat", "45 (x");
	put_exe(45, "/bin/x");
	assert_name(p, 45, "x", "unknown_service:x");
	put_text("46/stat", ") 1 2 3");
	assert_name(p, 46, "fallback", "unknown_service:fallback");
	free(large);
	processes__free(p);
}

/* nginx writes over its environment, but the first pointers lead to where it is now. */
static void test_environment_moved(void **state)
{
	static const char service[] = "OTEL_SERVICE_NAME=shop";
	struct processes_config config = config_of();
	struct processes *p = processes__new(&config);
	uint64_t memory[128] = { 0 };
	struct resource *r;

	put_process(42, "/usr/sbin/nginx");
	put_text("42/stat",
		 "42 (nginx) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 12345 20 21 22 "
		 "23 24 64 26\n");
	put_bytes("42/environ", "cess\0\0\0\0\0", 9);
	memory[8] = 2;		 /* arguments, and where they are */
	memory[12] = UINT64_MAX; /* nowhere */
	memory[13] = 512;
	memcpy(&memory[64], service, sizeof(service));
	put_bytes("42/mem", (const char *)memory, sizeof(memory));
	r = processes__resource(p, 42, "x");
	assert_attr(r, "service.name", "shop");
	resource__put(r);

	memory[8] = UINT64_MAX;
	put_bytes("42/mem", (const char *)memory, sizeof(memory));
	processes__exec(p, 42, "/usr/sbin/nginx", "nginx");
	r = processes__resource(p, 42, "x");
	assert_attr(r, "service.name", "unknown_service:nginx");
	resource__put(r);
	processes__free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PROCESS_TEST(test_environment),
		PROCESS_TEST(test_default_name),
		PROCESS_TEST(test_hostile_environment),
		PROCESS_TEST(test_environment_moved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
