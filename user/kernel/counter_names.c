// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/tracer.h"

static const char *const counter_names[COUNTERS] = {
	[COUNT_RECORDS] = "records",
	[COUNT_RING_FULL] = "ring.full",
	[COUNT_RING_FULL_BYTES] = "ring.full.bytes",
	[COUNT_SENDS] = "sends",
	[COUNT_RECEIVES] = "receives",
	[COUNT_NO_STATE] = "conn.no_memory",
	[COUNT_RETURN_MISSED] = "returns.missed",
	[COUNT_PROGRAMS_MISSED] = "programs.missed",
	[COUNT_NO_BUFFER_SENDFILE] = "no_buffer.sendfile",
	[COUNT_NO_BUFFER_SPLICE] = "no_buffer.splice",
	[COUNT_NO_BUFFER_IO_URING] = "no_buffer.io_uring",
	[COUNT_NO_BUFFER_COMPAT] = "no_buffer.compat",
	[COUNT_NO_BUFFER_OTHER] = "no_buffer.other",
	[COUNT_COPY_FAULT] = "copy.fault",
	[COUNT_CUT_BYTES] = "copy.cut.bytes",
	[COUNT_IOVEC_LIMIT] = "copy.iovec_limit",
	[COUNT_CONNECTIONS] = "conn.opened",
	[COUNT_BOUND] = "conn.bound",
	[COUNT_UNINTERESTING] = "conn.uninteresting",
	[COUNT_IGNORED] = "conn.ignored",
	[COUNT_CONNECT_FAILED] = "connect.failed",
	[COUNT_SERVER_SIDE] = "conn.server_side",
	[COUNT_SCOPE_FULL] = "scope.full",
	[COUNT_RUNTIME_FULL] = "runtime.full",
	[COUNT_ACTIVITY_FULL] = "activity.full",
	[COUNT_ACTIVITY_PUSHED_OUT] = "activity.pushed_out",
	[COUNT_UNSAMPLED_BYTES] = "unsampled.bytes",
	[COUNT_UNSAMPLED] = "unsampled",
	[COUNT_INJECTED] = "inject.added",
	[COUNT_INJECT_UPDATED] = "inject.updated",
	[COUNT_INJECT_ADOPTED] = "inject.adopted",
	[COUNT_INJECT_NO_CONTEXT] = "inject.no_context",
	[COUNT_INJECT_SPLIT] = "inject.split",
	[COUNT_INJECT_NO_ROOM] = "inject.no_room",
	[COUNT_INJECT_NOT_WANTED] = "inject.not_wanted",
	[COUNT_INJECT_FULL] = "inject.full",
	[COUNT_OPTION_CALLS] = "option.calls",
	[COUNT_OPTION_NO_CONTEXT] = "option.no_context",
	[COUNT_OPTION_NO_MEMORY] = "option.no_memory",
	[COUNT_OPTION_NO_ROOM] = "option.no_room",
	[COUNT_OPTION_WRITTEN] = "option.written",
	[COUNT_OPTION_READ] = "option.read",
	[COUNT_OPTION_TAKEN] = "option.taken",
};

const char *tracer__counter_name(enum counter counter)
{
	return (unsigned int)counter < COUNTERS ? counter_names[counter] : "unknown";
}
