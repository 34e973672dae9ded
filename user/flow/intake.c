// SPDX-License-Identifier: Apache-2.0
#include "user/flow/intake.h"

#include <stdlib.h>
#include <string.h>

#include "user/base/hash.h"
#include "user/flow/config.h"

#define PROCESSES_MAX 32768

struct intake_process {
	UT_hash_handle hh;
	uint32_t tgid;
	uint64_t missed_ns;
};

void intake__init(struct intake *intake, const struct flow_config *config)
{
	memset(intake, 0, sizeof(*intake));
	intake->config = config;
}

static void intake__drop(struct intake *intake, struct intake_process *process)
{
	HASH_DEL(intake->processes, process);
	free(process);
	intake->count--;
}

void intake__reset(struct intake *intake)
{
	while (intake->processes)
		intake__drop(intake, intake->processes);
}

static struct intake_process *intake__find(const struct intake *intake, uint32_t tgid)
{
	struct intake_process *process;

	HASH_FIND(hh, intake->processes, &tgid, sizeof(tgid), process);
	return process;
}

/* NULL: no memory, or too many. */
static struct intake_process *intake__add(struct intake *intake, uint32_t tgid)
{
	struct intake_process *process;

	if (intake->count >= PROCESSES_MAX)
		return NULL;
	process = calloc(1, sizeof(*process));
	if (!process)
		return NULL;
	process->tgid = tgid;
	HASH_ADD(hh, intake->processes, tgid, sizeof(process->tgid), process);
	if (!hash__has(&process->hh)) {
		free(process);
		return NULL;
	}
	intake->count++;
	return process;
}

void intake__miss(struct intake *intake, uint32_t tgid, uint64_t now_ns)
{
	struct intake_process *process = intake__find(intake, tgid);

	if (!process)
		process = intake__add(intake, tgid);
	if (!process)
		intake__miss_any(intake, INTAKE_ALL_ALONG);
	else if (process->missed_ns < now_ns)
		process->missed_ns = now_ns;
}

void intake__miss_any(struct intake *intake, uint64_t now_ns)
{
	if (intake->missed_ns < now_ns)
		intake->missed_ns = now_ns;
}

void intake__forget(struct intake *intake, uint32_t tgid)
{
	struct intake_process *process = intake__find(intake, tgid);

	if (process)
		intake__drop(intake, process);
}

static bool intake__is_over(const struct intake *intake, uint64_t missed_ns, uint64_t now_ns)
{
	return !missed_ns ||
	       (now_ns > missed_ns && now_ns - missed_ns >= intake->config->response_timeout_ns);
}

bool intake__is_whole(const struct intake *intake, uint32_t tgid, uint64_t now_ns)
{
	const volatile uint64_t *lost_ns = intake->config->lost_ns;
	const struct intake_process *process;

	if (!intake__is_over(intake, intake->missed_ns, now_ns) ||
	    (lost_ns && !intake__is_over(intake, *lost_ns, now_ns)))
		return false;
	process = intake__find(intake, tgid);
	return !process || intake__is_over(intake, process->missed_ns, now_ns);
}
