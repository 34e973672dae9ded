// SPDX-License-Identifier: Apache-2.0
/* The list of all targets; what they share. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "bpf/event.h"

static const struct fuzz_target targets[] = {
#define PROTOCOL(ID, name, depth)                                                                  \
	{ #name, fuzz_parser, PROTO_##ID }, { #name "-flow", fuzz_flow, PROTO_##ID },
#include "bpf/protocols.def"
#undef PROTOCOL
	{ "classifiers", fuzz_classifiers, 0 },
	{ "pipeline", fuzz_pipeline, 0 },
	{ "events", fuzz_events, 0 },
	{ "stream", fuzz_stream, 0 },
	{ "head", fuzz_head, 0 },
	{ "chunks", fuzz_chunks, 0 },
	{ "traces", fuzz_traces, 0 },
	{ "sql", fuzz_sql, 0 },
	{ "urls", fuzz_urls, 0 },
	{ "options", fuzz_options, 0 },
	{ "answer", fuzz_answer, 0 },
	{ "collector", fuzz_collector, 0 },
	{ "golang", fuzz_golang, 0 },
	{ "functions", fuzz_functions, 0 },
	{ "pclntab", fuzz_pclntab, 0 },
	{ "cpython", fuzz_cpython, 0 },
	{ "proc", fuzz_proc, 0 },
	{ "process", fuzz_process, 0 },
};

const struct fuzz_target *fuzz__at(size_t index)
{
	return index < sizeof(targets) / sizeof(targets[0]) ? &targets[index] : NULL;
}

const struct fuzz_target *fuzz__find(const char *name)
{
	const struct fuzz_target *target;

	for (size_t i = 0; (target = fuzz__at(i)); i++)
		if (strcmp(target->name, name) == 0)
			return target;
	return NULL;
}

char *fuzz__copy(struct slice in)
{
	char *copy = malloc(in.len ? in.len : 1);

	assert_non_null(copy);
	if (in.len)
		memcpy(copy, in.data, in.len);
	return copy;
}

char *fuzz__string(struct slice in)
{
	char *copy = malloc(in.len + 1);

	assert_non_null(copy);
	if (in.len)
		memcpy(copy, in.data, in.len);
	copy[in.len] = '\0';
	return copy;
}

struct slice fuzz__part(struct slice *in, char separator)
{
	struct slice part = slice__head(*in, slice__find(*in, separator));

	*in = slice__skip(*in, part.len + 1);
	return part;
}

void fuzz__touch(struct slice in)
{
	volatile const char *at = in.data;

	for (size_t i = 0; i < in.len; i++)
		(void)at[i];
}
