// SPDX-License-Identifier: Apache-2.0
#include "user/root_log.h"

#include "user/flow/resource.h"
#include "user/flow/root.h"
#include "user/log.h"

void root_log__first(void *unused, const struct resource *process, enum ledger_entry cause)
{
	struct slice name = root__name(cause);

	log_debug("link", "pid=%u exe=%.*s: calls without a parent: %s (spanloom.root=%.*s)",
		  process->pid, (int)process->executable.len, process->executable.data,
		  root__text(cause), (int)name.len, name.data);
}
