// SPDX-License-Identifier: Apache-2.0
/*
 * Which hooks are taken on which kernel, and what the user is told when something is missing.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/fake_attempt.h"
#include "user/kernel/features.h"

/* What the kernels of the lab answered. */
static const struct fake_kernel locked_6_18 = { .fentry = -EPERM, .kprobe = -ENOENT };
static const struct fake_kernel stock_6_12 = { .send_start = -ENOENT };
static const struct fake_kernel stock_6_1 = { .sock_length = -ENOENT, .send_start = -ENOENT };
static const struct fake_kernel stock_5_10 = { .sock_length = -ENOENT,
					       .send_start = -ENOENT,
					       .sk_storage_fentry = -EINVAL };
static const struct fake_kernel arm_6_1 = { .sock_length = -ENOENT,
					    .send_start = -ENOENT,
					    .fentry = -524 }; /* ENOTSUPP: no trampolines */
static const struct fake_kernel unprivileged = { .privilege = -EPERM, .ring_buffer = -EPERM };

static struct features features;
static char line[512];

static void probe(const struct fake_kernel *kernel)
{
	fake_kernel = *kernel;
	line[0] = '\0';
	features__probe(&features);
	/* Where the tests run must not matter. */
	features.feature[FEATURE_BTF].on = true;
	features.feature[FEATURE_PID_NAMESPACE].on = true;
}

static bool blocked(void)
{
	return features__blocker(&features, line, sizeof(line));
}

static void test_family(void **state)
{
	static const struct {
		const struct fake_kernel *kernel;
		enum hook_family family;
		bool sk_storage;
	} cases[] = {
		{ &locked_6_18, HOOKS_TP, true },   { &stock_6_12, HOOKS_FENTRY, true },
		{ &stock_6_1, HOOKS_FENTRY, true }, { &stock_5_10, HOOKS_FENTRY, false },
		{ &arm_6_1, HOOKS_KPROBE, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		probe(cases[i].kernel);
		assert_int_equal(features.family, cases[i].family);
		assert_int_equal(features.feature[FEATURE_SK_STORAGE].on, cases[i].sk_storage);
		assert_false(blocked());
		assert_string_equal(line, "");
	}
}

static void test_tracepoints_alone(void **state)
{
	struct fake_kernel kernel = stock_6_12;

	kernel.fentry = -EPERM;
	probe(&kernel);
	assert_int_equal(features.family, HOOKS_TP);
	/* Starts of sends are lost: that is said, with the way out. */
	assert_non_null(strstr(features.feature[FEATURE_TP_SEND_START].consequence, "timed"));
	assert_non_null(strstr(features.feature[FEATURE_TP_SEND_START].remedy, "6.16"));
	assert_non_null(features.feature[FEATURE_FENTRY].remedy);
}

static void test_spared_features_need_no_remedy(void **state)
{
	probe(&locked_6_18);
	assert_false(features.feature[FEATURE_FENTRY].on);
	assert_true(features.feature[FEATURE_FENTRY].tried);
	assert_null(features.feature[FEATURE_FENTRY].remedy);
	assert_null(features.feature[FEATURE_KPROBE].remedy);
	assert_non_null(strstr(features.feature[FEATURE_FENTRY].detail, "attach: EPERM"));
	assert_string_equal(features.feature[FEATURE_KPROBE].detail, "event source: ENOENT");
}

static void test_without_privilege(void **state)
{
	probe(&unprivileged);
	assert_int_equal(features.family, HOOKS_NONE);
	assert_false(features.feature[FEATURE_RING_BUFFER].tried);
	assert_null(features.feature[FEATURE_RING_BUFFER].remedy);
	assert_true(blocked());
	/* cause, consequence, remedy */
	assert_non_null(strstr(line, "EPERM"));
	assert_non_null(strstr(line, "nothing can be traced"));
	assert_non_null(strstr(line, "root"));
	assert_null(strchr(line, '\n'));
}

static void test_no_ring_buffer(void **state)
{
	struct fake_kernel kernel = stock_6_1;

	kernel.ring_buffer = -EINVAL;
	probe(&kernel);
	assert_true(blocked());
	assert_string_equal(line, "ring buffer: create: EINVAL: records cannot reach user space; "
				  "use Linux 5.8 or newer");
}

static void test_no_hooks(void **state)
{
	struct fake_kernel kernel = arm_6_1;

	kernel.kprobe = -ENOENT;
	probe(&kernel);
	assert_int_equal(features.family, HOOKS_NONE);
	assert_true(blocked());
	assert_non_null(strstr(line, "fentry attach: ENOTSUPP;"));
	assert_non_null(strstr(line, "kprobes event source: ENOENT"));
}

static void test_line_never_overruns(void **state)
{
	char small[16];

	probe(&unprivileged);
	assert_true(features__blocker(&features, small, sizeof(small)));
	assert_int_equal(strlen(small), sizeof(small) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_family),
		cmocka_unit_test(test_tracepoints_alone),
		cmocka_unit_test(test_spared_features_need_no_remedy),
		cmocka_unit_test(test_without_privilege),
		cmocka_unit_test(test_no_ring_buffer),
		cmocka_unit_test(test_no_hooks),
		cmocka_unit_test(test_line_never_overruns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
