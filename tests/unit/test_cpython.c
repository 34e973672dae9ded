// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "user/kernel/cpython.h"

#define START 0x7f0000000000

static void test_minor(void **state)
{
	static const struct {
		const char *path;
		unsigned int minor;
	} cases[] = {
		{ "/usr/bin/python3.11", 11 },
		{ "/usr/bin/python3.8 (deleted)", 8 },
		{ "/usr/lib/x86_64-linux-gnu/libpython3.13.so.1.0", 13 },
		{ "/usr/lib/x86_64-linux-gnu/libpython3.13.so", 13 },
		{ "/usr/lib/libpython3.13t.so.1.0", 0 },
		{ "/usr/lib/libpython3.11d.so.1.0", 0 },
		{ "/usr/lib/libpython3.so", 0 },
		{ "/usr/bin/python3.13t", 0 },
		{ "/usr/bin/python3.11-config", 0 },
		{ "/usr/bin/python3", 0 },
		{ "/usr/bin/python3.", 0 },
		{ "/usr/bin/python3.99999999999999999999", 0 },
		{ "/usr/bin/python2.7", 0 },
		{ "/srv/python3.11/server", 0 },
		{ "python3.11", 0 },
		{ "", 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(cpython__minor(cases[i].path), cases[i].minor);
}

static void test_lines(void **state)
{
	static const char *const refused[] = {
		"",
		"\n",
		"7f00-7f10 r-xp",
		"7f00-7f10 r-xp 0 08:01 5",
		"7f00-7f10 r-xp 0 08:01 5 \n",
		"7f00-7f10 r-xp 0 00:00 0 [heap]\n",
		"7f10-7f10 r-xp 0 08:01 5 /bin/x\n",
		"7f10-7f00 r-xp 0 08:01 5 /bin/x\n",
		"x-y r-xp 0 08:01 5 /bin/x\n",
	};
	char text[] =
		"7f0000001000-7f0000003000 r-xp 00002000 103:02 77   /a b/python3.11 (deleted)\n";
	struct mapped_line line;
	char copy[128];

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		memcpy(copy, refused[i], strlen(refused[i]) + 1);
		assert_false(mapped_line__parse(copy, &line));
	}
	assert_true(mapped_line__parse(text, &line));
	assert_int_equal(line.range.start, 0x7f0000001000);
	assert_int_equal(line.range.end, 0x7f0000003000);
	assert_int_equal(line.range.offset, 0x2000);
	assert_true(line.range.code);
	assert_int_equal(line.dev, makedev(0x103, 2));
	assert_int_equal(line.inode, 77);
	assert_string_equal(line.path, "/a b/python3.11 (deleted)");
}

static struct mapped_line range(uint64_t inode, uint64_t start, uint64_t size, bool code)
{
	return (struct mapped_line){
		.dev = 1,
		.inode = inode,
		.range = { start, start + size, start - START, code },
	};
}

static void test_ranges(void **state)
{
	struct mapped_line lines[] = {
		range(5, START, 0x1000, false),
		range(5, START + 0x1000, 0x1000, true),
		range(6, START + 0x2000, 0x1000, true),
		range(5, START + 0x4000, 0x1000, false),
	};
	struct mapped file = { 0 };

	for (size_t i = 0; i < 4; i++)
		mapped__add(&file, &lines[i]);
	assert_int_equal(file.count, 3);
	assert_int_equal(mapped__code(&file, START + 0x1234), 0x1234);
	assert_int_equal(mapped__code(&file, START + 0xfff), 0);
	assert_int_equal(mapped__code(&file, START + 0x2000), 0);
	assert_int_equal(mapped__code(&file, START + 0x4000), 0);
	for (int i = 0; i < 2 * MAPPED_RANGES; i++)
		mapped__add(&file, &lines[0]);
	assert_int_equal(file.count, MAPPED_RANGES);
}

/* What lies between two ranges is not read, and what cannot be read is an error. */
static void test_image(void **state)
{
	struct mapped file = { .count = 2 };
	int memory = memfd_create("memory", 0);
	unsigned char *image;
	size_t len = 0;

	assert_true(memory >= 0);
	assert_int_equal(pwrite(memory, "abcdefgh", 8, 0), 8);
	file.range[0] = (struct mapped_range){ .start = 0, .end = 2 };
	file.range[1] = (struct mapped_range){ .start = 6, .end = 8 };
	image = mapped__read(&file, memory, &len);
	assert_non_null(image);
	assert_int_equal(len, 8);
	assert_memory_equal(image, "ab\0\0\0\0gh", 8);
	free(image);
	file.range[1].end = 9;
	assert_null(mapped__read(&file, memory, &len));
	assert_int_equal(errno, ENOEXEC);
	file.range[0].start = 8; /* not in order */
	assert_null(mapped__read(&file, memory, &len));
	file.range[1].end = UINT64_MAX;
	assert_null(mapped__read(&file, memory, &len));
	assert_int_equal(errno, EFBIG);
	close(memory);
}

static void test_methods(void **state)
{
	/* A table of methods: name, code, flags, documentation. */
	uint64_t image[16] = { 0 };
	uint64_t found[4];
	const size_t len = sizeof(image);
	unsigned char *bytes = (unsigned char *)image;

	memcpy(bytes, "set_result\0result", 18);
	image[8] = START; /* "set_result" */
	image[9] = 0xc0de;
	image[12] = START + 4; /* "result" of the same text */
	image[13] = 0xbad;
	assert_int_equal(cpython__methods(bytes, len, START, "set_result", found, 4), 1);
	assert_int_equal(found[0], 0xc0de);
	assert_int_equal(cpython__methods(bytes, len, START, "result", found, 4), 1);
	assert_int_equal(found[0], 0xbad);
	assert_int_equal(cpython__methods(bytes, len, START, "set_resul", found, 4), 0);
	assert_int_equal(cpython__methods(bytes, len, START, "set_result", found, 0), 0);
	image[15] = START; /* the last word: there is no code behind it */
	assert_int_equal(cpython__methods(bytes, len, START, "set_result", found, 4), 1);
	assert_int_equal(cpython__methods(bytes, 8, START, "set_result", found, 4), 0);
}

/* A hostile image of nothing but names must not be looked through for each of them. */
static void test_names_are_bounded(void **state)
{
	enum { NAMES = 4096, NAME = 16 };
	unsigned char *image = calloc(NAMES, NAME);
	const uint64_t method[] = { START + (NAMES - 2) * NAME, 0xc0de };
	uint64_t found[4];

	assert_non_null(image);
	for (size_t i = 0; i < NAMES; i++)
		memcpy(image + i * NAME, "set_result", 11);
	memcpy(image + (NAMES - 1) * NAME, method, sizeof(method));
	assert_int_equal(cpython__methods(image, NAMES * NAME, START, "set_result", found, 4), 0);
	assert_int_equal(cpython__methods(image + (NAMES - 2) * NAME, 2 * NAME, method[0],
					  "set_result", found, 4),
			 1);
	free(image);
}

static void test_cheap(void **state)
{
	static const struct {
		const char *code;
		size_t len;
		size_t at;
	} cases[] = {
		{ "\x55\x48\x89\xf5", 4, 0 },				   /* push */
		{ "\x41\x54\x55", 3, 0 },				   /* push %r12 */
		{ "\x48\x83\xec\x08\x48\x83\x7f\x10\x00\x74\x55", 11, 9 }, /* ... je */
		{ "\xf3\x0f\x1e\xfa\x53\x90", 6, 4 },			   /* endbr64, push */
		{ "\xf3\x0f\x1e\xfa\x48\x83\xec\x18\x48\x8b\x07", 11, 0 }, /* ... mov */
		{ "\x48\x8b\x07\x55", 4, 0 },				   /* mov */
		{ "\x48\x83\xec\x08", 4, 0 },				   /* cut */
		{ "\x48\x83\xec", 3, 0 },
		{ "\x41", 1, 0 },
		{ "", 0, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned char *code = malloc(cases[i].len + !cases[i].len);

		memcpy(code, cases[i].code, cases[i].len);
		assert_int_equal(cpython__cheap(code, cases[i].len), cases[i].at);
		free(code);
	}
}

static void test_runtime(void **state)
{
	struct process_runtime runtime;
	struct cpython python = { .minor = 7 };

	assert_int_equal(cpython__runtime(&python, false, &runtime), -ENOTSUP);
	python.minor = 14;
	assert_int_equal(cpython__runtime(&python, false, &runtime), -ENOTSUP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_minor),	cmocka_unit_test(test_lines),
		cmocka_unit_test(test_ranges),	cmocka_unit_test(test_image),
		cmocka_unit_test(test_methods), cmocka_unit_test(test_names_are_bounded),
		cmocka_unit_test(test_cheap),	cmocka_unit_test(test_runtime),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
