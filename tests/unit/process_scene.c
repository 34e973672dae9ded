// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/process_scene.h"

char proc_root[64];

static void make_dirs(const char *path)
{
	char part[512];

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		mkdir(part, 0755);
	}
}

void put_bytes(const char *name, const char *data, size_t len)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", proc_root, name);
	make_dirs(path);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, len, file), len);
	fclose(file);
}

void put_text(const char *name, const char *text)
{
	put_bytes(name, text, strlen(text));
}

void put_exe(unsigned int pid, const char *target)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%u/exe", proc_root, pid);
	make_dirs(path);
	unlink(path);
	assert_int_equal(symlink(target, path), 0);
}

void put_stat(unsigned int pid, const char *comm, unsigned long long start)
{
	char name[32], text[256];

	snprintf(name, sizeof(name), "%u/stat", pid);
	snprintf(text, sizeof(text),
		 "%u (%s) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 %llu 20 21\n", pid, comm,
		 start);
	put_text(name, text);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

static void remove_tree(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void remove_process(unsigned int pid)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%u", proc_root, pid);
	remove_tree(path);
}

int process_scene__setup(void **state)
{
	snprintf(proc_root, sizeof(proc_root), "/tmp/spanloom-test-XXXXXX");
	assert_non_null(mkdtemp(proc_root));
	put_text("sys/kernel/hostname", "web1\n");
	put_text("sys/kernel/random/boot_id", "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee\n");
	put_text("stat", "cpu 1 2\ncpu0 3\nbtime 1700000000\nprocesses 7\n");
	put_text("1/root/etc/machine-id", "00112233445566778899aabbccddeeff\n");
	put_text("1/root/etc/passwd", "root:x:0:0::/:/bin/sh\nshop:x:1001:1001::/:/bin/sh\n");
	return 0;
}

int process_scene__teardown(void **state)
{
	remove_tree(proc_root);
	return 0;
}

void put_process(unsigned int pid, const char *exe)
{
	char name[32];

	put_stat(pid, "a) S (b", 12345);
	put_exe(pid, exe);
	snprintf(name, sizeof(name), "%u/status", pid);
	put_text(name, "Name:\tx\nUid:\t1001\t1001\t1001\t1001\nNSpid:\t42\n");
	snprintf(name, sizeof(name), "%u/cgroup", pid);
	put_text(name, "0::/user.slice\n");
}

struct processes_config config_of(void)
{
	return (struct processes_config){ .proc_root = proc_root, .self_pid = 99 };
}

struct attribute find_attribute(const struct resource *r, const char *key)
{
	return attributes__find(&r->attributes, slice__str(key));
}

struct attribute get_attribute(const struct resource *r, const char *key)
{
	struct attribute attribute = find_attribute(r, key);

	if (attribute.type == ATTRIBUTE_NONE)
		fail_msg("no %s", key);
	return attribute;
}

void assert_attr(const struct resource *r, const char *key, const char *value)
{
	struct attribute attribute = get_attribute(r, key);

	assert_int_equal(attribute.type, ATTRIBUTE_STRING);
	if (!slice__eq(attribute.string, slice__str(value)))
		fail_msg("%s is %.*s, not %s", key, (int)attribute.string.len,
			 attribute.string.data, value);
}

void assert_name(struct processes *p, uint32_t pid, const char *comm, const char *name)
{
	struct resource *r = processes__resource(p, pid, comm);

	assert_non_null(r);
	assert_attr(r, "service.name", name);
	assert_true(slice__eq(r->service_name, slice__str(name)));
	resource__put(r);
}
