// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "user/flow/ledger.h"

static void each_entry_has_its_own_name(void **unused)
{
	for (int i = 0; i < LEDGER_ENTRIES; i++) {
		assert_string_not_equal(ledger__name(i), "unknown");
		for (int j = 0; j < i; j++)
			assert_string_not_equal(ledger__name(i), ledger__name(j));
	}
}

static void a_number_out_of_range_has_a_name_too(void **unused)
{
	assert_string_equal(ledger__name(LEDGER_ENTRIES), "unknown");
	assert_string_equal(ledger__name((enum ledger_entry) - 1), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_entry_has_its_own_name),
		cmocka_unit_test(a_number_out_of_range_has_a_name_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
