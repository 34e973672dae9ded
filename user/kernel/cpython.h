/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPython in a process: where the kernel programs find the current context, and which functions
 * of CPython and of uvloop they have to watch.  bpf/python.bpf.h tells what for.
 */
#ifndef SPANLOOM_CPYTHON_H
#define SPANLOOM_CPYTHON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/event.h"
#include "user/kernel/mapped.h"

#define CPYTHON_PROBES_MAX 8

/* The files that have functions to watch. */
enum cpython_file {
	CPYTHON_INTERPRETER, /* the program, or libpython */
	CPYTHON_ASYNCIO,     /* its module of that name */
	CPYTHON_UVLOOP,
	CPYTHON_FILES,
};

struct cpython {
	uint32_t pid;
	unsigned int minor; /* of Python 3.x, as the interpreter's name says */
	struct mapped file[CPYTHON_FILES];
};

/* A function, and the program of bpf/python.bpf.c that runs with it. */
struct cpython_probe {
	const char *program;
	uint64_t offset; /* in the file */
	bool at_return;
};

struct cpython_probes {
	size_t count;
	struct cpython_probe probe[CPYTHON_PROBES_MAX]; /* to be attached in this order */
};

/* The x of "python3.x" and "libpython3.x.so"; 0: neither.  A letter behind it names a build of
 * another layout. */
unsigned int cpython__minor(const char *path);

/* Where @name, of a type's or a module's method, has its code; of several methods the first
 * @max.  @image is mapped at @start.  The number of addresses. */
size_t cpython__methods(const unsigned char *image, size_t len, uint64_t start, const char *name,
			uint64_t *addresses, size_t max);

/*
 * How far behind the beginning of a function's @code a probe is cheap and finds the first argument
 * as it was: where the kernel can do what the instruction does.  It steps through others, which
 * takes it ten times as long on a virtual machine.
 */
size_t cpython__cheap(const unsigned char *code, size_t len);

/* What @pid has loaded.  0, -ENOENT when there is no CPython, or another negative errno. */
int cpython__locate(uint32_t pid, struct cpython *python);

/*
 * What to watch in one of the files, which is there.
 *	0
 *	-EAGAIN		it is still being loaded
 *	-ENOEXEC	it is not what its name says
 *	another errno	it cannot be read
 */
int cpython__probes(const struct cpython *python, enum cpython_file file,
		    struct cpython_probes *probes);

/* Is it known on this processor where threads keep their state? */
bool cpython__supported(void);

/* -ENOTSUP: the layout of this version is not known.  @uvloop: its probes are in place. */
int cpython__runtime(const struct cpython *python, bool uvloop, struct process_runtime *runtime);

#endif
