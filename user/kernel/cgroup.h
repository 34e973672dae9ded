/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text of /proc/PID/cgroup -> container and pod, by the paths that Docker, containerd, CRI-O,
 * Podman and the kubelet make.  Pure.  Not supported: LXC and systemd units, which have no id.
 */
#ifndef SPANLOOM_CGROUP_H
#define SPANLOOM_CGROUP_H

#include "user/base/slice.h"

#define CONTAINER_ID_LEN 64
#define POD_UID_LEN	 36

struct cgroup_ids {
	char container[CONTAINER_ID_LEN + 1]; /* "" when not in a container */
	char pod[POD_UID_LEN + 1];	      /* "" when not in a pod, or in a static one */
};

void cgroup__ids(struct slice text, struct cgroup_ids *out);

#endif
