// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/inventory.h"

#include <errno.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "spanloom.skel.h"

/* Runs an iterator that writes nothing. */
static int run(const struct bpf_link *link)
{
	int fd = bpf_iter_create(bpf_link__fd(link));
	char nothing[1];
	int err = 0;

	if (fd < 0)
		return fd;
	if (read(fd, nothing, sizeof(nothing)) < 0)
		err = -errno;
	close(fd);
	return err;
}

int inventory__take(struct spanloom_bpf *skel)
{
	struct bpf_link *link = skel->links.inventory_unix;
	int err = link ? run(link) : -EOPNOTSUPP;

	skel->links.inventory_unix = NULL;
	bpf_link__destroy(link);
	bpf_program__unload(skel->progs.inventory_unix); /* it has done all that it can */
	if (!err && skel->bss->inventory_failed)
		err = -ENOMEM;
	if (!err)
		__atomic_store_n(&skel->bss->inventory_done, 1, __ATOMIC_RELEASE);
	return err;
}
