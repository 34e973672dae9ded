// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/fake_attempt.h"

#include <errno.h>

#include "user/kernel/attempt.h"
#include "user/kernel/tcp_option.h"

struct fake_kernel fake_kernel;

static int answer(struct attempt *a, const char *step, int err)
{
	a->step = step;
	return err;
}

void attempt__init(struct attempt *a)
{
	memset(a, 0, sizeof(*a));
}

void attempt__reset(struct attempt *a)
{
	a->step = NULL;
}

int attempt__privilege(struct attempt *a)
{
	return answer(a, "load", fake_kernel.privilege);
}

int attempt__ring_buffer(struct attempt *a)
{
	return answer(a, "create", fake_kernel.ring_buffer);
}

int attempt__tracepoint(struct attempt *a, const char *name)
{
	bool start = strcmp(name, "tcp_sendmsg_locked") == 0;

	return answer(a, "load", start ? fake_kernel.send_start : fake_kernel.sock_length);
}

int attempt__tracepoint_attach(struct attempt *a, const char *name)
{
	return attempt__tracepoint(a, name);
}

int attempt__function(struct attempt *a, const char *name)
{
	return answer(a, "attach", fake_kernel.fentry);
}

int attempt__kprobe(struct attempt *a, const char *name)
{
	return answer(a, "event source", fake_kernel.kprobe);
}

int attempt__sk_storage(struct attempt *a, enum hook_family family)
{
	switch (family) {
	case HOOKS_TP:
		return answer(a, "load", fake_kernel.sk_storage_tp);
	case HOOKS_FENTRY:
		return answer(a, "load", fake_kernel.sk_storage_fentry);
	default:
		return answer(a, "helper", -EOPNOTSUPP);
	}
}

enum injection_state injection__probe(char *detail, size_t len)
{
	snprintf(detail, len, "state %u", fake_kernel.injection);
	return fake_kernel.injection;
}

/* Where the tests run must not matter. */
int injection__open_cgroups(void)
{
	return -ENOENT;
}

int tcp_option__probe(char *detail, size_t len)
{
	snprintf(detail, len, "answer %d", fake_kernel.tcp_option);
	return fake_kernel.tcp_option;
}
