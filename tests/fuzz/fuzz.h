/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz targets: what libFuzzer runs by "make fuzz", and what the unit tests replay of
 * tests/fuzz/crashes/TARGET/.
 *
 * A target takes any input, and asserts with cmocka what must hold of it.
 */
#ifndef SPANLOOM_FUZZ_H
#define SPANLOOM_FUZZ_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "user/base/slice.h"

struct fuzz_target {
	const char *name;
	void (*run)(struct slice in, unsigned int proto);
	unsigned int proto; /* enum proto_id, of what is there for each protocol */
};

/* NULL: there are not so many; there is none of that name. */
const struct fuzz_target *fuzz__at(size_t index);
const struct fuzz_target *fuzz__find(const char *name);

/* A copy whose end ASan watches; to be freed. */
char *fuzz__copy(struct slice in);
/* Likewise, as a string. */
char *fuzz__string(struct slice in);
/* Up to @separator, which is taken off, too. */
struct slice fuzz__part(struct slice *in, char separator);
/* Reads every byte, so that ASan sees one that nobody owns. */
void fuzz__touch(struct slice in);

/* The targets.  @proto is 0 unless it says what of. */
void fuzz_parser(struct slice in, unsigned int proto);
void fuzz_flow(struct slice in, unsigned int proto);
void fuzz_classifiers(struct slice in, unsigned int proto);
void fuzz_pipeline(struct slice in, unsigned int proto);
void fuzz_events(struct slice in, unsigned int proto);
void fuzz_stream(struct slice in, unsigned int proto);
void fuzz_head(struct slice in, unsigned int proto);
void fuzz_chunks(struct slice in, unsigned int proto);
void fuzz_traces(struct slice in, unsigned int proto);
void fuzz_sql(struct slice in, unsigned int proto);
void fuzz_urls(struct slice in, unsigned int proto);
void fuzz_options(struct slice in, unsigned int proto);
void fuzz_answer(struct slice in, unsigned int proto);
void fuzz_collector(struct slice in, unsigned int proto);
void fuzz_golang(struct slice in, unsigned int proto);
void fuzz_functions(struct slice in, unsigned int proto);
void fuzz_pclntab(struct slice in, unsigned int proto);
void fuzz_cpython(struct slice in, unsigned int proto);
void fuzz_proc(struct slice in, unsigned int proto);
void fuzz_process(struct slice in, unsigned int proto);

#endif
