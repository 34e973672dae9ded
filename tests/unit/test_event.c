// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "user/flow/event.h"

#define TOO_FAR ((1ULL << 62) + 1)

static void test_type_of_what_is_too_short(void **state)
{
	const struct event_hdr hdr = { .type = EVENT_CLOSE };

	assert_int_equal(event__type(&hdr, sizeof(hdr)), EVENT_CLOSE);
	assert_int_equal(event__type(&hdr, sizeof(hdr) - 1), 0);
	assert_int_equal(event__type(NULL, 0), 0);
}

static void test_strings_end(void **state)
{
	struct event_process process = {
		.hdr = { .type = EVENT_PROCESS, .len = sizeof(process) },
	};
	struct event_conn conn = { .hdr = { .type = EVENT_CONN, .len = sizeof(conn) } };
	struct event_view view;

	memset(process.comm, 'c', sizeof(process.comm));
	memset(process.path, 'p', sizeof(process.path));
	assert_int_equal(event__view(&process, sizeof(process), &view), 0);
	assert_int_equal(strlen(view.process.comm), EVENT_COMM_LEN - 1);
	assert_int_equal(strlen(view.process.path), EVENT_PATH_LEN - 1);
	memset(conn.comm, 'c', sizeof(conn.comm));
	memset(conn.path, 'p', sizeof(conn.path));
	assert_int_equal(event__view(&conn, sizeof(conn), &view), 0);
	assert_int_equal(strlen(view.conn.comm), EVENT_COMM_LEN - 1);
	assert_int_equal(strlen(view.conn.path), EVENT_PATH_LEN - 1);
}

static void test_what_no_kernel_says(void **state)
{
	struct event_conn conn = { .hdr = { .type = EVENT_CONN, .len = sizeof(conn) } };
	struct event_data data = { .hdr = { .type = EVENT_DATA, .len = sizeof(data) } };
	struct event_view view;

	assert_int_equal(event__view(&conn, sizeof(conn) - 1, &view), -EBADMSG);
	conn.pos[1] = TOO_FAR;
	assert_int_equal(event__view(&conn, sizeof(conn), &view), -EBADMSG);
	conn.pos[1] = 0;
	conn.hdr.type = UINT32_MAX;
	assert_int_equal(event__view(&conn, sizeof(conn), &view), -EBADMSG);
	assert_int_equal(event__view(&data, sizeof(data), &view), 0);
	data.pos = TOO_FAR;
	assert_int_equal(event__view(&data, sizeof(data), &view), -EBADMSG);
	data.pos = 0;
	data.captured = 1; /* and there is no byte behind it */
	assert_int_equal(event__view(&data, sizeof(data), &view), -EBADMSG);
}

static void test_no_enum_is_passed(void **state)
{
	const struct event_context good = {
		.hdr = { .type = EVENT_CONTEXT, .len = sizeof(good) },
		.ref = REF_HEADER,
		.dir = DIR_RECV,
		.carrier = CARRIER_OPTION,
	};
	struct event_context context = good;
	struct event_view view;

	assert_int_equal(event__view(&context, sizeof(context), &view), 0);
	context.ref++;
	assert_int_equal(event__view(&context, sizeof(context), &view), -EBADMSG);
	context = good;
	context.dir++;
	assert_int_equal(event__view(&context, sizeof(context), &view), -EBADMSG);
	context = good;
	context.carrier++;
	assert_int_equal(event__view(&context, sizeof(context), &view), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_type_of_what_is_too_short),
		cmocka_unit_test(test_strings_end),
		cmocka_unit_test(test_what_no_kernel_says),
		cmocka_unit_test(test_no_enum_is_passed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
