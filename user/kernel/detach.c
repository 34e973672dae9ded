// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/detach.h"

#include <pthread.h>

#include <bpf/libbpf.h>

struct removal {
	size_t count;
	struct bpf_link *links[];
};

void detach__now(struct bpf_link *const *links, size_t count)
{
	for (size_t i = 0; i < count; i++)
		bpf_link__destroy(links[i]);
}

static void *run(void *arg)
{
	struct removal *removal = arg;

	detach__now(removal->links, removal->count);
	free(removal);
	return NULL;
}

/* Signals are blocked in the whole process: they come by a file descriptor. */
void detach__later(struct bpf_link *const *links, size_t count)
{
	struct removal *removal = malloc(sizeof(*removal) + count * sizeof(removal->links[0]));
	pthread_t thread;

	if (!removal) {
		detach__now(links, count);
		return;
	}
	removal->count = count;
	memcpy(removal->links, links, count * sizeof(links[0]));
	if (pthread_create(&thread, NULL, run, removal))
		run(removal);
	else
		pthread_detach(thread);
}
