// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "user/kernel/cgroup.h"

#define ID  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID2 "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define UID "11111111-2222-3333-4444-555555555555"

static void test_cgroup(void **state)
{
	static const struct {
		const char *text;
		const char *container;
		const char *pod;
	} cases[] = {
		{ "", "", "" },
		{ "garbage", "", "" },
		{ "0::/\n", "", "" },
		{ "0::/system.slice/docker-" ID ".scope", ID, "" },
		{ "0::/docker/" ID "\n", ID, "" },
		{ "0::/docker/" ID "/init.scope\n", ID, "" },
		{ "0::/machine.slice/libpod-" ID ".scope/container\n", ID, "" },
		{ "0::/machine.slice/libpod-conmon-" ID ".scope\n", "", "" },
		{ "0::/x/crio-conmon-" ID ".scope\n", "", "" },
		{ "0::/kubepods/burstable/pod" UID "/" ID "\n", ID, UID },
		{ "0::/kubepods/pod" UID "/" ID "/child\n", ID, UID },
		{ "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod"
		  "11111111_2222_3333_4444_555555555555.slice/crio-" ID ".scope\n",
		  ID, UID },
		{ "0::/kubelet/kubepods/pod0123456789abcdef0123456789abcdef/" ID, ID, "" },
		{ "0::/system.slice/containerd.service/kubepods-burstable-pod"
		  "11111111_2222_3333_4444_555555555555.slice:cri-containerd:" ID,
		  ID, "" },
		/* nested: the innermost */
		{ "0::/docker/" ID2 "/kubelet/kubepods/pod" UID "/" ID "\n", ID, UID },
		/* v1: memory is better than none, cpu better, kubepods best */
		{ "9:memory:/docker/" ID2 "\n3:cpu,cpuacct:/docker/" ID "\n1:name=systemd:/\n", ID,
		  "" },
		{ "9:memory:/docker/" ID "\n3:cpuset:/docker/" ID2 "\n0::/\n", ID, "" },
		/* no ids */
		{ "0::/system.slice/" ID "0\n", "", "" },
		{ "0::/system.slice/x" ID "\n", "", "" },
		{ "0::/lxc/web\n", "", "" },
		{ "0::/kubepods/podgggggggg-2222-3333-4444-555555555555/\n", "", "" },
		{ "0::/machine.slice/pod" UID "/\n", "", "" },
	};
	struct cgroup_ids ids;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cgroup__ids(slice__str(cases[i].text), &ids);
		if (strcmp(ids.container, cases[i].container) != 0 ||
		    strcmp(ids.pod, cases[i].pod) != 0)
			fail_msg("%s: container %s pod %s", cases[i].text, ids.container, ids.pod);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cgroup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
