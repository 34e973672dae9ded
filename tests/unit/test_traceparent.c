// SPDX-License-Identifier: Apache-2.0
/* traceparent and tracestate: every row of the official W3C test suite that one value can tell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bpf/traceparent.h"
#include "user/flow/tracestate.h"

#define T      "12345678901234567890123456789012"
#define P      "1234567890123456"

#define T_ZERO "00000000000000000000000000000000"
#define P_ZERO "0000000000000000"

struct parent_case {
	const char *value;
	int valid;
	int flags;
};

static const struct parent_case parent_cases[] = {
	{ "00-" T "-" P "-01", 1, 1 },
	{ "00-" T "-" P "-00", 1, 0 },
	{ "00-" T "-" P "-02", 1, 2 },
	{ "00-" T "-" P "-ff", 1, 3 },
	{ "00-" T "-" P "-01.", 0, 0 },
	{ "00-" T "-" P "-01-what-the-future-will-be-like", 0, 0 },
	{ "cc-" T "-" P "-01", 1, 1 },
	{ "cc-" T "-" P "-01-", 1, 1 },
	{ "cc-" T "-" P "-01-what-the-future-will-be-like", 1, 1 },
	{ "cc-" T "-" P "-01.what-the-future-will-be-like", 0, 0 },
	{ "ff-" T "-" P "-01", 0, 0 },
	{ ".0-" T "-" P "-01", 0, 0 },
	{ "0.-" T "-" P "-01", 0, 0 },
	{ "000-" T "-" P "-01", 0, 0 },
	{ "0000-" T "-" P "-01", 0, 0 },
	{ "0-" T "-" P "-01", 0, 0 },
	{ "00-" T_ZERO "-" P "-01", 0, 0 },
	{ "00-" T "3-" P "-01", 0, 0 },
	{ "00-1234567890123456789012345678901-" P "-01", 0, 0 },
	{ "00-.2345678901234567890123456789012-" P "-01", 0, 0 },
	{ "00-1234567890123456789012345678901.-" P "-01", 0, 0 },
	{ "00-" T "-" P_ZERO "-01", 0, 0 },
	{ "00-" T "-" P "7-01", 0, 0 },
	{ "00-" T "-123456789012345-01", 0, 0 },
	{ "00-" T "-.234567890123456-01", 0, 0 },
	{ "00-" T "-123456789012345.-01", 0, 0 },
	{ "00-" T "-" P "-.0", 0, 0 },
	{ "00-" T "-" P "-0.", 0, 0 },
	{ "00-" T "-" P "-001", 0, 0 },
	{ "00-" T "-" P "-1", 0, 0 },
	{ "00-1234567890123456789012345678901A-" P "-01", 0, 0 },
	{ "00-" T "-123456789012345F-01", 0, 0 },
	{ "00-" T "-" P "-0A", 0, 0 },
	{ "CC-" T "-" P "-01", 0, 0 },
	{ "00_" T "-" P "-01", 0, 0 },
	{ "00-" T "_" P "-01", 0, 0 },
	{ "00-" T "-" P "_01", 0, 0 },
	{ "", 0, 0 },
};

static void test_parent(void **unused)
{
	for (size_t i = 0; i < sizeof(parent_cases) / sizeof(parent_cases[0]); i++) {
		const struct parent_case *c = &parent_cases[i];
		unsigned int len = (unsigned int)strlen(c->value);
		char *exact = malloc(len + 1); /* so that ASan sees a read behind the value */
		struct traceparent out;

		assert_non_null(exact);
		exact = realloc(exact, len ? len : 1);
		memcpy(exact, c->value, len);
		if (traceparent_parse(exact, len, &out) != c->valid)
			fail_msg("\"%s\"", c->value);
		if (c->valid) {
			static const uint8_t trace[16] = { 0x12, 0x34, 0x56, 0x78, 0x90, 0x12,
							   0x34, 0x56, 0x78, 0x90, 0x12, 0x34,
							   0x56, 0x78, 0x90, 0x12 };

			assert_int_equal(out.flags, c->flags);
			assert_memory_equal(out.trace_id, trace, 16);
			assert_memory_equal(out.parent_id, trace, 8);
		}
		free(exact);
	}
}

static void test_parent_every_length(void **unused)
{
	static const char value[] = "cc-" T "-" P "-01-x";
	struct traceparent out;

	for (unsigned int len = 0; len < sizeof(value) - 1; len++)
		assert_int_equal(traceparent_parse(value, len, &out), len >= TRACEPARENT_LEN);
}

struct state_case {
	const char *in;
	const char *out;
};

#define KEY_CHARS "abcdefghijklmnopqrstuvwxyz0123456789_-*/@"
#define VALUE_CHARS                                                                                \
	" !\"#$%&'()*+-./0123456789:;<>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ"                               \
	"[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"
#define Z16  "zzzzzzzzzzzzzzzz"
#define Z64  Z16 Z16 Z16 Z16
#define Z128 Z64 Z64
#define Z256 Z128 Z128
#define M4   "a=1,b=2,c=3,d=4"
#define M8   M4 ",e=5,f=6,g=7,h=8"
#define M16  M8 ",i=1,j=2,k=3,l=4,m=5,n=6,o=7,p=8"
#define M32  M16 ",q=1,r=2,s=3,t=4,u=5,v=6,w=7,x=8,y=1,z=2,0=3,1=4,2=5,3=6,4=7,5=8"

static const struct state_case state_cases[] = {
	{ "foo=1", "foo=1" },
	{ "foo=1,bar=2", "foo=1,bar=2" },
	{ "foo=1,bar=2,rojo=1,congo=2,baz=3", "foo=1,bar=2,rojo=1,congo=2,baz=3" },
	{ "", "" },
	{ ",", "" },
	{ "foo=1,", "foo=1" },
	{ ",foo=1", "foo=1" },
	{ "foo=1,foo=1", "foo=1" },
	{ "foo=1,foo=2", "foo=1" },
	{ KEY_CHARS "=" VALUE_CHARS, KEY_CHARS "=" VALUE_CHARS },
	{ "foo=1 \t , \t bar=2, \t baz=3", "foo=1,bar=2,baz=3" },
	{ "foo=1\t \t,\t \tbar=2,\t \tbaz=3", "foo=1,bar=2,baz=3" },
	{ " foo=1", "foo=1" },
	{ "\tfoo=1", "foo=1" },
	{ "foo=1 ", "foo=1" },
	{ "foo=1\t", "foo=1" },
	{ "\t foo=1 \t", "foo=1" },
	{ "foo= 1", "foo= 1" },
	{ "foo =1", "" },
	{ "FOO=1", "" },
	{ "foo.bar=1", "" },
	{ "foo@=1,bar=2", "foo@=1,bar=2" },
	{ "foo@@bar=1,bar=2", "foo@@bar=1,bar=2" },
	{ "foo@bar@baz=1,bar=2", "foo@bar@baz=1,bar=2" },
	{ "@foo=1,bar=2", "" },
	{ "0foo=1", "0foo=1" },
	{ M32, M32 },
	{ M32 ",6=1", "" },
	{ M32 ",", M32 },
	{ "foo=1," Z256 "=1", "foo=1," Z256 "=1" },
	{ "foo=1," Z256 "z=1", "" },
	{ "foo=bar=baz", "" },
	{ "foo=,bar=3", "" },
	{ "foo,bar=3", "" },
	{ "=1", "" },
	{ "foo=a\tb", "" },
	{ "foo=\x7f", "" },
	{ "foo=\xc3\xa4", "" },
	{ "foo=a\nb", "" },
	{ "foo=" Z256, "foo=" Z256 },
	{ "foo=" Z256 "z", "" },
	/* too long: long members go first, the right-most one of them before the others */
	{ "a=" Z256 ",b=" Z64 ",c=" Z256 ",d=" Z64, "a=" Z256 ",b=" Z64 ",d=" Z64 },
	{ "a=" Z64 ",b=" Z64 ",c=" Z64 ",d=" Z64 ",e=" Z64 ",f=" Z64 ",g=" Z64 ",h=" Z64,
	  "a=" Z64 ",b=" Z64 ",c=" Z64 ",d=" Z64 ",e=" Z64 ",f=" Z64 ",g=" Z64 },
};

static void test_state(void **unused)
{
	for (size_t i = 0; i < sizeof(state_cases) / sizeof(state_cases[0]); i++) {
		const struct state_case *c = &state_cases[i];
		struct arena arena;
		struct slice out;

		arena__init(&arena, 64 * 1024);
		out = tracestate__normalise(&arena, slice__str(c->in));
		if (!slice__eq(out, slice__str(c->out)))
			fail_msg("\"%s\" gives \"%.*s\"", c->in, (int)out.len, out.data);
		arena__reset(&arena);
	}
}

static void test_state_without_room(void **unused)
{
	struct arena arena;

	arena__init(&arena, 4);
	assert_int_equal(tracestate__normalise(&arena, SLICE("foo=1")).len, 0);
	arena__reset(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parent),
		cmocka_unit_test(test_parent_every_length),
		cmocka_unit_test(test_state),
		cmocka_unit_test(test_state_without_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
