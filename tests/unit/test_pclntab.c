// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <errno.h>

#include "user/kernel/pclntab.h"

/* The smallest table with three functions. */
struct table {
	uint32_t magic;
	uint8_t pad[2], instruction_bytes, pointer_bytes;
	uint64_t count, files, text, names_at, units_at, files_at, pc_at, entries_at;
	char names[32];
	struct {
		uint32_t begin, facts;
	} entries[3];
	uint32_t end;
	struct {
		uint32_t begin, name;
	} facts[3];
};

static struct table table(void)
{
	static const char names[] = "\0a.first\0a.b.first\0a.last";
	struct table t = {
		.magic = 0xfffffff1,
		.instruction_bytes = 1,
		.pointer_bytes = 8,
		.count = 3,
		.names_at = offsetof(struct table, names),
		.units_at = offsetof(struct table, entries),
		.entries_at = offsetof(struct table, entries),
		.facts = { { 0, 9 }, { 0x40, 1 }, { 0x100, 19 } },
	};

	memcpy(t.names, names, sizeof(names));
	for (uint32_t i = 0; i < 3; i++) {
		t.entries[i].begin = t.facts[i].begin;
		t.entries[i].facts =
			(uint32_t)(offsetof(struct table, facts) + i * sizeof(t.facts[0]) -
				   offsetof(struct table, entries));
	}
	return t;
}

static int find(const void *bytes, size_t len, struct pclntab_function *functions, size_t count)
{
	char *copy = malloc(len ? len : 1); /* ends where the heap's guard begins */
	int err;

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	err = pclntab__find(slice__of(copy, len), functions, count);
	free(copy);
	return err;
}

static void test_functions(void **state)
{
	struct pclntab_function functions[] = {
		{ .name = "a.first" }, { .name = "a.b.first" }, { .name = "first" },
		{ .name = "a.last" },  { .name = "a.las" },
	};
	struct table t = table();

	assert_int_equal(find(&t, sizeof(t), functions, 5), 0);
	assert_true(functions[0].found && functions[1].found && functions[3].found);
	assert_false(functions[2].found || functions[4].found);
	assert_int_equal(functions[0].offset, 0x40);
	assert_int_equal(functions[1].offset, 0);
	assert_int_equal(functions[3].offset, 0x100);

	t.facts[2].begin++; /* not the facts of that entry */
	assert_int_equal(find(&t, sizeof(t), functions, 5), 0);
	assert_false(functions[3].found);
	t.magic = 0xfffffff0; /* 1.18 */
	assert_int_equal(find(&t, sizeof(t), functions, 5), 0);
	t.magic = 0xfffffffa; /* 1.16 */
	assert_int_equal(find(&t, sizeof(t), functions, 5), -EBADMSG);
}

static void test_broken_tables(void **state)
{
	struct pclntab_function functions[] = { { .name = "a.first" }, { .name = "a.last" } };
	struct table t = table();
	unsigned char *bytes = (unsigned char *)&t;

	for (size_t len = 0; len < offsetof(struct table, end); len++)
		assert_int_equal(find(&t, len, functions, 2), -EBADMSG);
	for (size_t len = offsetof(struct table, end); len < sizeof(t); len++)
		find(&t, len, functions, 2);
	for (size_t i = 0; i < sizeof(t); i++) {
		unsigned char was = bytes[i];

		for (unsigned int value = 0; value <= 0xff; value++) {
			bytes[i] = (unsigned char)value;
			find(&t, sizeof(t), functions, 2);
		}
		bytes[i] = was;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_functions),
		cmocka_unit_test(test_broken_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
