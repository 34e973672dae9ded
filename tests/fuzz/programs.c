// SPDX-License-Identifier: Apache-2.0
/* Files of traced programs. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "user/kernel/cpython.h"
#include "user/kernel/functions.h"
#include "user/kernel/golang.h"
#include "user/kernel/pclntab.h"

#define METHODS_MAX 8

static int file_of(struct slice in)
{
	int fd = memfd_create("program", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, in.data, in.len), in.len);
	return fd;
}

void fuzz_golang(struct slice in, unsigned int proto)
{
	struct process_runtime runtime;
	struct golang go;
	int fd = file_of(in);
	char *copy = fuzz__copy(in);

	if (golang__read(fd, &go) == 0) {
		assert_true(go.probe_count <= GOLANG_PROBES_MAX);
		for (unsigned int i = 0; i < go.probe_count; i++)
			fuzz__touch(slice__str(go.probes[i].program));
		golang__runtime(&go, 0x1000, &runtime);
	}
	golang__minor(slice__of(copy, in.len));
	assert_true(golang__first_jump(slice__of(copy, in.len)) <= (int)in.len);
	free(copy);
	close(fd);
}

/* Its last bytes are a place to ask for, beside those where code is, as a rule. */
void fuzz_functions(struct slice in, unsigned int proto)
{
	uint64_t places[] = { 0, 0x1000, 0x1010, 0 };
	struct functions functions = {};
	char path[32], name[FUNCTION_BYTES];
	int fd = file_of(in);

	if (in.len >= sizeof(places[0]))
		memcpy(&places[3], in.data + in.len - sizeof(places[0]), sizeof(places[0]));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (functions__at(&functions, path, places[i], name))
			fuzz__touch(slice__str(name));
	functions__close(&functions);
	close(fd);
}

void fuzz_pclntab(struct slice in, unsigned int proto)
{
	struct pclntab_function functions[] = {
		{ .name = "net/http.serverHandler.ServeHTTP" },
		{ .name = "a.first" },
		{ .name = "" },
	};
	char *table = fuzz__copy(in);

	pclntab__find(slice__of(table, in.len), functions,
		      sizeof(functions) / sizeof(functions[0]));
	free(table);
}

/* The file, mapped by this process itself. */
static void watch_mapped(struct slice in)
{
	size_t page = (size_t)getpagesize(), size = (in.len + page) / page * page;
	int fd = file_of(in);
	struct cpython python = { .pid = (uint32_t)getpid(), .minor = 11 };
	struct cpython_probes probes;
	struct process_runtime runtime;
	char *at;

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	at = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_true(at != MAP_FAILED);
	for (int file = 0; file < CPYTHON_FILES; file++)
		python.file[file] = (struct mapped){
			.dev = 1,
			.inode = 1,
			.count = 1,
			.range = { { (uintptr_t)at, (uintptr_t)at + size, 0, true } },
		};
	for (int file = 0; file < CPYTHON_FILES; file++) {
		cpython__probes(&python, (enum cpython_file)file, &probes);
		assert_true(probes.count <= CPYTHON_PROBES_MAX);
		for (size_t i = 0; i < probes.count; i++)
			assert_true(probes.probe[i].offset <= size + 4096);
	}
	cpython__runtime(&python, true, &runtime);
	munmap(at, size);
	close(fd);
}

void fuzz_cpython(struct slice in, unsigned int proto)
{
	unsigned char *image = (unsigned char *)fuzz__copy(in);
	char *path = fuzz__string(in);
	uint64_t addresses[METHODS_MAX];

	assert_true(cpython__minor(path) <= 99);
	assert_true(cpython__methods(image, in.len, 0x1000, "set_result", addresses, METHODS_MAX) <=
		    METHODS_MAX);
	assert_true(cpython__cheap(image, in.len) <= in.len);
	watch_mapped(in);
	free(path);
	free(image);
}
