// SPDX-License-Identifier: Apache-2.0
/* What /proc tells of traced processes, which have a say in most of it. */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/base/pairs.h"
#include "user/base/utf8.h"
#include "user/kernel/cgroup.h"
#include "user/kernel/mapped.h"
#include "user/kernel/process.h"

#define PID 7

static void check_pairs(struct slice in)
{
	struct slice rest = in;
	struct arena arena;
	struct pair pair;
	int err;

	arena__init(&arena, 64 * 1024);
	do {
		err = pairs__next(&rest, &arena, &pair);
		if (err == 1) {
			assert_true(pair.key.len > 0);
			fuzz__touch(pair.key);
			fuzz__touch(pair.value);
		}
	} while (err == 1);
	arena__reset(&arena);
}

static void check_utf8(struct slice in)
{
	struct arena arena;
	struct slice out;

	arena__init(&arena, 1024 * 1024);
	out = utf8__copy(&arena, in, 0);
	for (size_t at = 0; at < out.len;) {
		size_t len = utf8__sequence(slice__skip(out, at));

		assert_true(len > 0);
		at += len;
	}
	utf8__copy(&arena, in, 7);
	arena__reset(&arena);
}

/* input: text of a file of /proc, or a variable of the environment */
void fuzz_proc(struct slice in, unsigned int proto)
{
	char *text = fuzz__copy(in), *line = fuzz__string(in);
	struct slice copy = slice__of(text, in.len);
	struct mapped_line mapped;
	struct mapped file = { 0 };
	struct cgroup_ids ids;

	cgroup__ids(copy, &ids);
	assert_true(strlen(ids.container) <= CONTAINER_ID_LEN && strlen(ids.pod) <= POD_UID_LEN);
	if (mapped_line__parse(line, &mapped)) {
		assert_true(mapped.path[0] == '/' && mapped.range.end > mapped.range.start);
		mapped__add(&file, &mapped);
		assert_int_equal(mapped__code(&file, mapped.range.end), 0);
	}
	check_pairs(copy);
	check_utf8(copy);
	free(line);
	free(text);
}

/* ---- a whole process ---------------------------------------------------------------------- */

static const char *const files[] = { "stat", "status", "cgroup", "environ", "program" };

#define FILES (sizeof(files) / sizeof(files[0]))

static void put(const char *dir, const char *name, struct slice bytes)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	if (bytes.len)
		assert_int_equal(fwrite(bytes.data, 1, bytes.len, file), bytes.len);
	fclose(file);
}

static void drop(const char *dir, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(unlink(path), 0);
}

static void check_process(const char *root)
{
	char *const exclude[] = { (char *)"/usr/sbin/*", NULL };
	const struct processes_config config = {
		.proc_root = root,
		.service_name = "fallback",
		.resource_attributes = "a=b,c=d%20e",
		.exclude_exe_globs = exclude,
	};
	struct processes *processes = processes__new(&config);
	struct attribute attribute;
	struct resource *resource;

	assert_non_null(processes);
	processes__exec(processes, PID, "/bin/given", "given");
	resource = processes__resource(processes, PID, "comm");
	assert_true(!resource == !processes__wanted(processes, PID));
	for (size_t at = 0; resource && attributes__next(&resource->attributes, &at, &attribute);) {
		fuzz__touch(attribute.key);
		if (attribute.type == ATTRIBUTE_STRING)
			fuzz__touch(attribute.string);
	}
	resource__put(resource);
	processes__free(processes);
}

/* input: of each of its files the length in two bytes, and the bytes */
void fuzz_process(struct slice in, unsigned int proto)
{
	char root[] = "/tmp/spanloom-fuzz-XXXXXX", dir[64], exe[96], program[96];
	struct reader r = reader__of(in);

	assert_non_null(mkdtemp(root));
	snprintf(dir, sizeof(dir), "%s/%d", root, PID);
	snprintf(exe, sizeof(exe), "%s/exe", dir);
	snprintf(program, sizeof(program), "%s/program", dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(symlink(program, exe), 0);
	for (size_t i = 0; i < FILES; i++) {
		size_t len = reader__be(&r, 2);

		put(dir, files[i], slice__head(r.rest, len));
		r.rest = slice__skip(r.rest, len);
	}
	check_process(root);
	for (size_t i = 0; i < FILES; i++)
		drop(dir, files[i]);
	assert_int_equal(unlink(exe), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(rmdir(root), 0);
}
