// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/sdk_list.h"

#include <errno.h>
#include <stdlib.h>

#include <bpf/bpf.h>

#include "user/export/printable.h"
#include "user/flow/endpoint.h"
#include "user/flow/resource.h"
#include "user/kernel/process_facts.h"
#include "user/kernel/tracer.h"
#include "user/log.h"

/* ---- the agent's side --------------------------------------------------------------------- */

static void sdk_process__set_to(struct sdk_process *process, const struct endpoint *to)
{
	char text[ENDPOINT_TEXT_BYTES];
	struct slice address = endpoint__address(to, text, sizeof(text));
	bool ip6 = slice__find(address, ':') < address.len;

	if (!address.len)
		return;
	if (!endpoint__network_type(to)) /* the path of a unix socket, which may be cut */
		snprintf(process->to, sizeof(process->to), "%.*s", (int)address.len, address.data);
	else
		snprintf(process->to, sizeof(process->to), ip6 ? "[%.*s]:%u" : "%.*s:%u",
			 (int)address.len, address.data, to->port);
}

void sdk_list__learned(struct tracer *tracer, const struct resource *process,
		       enum sdk_evidence evidence, const struct endpoint *to, bool adopted)
{
	bool relays = evidence == SDK_RELAYS;
	struct sdk_process entry = { .evidence = evidence, .adopted = adopted };
	char text[SDK_LIST_TEXT_BYTES];
	int err;

	sdk_process__set_to(&entry, to);
	err = tracer__sdk_process(tracer, process->pid, relays ? NULL : &entry);
	log_info("sdk", "pid=%u exe=%.*s: %s: %s", process->pid, (int)process->executable.len,
		 process->executable.data, sdk_list__evidence(&entry, text),
		 relays	   ? "what it exports may be others', so its calls are traced again"
		 : adopted ? "its calls are left to its SDK and give no spans here "
			     "(--sdk ignore: they give both)"
			   : "its calls give spans here, too (--sdk ignore)");
	if (err)
		log_warn("sdk", "pid=%u: %s: spanloom probes will not list it", process->pid,
			 errstr(err));
}

/* ---- the reader's side -------------------------------------------------------------------- */

static int sdk_list__add(struct sdk_list *list, __u32 pid, const struct sdk_process *process)
{
	struct sdk_listed *entry;
	char exe[PATH_MAX];

	entry = reallocarray(list->list, list->count + 1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	list->list = entry;
	entry += list->count++;
	*entry = (struct sdk_listed){ .pid = pid, .process = *process };
	printable__copy(entry->process.to, sizeof(entry->process.to),
			slice__of(process->to, strnlen(process->to, sizeof(process->to))));
	process_facts__exe("/proc", pid, exe);
	printable__copy(entry->exe, sizeof(entry->exe), slice__str(exe));
	return 0;
}

static int sdk_listed__compare(const void *a, const void *b)
{
	const struct sdk_listed *left = a, *right = b;

	return (left->pid > right->pid) - (left->pid < right->pid);
}

int sdk_list__read(struct sdk_list *list, int map_fd)
{
	struct sdk_process process;
	__u32 pid, *last = NULL;
	int err = 0;

	while (!err && !bpf_map_get_next_key(map_fd, last, &pid)) {
		last = &pid;
		/* one that ends meanwhile is left out */
		if (!bpf_map_lookup_elem(map_fd, &pid, &process))
			err = sdk_list__add(list, pid, &process);
	}
	if (list->count)
		qsort(list->list, list->count, sizeof(*list->list), sdk_listed__compare);
	return err;
}

void sdk_list__free(struct sdk_list *list)
{
	free(list->list);
	*list = (struct sdk_list){ 0 };
}

const char *sdk_list__evidence(const struct sdk_process *process, char out[SDK_LIST_TEXT_BYTES])
{
	switch (process->evidence) {
	case SDK_EXPORTS:
		snprintf(out, SDK_LIST_TEXT_BYTES, "exports OTLP traces%s%s",
			 process->to[0] ? " to " : "", process->to);
		break;
	case SDK_RELAYS:
		snprintf(out, SDK_LIST_TEXT_BYTES, "receives OTLP traces");
		break;
	case SDK_CONTINUES:
		snprintf(out, SDK_LIST_TEXT_BYTES, "sends traceparent headers of its own");
		break;
	default:
		snprintf(out, SDK_LIST_TEXT_BYTES, "not known");
		break;
	}
	return out;
}
