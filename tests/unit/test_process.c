// SPDX-License-Identifier: Apache-2.0
/* Who a process is: its resource, over its life. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/process_scene.h"

#define ID  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UID "11111111-2222-3333-4444-555555555555"

static void test_resource(void **state)
{
	struct processes_config config = config_of();
	struct processes *p = processes__new(&config);
	struct resource *r, *again;

	put_process(42, "/usr/bin/python3.11");
	put_text("42/cgroup", "0::/\n");
	r = processes__resource(p, 42, "x");
	assert_non_null(r);
	assert_int_equal(r->pid, 42);
	assert_true(slice__eq(r->executable, SLICE("/usr/bin/python3.11")));
	assert_attr(r, "service.name", "unknown_service:python3.11");
	assert_attr(r, "process.executable.name", "python3.11");
	assert_attr(r, "process.executable.path", "/usr/bin/python3.11");
	assert_attr(r, "process.runtime.name", "cpython");
	assert_attr(r, "process.owner", "shop");
	assert_attr(r, "telemetry.sdk.name", "spanloom");
	assert_attr(r, "telemetry.sdk.version", SPANLOOM_VERSION);
	assert_attr(r, "telemetry.sdk.language", "python");
	assert_attr(r, "host.name", "web1");
	assert_attr(r, "host.id", "00112233445566778899aabbccddeeff");
	assert_attr(r, "os.type", "linux");
	assert_int_equal(get_attribute(r, "process.pid").integer, 42);
	assert_int_equal(find_attribute(r, "process.vpid").type, ATTRIBUTE_NONE);
	assert_int_equal(find_attribute(r, "container.id").type, ATTRIBUTE_NONE);
	assert_int_equal(get_attribute(r, "service.instance.id").string.len, 36);
	assert_int_equal(get_attribute(r, "service.instance.id").string.data[14], '5');
	/* 12345 ticks of 10 ms after 2023-11-14T22:13:20Z */
	assert_int_equal(sysconf(_SC_CLK_TCK), 100);
	assert_attr(r, "process.creation.time", "2023-11-14T22:15:23.450Z");

	again = processes__resource(p, 42, "x");
	assert_ptr_equal(r, again);
	resource__put(again);
	resource__put(r);
	assert_null(processes__resource(p, 99, "self"));
	processes__free(p);
}

/* In a container the host's name is what process 1 has, not our own. */
static void test_host_name(void **state)
{
	struct processes_config config = config_of();
	struct processes *p;
	struct resource *r;

	put_text("self/ns/uts", "");
	put_text("1/ns/uts", "");
	put_text("1/root/etc/hostname", "node7\n");
	p = processes__new(&config);
	put_process(42, "/usr/bin/app");
	r = processes__resource(p, 42, "x");
	assert_attr(r, "host.name", "node7");
	resource__put(r);
	processes__free(p);
}

static void test_gone(void **state)
{
	struct processes_config config = config_of();
	struct processes *p = processes__new(&config);
	struct resource *r;

	/* only the kernel's records are left of a process that lived a few milliseconds */
	processes__tick(p, 1000000000000);
	processes__exec(p, 50, "/usr/bin/curl", "curl");
	processes__exit(p, 50);
	r = processes__resource(p, 50, "curl");
	assert_attr(r, "service.name", "unknown_service:curl");
	assert_attr(r, "process.executable.name", "curl");
	assert_attr(r, "host.name", "web1");
	assert_int_equal(get_attribute(r, "process.pid").integer, 50);
	assert_int_equal(find_attribute(r, "service.instance.id").type, ATTRIBUTE_NONE);
	assert_int_equal(find_attribute(r, "process.executable.path").type, ATTRIBUTE_NONE);
	assert_true(slice__eq(r->executable, SLICE("/usr/bin/curl")));
	resource__put(r);
	assert_name(p, 51, "wget", "unknown_service:wget");
	assert_name(p, 52, "", "unknown_service");

	/* late records find the name for 5 s */
	processes__tick(p, 1004000000000);
	assert_name(p, 50, "late", "unknown_service:curl");
	processes__tick(p, 1006000000000);
	assert_name(p, 50, "late", "unknown_service:late");
	processes__free(p);
}

static void test_pid_reuse(void **state)
{
	struct processes_config config = config_of();
	struct processes *p = processes__new(&config);
	uint64_t now_ns = 1000000000000;

	processes__tick(p, now_ns);
	put_process(42, "/usr/bin/one");
	assert_name(p, 42, "one", "unknown_service:one");
	/* exec in the same process */
	put_exe(42, "/usr/bin/two (deleted)");
	assert_name(p, 42, "one", "unknown_service:one");
	processes__exec(p, 42, "/usr/bin/two", "two");
	assert_name(p, 42, "two", "unknown_service:two");
	/* ended, and the pid given to a process that was forked only */
	processes__exit(p, 42);
	assert_name(p, 42, "two", "unknown_service:two");
	put_stat(42, "three", 22222);
	put_exe(42, "/usr/bin/three");
	assert_name(p, 42, "three", "unknown_service:three");
	processes__tick(p, now_ns += 60000000000);
	assert_name(p, 42, "three", "unknown_service:three");
	/* the exit record was lost */
	put_stat(42, "four", 33333);
	put_exe(42, "/usr/bin/four");
	assert_name(p, 42, "four", "unknown_service:three");
	processes__tick(p, now_ns += 10000000000);
	assert_name(p, 42, "four", "unknown_service:four");
	/* gone, but not replaced: it keeps its name */
	remove_process(42);
	processes__tick(p, now_ns + 10000000000);
	assert_name(p, 42, "four", "unknown_service:four");
	processes__free(p);
}

static void test_bound(void **state)
{
	struct processes_config config = config_of();
	struct processes *p = processes__new(&config);

	put_process(42, "/usr/bin/kept");
	assert_name(p, 42, "x", "unknown_service:kept");
	for (uint32_t pid = 100000; pid < 120000; pid++)
		processes__exec(p, pid, "/bin/true", "true");
	remove_process(42);
	/* forgotten as the least recently used */
	assert_name(p, 42, "x", "unknown_service:x");
	processes__free(p);
}

static void test_globs(void **state)
{
	char *only[] = { (char *)"nginx", (char *)"/opt/*", NULL };
	char * not [] = { (char *)"*test*", NULL };
	struct processes_config config = config_of();
	struct processes *p;

	config.exe_globs = only;
	config.exclude_exe_globs = not ;
	p = processes__new(&config);
	put_process(60, "/usr/sbin/nginx");
	put_process(61, "/opt/shop/bin/server");
	put_process(62, "/opt/test/server");
	put_process(63, "/usr/bin/curl");
	assert_true(processes__wanted(p, 60));
	assert_true(processes__wanted(p, 61));
	assert_false(processes__wanted(p, 62));
	assert_false(processes__wanted(p, 63));
	assert_false(processes__wanted(p, 99));
	assert_false(processes__wanted(p, 64));
	processes__exec(p, 64, "/usr/local/bin/nginx", "nginx");
	assert_true(processes__wanted(p, 64));
	assert_name(p, 60, "nginx", "unknown_service:nginx");
	assert_null(processes__resource(p, 62, "server"));
	assert_null(processes__resource(p, 63, "curl"));
	assert_null(processes__resource(p, 63, "curl"));
	assert_false(processes__wanted(p, 63));
	processes__free(p);
}

static void test_container(void **state)
{
	struct processes_config config = config_of();
	struct processes *p = processes__new(&config);
	struct resource *r;

	put_process(42, "/app");
	put_text("42/status", "Uid:\t1001\t0\t0\t0\nNSpid:\t42\t8\t1\n");
	put_text("42/cgroup",
		 "0::/../../kubepods.slice/kubepods-pod11111111_2222_3333_4444_555555555555"
		 ".slice/cri-containerd-" ID ".scope\n");
	r = processes__resource(p, 42, "app");
	assert_attr(r, "container.id", ID);
	assert_attr(r, "k8s.pod.uid", UID);
	assert_int_equal(get_attribute(r, "process.vpid").integer, 1);
	assert_int_equal(find_attribute(r, "process.owner").type, ATTRIBUTE_NONE);
	assert_attr(r, "telemetry.sdk.language", "native");
	resource__put(r);
	processes__free(p);
}

/* The program that runs this test is no Go program, but a real ELF file. */
static void test_elf(void **state)
{
	struct processes_config config = config_of();
	struct processes *p = processes__new(&config);
	char elf[600] = "\x7f"
			"ELF\x02\x01\x01";
	struct resource *r;
	char path[128];

	put_process(42, "/proc/self/exe");
	r = processes__resource(p, 42, "x");
	assert_attr(r, "telemetry.sdk.language", "native");
	resource__put(r);

	/* one section header at 64, its name table at 128 */
	elf[40] = 64;	   /* e_shoff */
	elf[58] = 64;	   /* e_shentsize */
	elf[60] = 1;	   /* e_shnum; e_shstrndx is 0 */
	elf[64 + 0] = 1;   /* sh_name */
	elf[64 + 25] = 1;  /* sh_offset: 256 */
	elf[64 + 32] = 64; /* sh_size */
	memcpy(elf + 257, ".go.buildinfo", 14);
	put_bytes("gofile", elf, sizeof(elf));
	snprintf(path, sizeof(path), "%s/gofile", proc_root);
	put_process(43, path);
	r = processes__resource(p, 43, "x");
	assert_attr(r, "telemetry.sdk.language", "go");
	resource__put(r);
	/* offsets out of the file */
	memset(elf + 64 + 24, 0xff, 16);
	put_bytes("gofile", elf, sizeof(elf));
	put_process(44, path);
	r = processes__resource(p, 44, "x");
	assert_attr(r, "telemetry.sdk.language", "native");
	resource__put(r);
	processes__free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PROCESS_TEST(test_resource),  PROCESS_TEST(test_gone),
		PROCESS_TEST(test_pid_reuse), PROCESS_TEST(test_bound),
		PROCESS_TEST(test_globs),     PROCESS_TEST(test_container),
		PROCESS_TEST(test_elf),	      PROCESS_TEST(test_host_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
