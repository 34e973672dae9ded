// SPDX-License-Identifier: Apache-2.0
/* SQL texts that differ in numbers alone have one shape. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "user/protocols/sql.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct vector {
	const char *sql;
	const char *expected;
};

/* One shape for all that differs in numbers alone, and none for what does not. */
static void shapes_are_told_by_what_is_shown(void **state)
{
	static const struct vector vectors[] = {
		{ "SELECT a FROM t WHERE id = 4711", "SELECT a FROM t WHERE id = 0" },
		{ "SELECT a FROM t WHERE id=-7 LIMIT 10;", "SELECT a FROM t WHERE id=-0 LIMIT 0;" },
		{ "IN (1,22,333)", "IN (0,0,0)" },
		{ "SELECT a1, $12, 1.5, .25, 3., 0x1f, 1e10, 5e-77",
		  "SELECT a1, $12, 1.5, .25, 3., 0x1f, 1e10, 5e-0" },
		{ "'12 34' --56", "'0 0' --0" },
		{ "SELECT \"t 1\" WHERE id = 2", "SELECT \"t 1\" WHERE id = 2" },
		{ "\xc3\xa4 12\xc3\xa4 12", "\xc3\xa4 12\xc3\xa4 0" },
		{ "7", "0" },
		{ "", "" },
	};
	char room[64], shown[64], again[64];

	for (size_t i = 0; i < COUNT(vectors); i++) {
		struct slice sql = slice__str(vectors[i].sql);
		struct slice shape = sql__shape(sql, room, sizeof(room));

		assert_true(slice__eq(shape, slice__str(vectors[i].expected)));
		assert_true(slice__eq(sql__read(shape, false, again, NULL),
				      sql__read(sql, false, shown, NULL)));
	}
	/* what is longer than the room stays as it is */
	assert_string_equal(sql__shape(slice__str("id = 4711"), room, 8).data, "id = 4711");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shapes_are_told_by_what_is_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
