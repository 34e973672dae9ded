// SPDX-License-Identifier: Apache-2.0
/* What collectors answer, and what of it is printed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "proto/otlp.pb-c.h"
#include "user/export/otlp.h"
#include "user/export/printable.h"

#define MIB (1024 * 1024)

static struct slice answer_bytes(char *out, size_t room, int64_t rejected, const char *message)
{
	Otlp__PartialSuccess partial = OTLP__PARTIAL_SUCCESS__INIT;
	Otlp__Response response = OTLP__RESPONSE__INIT;

	partial.rejected_spans = rejected;
	partial.error_message.data = (uint8_t *)message;
	partial.error_message.len = strlen(message);
	response.partial_success = &partial;
	assert_true(otlp__response__get_packed_size(&response) <= room);
	return slice__of(out, otlp__response__pack(&response, (uint8_t *)out));
}

static void test_answer(void **state)
{
	struct otlp_answer answer;
	char bytes[1024];
	char message[601];

	assert_int_equal(otlp__decode_answer(SLICE(""), &answer), 0);
	assert_int_equal(answer.rejected_spans, 0);
	assert_string_equal(answer.message, "");
	assert_int_equal(otlp__decode_answer(answer_bytes(bytes, sizeof(bytes), 3,
							  "bad\x1b[31m\nid\xff\xc2\x9b"),
					     &answer),
			 0);
	assert_int_equal(answer.rejected_spans, 3);
	assert_string_equal(answer.message, "bad [31m id? ");
	memset(message, 'm', sizeof(message) - 1);
	message[sizeof(message) - 1] = '\0';
	assert_int_equal(
		otlp__decode_answer(answer_bytes(bytes, sizeof(bytes), -1, message), &answer), 0);
	assert_int_equal(answer.rejected_spans, -1);
	assert_int_equal(strlen(answer.message), sizeof(answer.message) - 1);
}

static void test_hostile_answer(void **state)
{
	struct otlp_answer answer;
	char *body = calloc(1, 5 * MIB);
	char bytes[64];
	struct slice valid;

	assert_non_null(body);
	assert_int_equal(otlp__decode_answer(SLICE("<html>hello</html>"), &answer), -EBADMSG);
	/* no longer than what is read of an answer */
	assert_int_equal(otlp__decode_answer(slice__of(body, 5 * MIB), &answer), -EBADMSG);
	/* millions of unknown fields of two bytes */
	for (size_t i = 0; i < 4 * MIB; i += 2)
		body[i] = 0x78;
	assert_int_equal(otlp__decode_answer(slice__of(body, 4 * MIB), &answer), -EBADMSG);
	/* every cut, and every change of one byte */
	valid = answer_bytes(bytes, sizeof(bytes), 300, "some message");
	for (size_t len = 0; len < valid.len; len++) {
		memcpy(body, valid.data, len);
		(void)otlp__decode_answer(slice__of(body, len), &answer);
	}
	for (size_t at = 0; at < valid.len; at++) {
		for (int c = 0; c < 256; c++) {
			memcpy(body, valid.data, valid.len);
			body[at] = (char)c;
			(void)otlp__decode_answer(slice__of(body, valid.len), &answer);
		}
	}
	free(body);
}

static void test_printable(void **state)
{
	char out[8];

	printable__copy(out, sizeof(out), SLICE("caf\xc3\xa9\xc3\xa9\xc3\xa9"));
	assert_string_equal(out, "caf\xc3\xa9\xc3\xa9"); /* not half a character */
	printable__copy(out, sizeof(out), SLICE("a\0\x7f\r\n"));
	assert_string_equal(out, "a    ");
	printable__copy(out, 1, SLICE("a"));
	assert_string_equal(out, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_hostile_answer),
		cmocka_unit_test(test_printable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
