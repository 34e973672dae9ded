// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/tcp_option.h"

#include <errno.h>
#include <unistd.h>

#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "user/kernel/injection_probe.h"
#include "user/log.h"

int tcp_option__probe(char *detail, size_t len)
{
	int cgroups = injection__open_cgroups(), found;

	if (cgroups < 0) {
		snprintf(detail, len, "cgroup v2 is not mounted: %s", errstr(cgroups));
		return cgroups;
	}
	close(cgroups);
	found = libbpf_probe_bpf_helper(BPF_PROG_TYPE_SOCK_OPS, BPF_FUNC_reserve_hdr_opt, NULL);
	if (found == 1) {
		snprintf(detail, len, "programs may write options of their own");
		return 0;
	}
	snprintf(detail, len, "programs may not write options of their own");
	return found ? found : -EOPNOTSUPP;
}

struct bpf_link *tcp_option__attach(const struct bpf_program *socket)
{
	int cgroups = injection__open_cgroups();
	struct bpf_link *link;

	if (cgroups < 0) {
		errno = -cgroups;
		return NULL;
	}
	link = bpf_program__attach_cgroup(socket, cgroups);
	close(cgroups); /* the link holds the group */
	return link;
}
