// SPDX-License-Identifier: Apache-2.0
/* Processes of a fake /proc in a temporary directory. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "user/kernel/process.h"
#include "user/kernel/process_facts.h"

#define ID  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UID "11111111-2222-3333-4444-555555555555"

static char root[64];

static void make_dirs(const char *path)
{
	char part[512];

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		mkdir(part, 0755);
	}
}

static void put_bytes(const char *name, const char *data, size_t len)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	make_dirs(path);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, len, file), len);
	fclose(file);
}

static void put(const char *name, const char *text)
{
	put_bytes(name, text, strlen(text));
}

#define PUT(name, literal) put_bytes(name, literal, sizeof(literal) - 1)

static void put_exe(unsigned int pid, const char *target)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%u/exe", root, pid);
	make_dirs(path);
	unlink(path);
	assert_int_equal(symlink(target, path), 0);
}

static void put_stat(unsigned int pid, const char *comm, unsigned long long start)
{
	char name[32], text[256];

	snprintf(name, sizeof(name), "%u/stat", pid);
	snprintf(text, sizeof(text),
		 "%u (%s) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 %llu 20 21\n", pid, comm,
		 start);
	put(name, text);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

static void remove_tree(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void remove_process(unsigned int pid)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%u", root, pid);
	remove_tree(path);
}

static int setup(void **state)
{
	snprintf(root, sizeof(root), "/tmp/spanloom-test-XXXXXX");
	assert_non_null(mkdtemp(root));
	put("sys/kernel/hostname", "web1\n");
	put("sys/kernel/random/boot_id", "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee\n");
	put("stat", "cpu 1 2\ncpu0 3\nbtime 1700000000\nprocesses 7\n");
	put("1/root/etc/machine-id", "00112233445566778899aabbccddeeff\n");
	put("1/root/etc/passwd", "root:x:0:0::/:/bin/sh\nshop:x:1001:1001::/:/bin/sh\n");
	return 0;
}

static int teardown(void **state)
{
	remove_tree(root);
	return 0;
}

/* A process as /proc shows it. */
static void put_process(unsigned int pid, const char *exe)
{
	char name[32];

	put_stat(pid, "a) S (b", 12345);
	put_exe(pid, exe);
	snprintf(name, sizeof(name), "%u/status", pid);
	put(name, "Name:\tx\nUid:\t1001\t1001\t1001\t1001\nNSpid:\t42\n");
	snprintf(name, sizeof(name), "%u/cgroup", pid);
	put(name, "0::/user.slice\n");
}

static struct processes_config config_of(void)
{
	return (struct processes_config){ .proc_root = root, .self_pid = 99 };
}

static const struct attribute *find(const struct resource *r, const char *key)
{
	for (size_t i = 0; i < r->count; i++)
		if (strcmp(r->attributes[i].key, key) == 0)
			return &r->attributes[i];
	return NULL;
}

/* The one that must be there. */
static const struct attribute *get(const struct resource *r, const char *key)
{
	static const struct attribute none;
	const struct attribute *attribute = find(r, key);

	if (!attribute)
		fail_msg("no %s", key);
	return attribute ? attribute : &none;
}

static void assert_attr(const struct resource *r, const char *key, const char *value)
{
	const struct attribute *attribute = get(r, key);

	assert_int_equal(attribute->type, ATTRIBUTE_STRING);
	if (!slice__eq(attribute->string, slice__str(value)))
		fail_msg("%s is %.*s, not %s", key, (int)attribute->string.len,
			 attribute->string.data, value);
}

static void assert_name(struct processes *p, uint32_t pid, const char *comm, const char *name)
{
	struct resource *r = processes__resource(p, pid, comm);

	assert_non_null(r);
	assert_attr(r, "service.name", name);
	assert_true(slice__eq(r->service_name, slice__str(name)));
	resource__put(r);
}

static void test_resource(void **state)
{
	struct processes_config config = config_of();
	struct processes *p = processes__new(&config);
	struct resource *r, *again;

	put_process(42, "/usr/bin/python3.11");
	put("42/cgroup", "0::/\n");
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
	assert_int_equal(get(r, "process.pid")->integer, 42);
	assert_null(find(r, "process.vpid"));
	assert_null(find(r, "container.id"));
	assert_int_equal(get(r, "service.instance.id")->string.len, 36);
	assert_int_equal(get(r, "service.instance.id")->string.data[14], '5');
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

/* nginx writes over its environment, but the first pointers lead to where it is now. */
static void test_environment_moved(void **state)
{
	static const char service[] = "OTEL_SERVICE_NAME=shop";
	struct processes_config config = config_of();
	struct processes *p = processes__new(&config);
	uint64_t memory[128] = { 0 };
	struct resource *r;

	put_process(42, "/usr/sbin/nginx");
	put("42/stat", "42 (nginx) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 12345 20 21 22 "
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

/* In a container the host's name is what process 1 has, not our own. */
static void test_host_name(void **state)
{
	struct processes_config config = config_of();
	struct processes *p;
	struct resource *r;

	put("self/ns/uts", "");
	put("1/ns/uts", "");
	put("1/root/etc/hostname", "node7\n");
	p = processes__new(&config);
	put_process(42, "/usr/bin/app");
	r = processes__resource(p, 42, "x");
	assert_attr(r, "host.name", "node7");
	resource__put(r);
	processes__free(p);
}

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
	assert_int_equal(get(r, "process.pid")->integer, 42);
	assert_int_equal(get(r, "service.instance.id")->string.len, 36);
	resource__put(r);

	/* one bad escape: nothing of the variable is used */
	PUT("43/environ", "OTEL_SERVICE_NAME=\0OTEL_RESOURCE_ATTRIBUTES=a=b,service.name=%4\0");
	r = processes__resource(p, 43, "node");
	assert_attr(r, "service.name", "common");
	assert_null(find(r, "a"));
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
	assert_true(r->count <= RESOURCE_ATTRIBUTES);
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
	put("45/stat", "45 (x");
	put_exe(45, "/bin/x");
	assert_name(p, 45, "x", "unknown_service:x");
	put("46/stat", ") 1 2 3");
	assert_name(p, 46, "fallback", "unknown_service:fallback");
	free(large);
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
	assert_int_equal(get(r, "process.pid")->integer, 50);
	assert_null(find(r, "service.instance.id"));
	assert_null(find(r, "process.executable.path"));
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
	put("42/status", "Uid:\t1001\t0\t0\t0\nNSpid:\t42\t8\t1\n");
	put("42/cgroup", "0::/../../kubepods.slice/kubepods-pod11111111_2222_3333_4444_555555555555"
			 ".slice/cri-containerd-" ID ".scope\n");
	r = processes__resource(p, 42, "app");
	assert_attr(r, "container.id", ID);
	assert_attr(r, "k8s.pod.uid", UID);
	assert_int_equal(get(r, "process.vpid")->integer, 1);
	assert_null(find(r, "process.owner"));
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
	snprintf(path, sizeof(path), "%s/gofile", root);
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
#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_resource),	 TEST(test_environment),
		TEST(test_default_name), TEST(test_hostile_environment),
		TEST(test_gone),	 TEST(test_pid_reuse),
		TEST(test_bound),	 TEST(test_globs),
		TEST(test_container),	 TEST(test_elf),
		TEST(test_host_name),	 TEST(test_environment_moved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
