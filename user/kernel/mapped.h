/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file as a process has it mapped: where, and what of the file an address is.  What /proc tells
 * and what stands in the process's memory are hostile.
 */
#ifndef SPANLOOM_MAPPED_H
#define SPANLOOM_MAPPED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAPPED_RANGES 16

struct mapped_range {
	uint64_t start;
	uint64_t end;
	uint64_t offset; /* in the file */
	bool code;
};

struct mapped {
	uint64_t dev; /* these two name the file */
	uint64_t inode;
	size_t count; /* 0: no such file */
	struct mapped_range range[MAPPED_RANGES];
};

/* One line of /proc/PID/maps. */
struct mapped_line {
	uint64_t dev;
	uint64_t inode;
	struct mapped_range range;
	const char *path; /* in the line, NUL-terminated */
};

/* Cuts @line.  False: not of a file. */
bool mapped_line__parse(char *line, struct mapped_line *out);

/* Takes the range, when it is of this file (or the first one), and there is room. */
void mapped__add(struct mapped *file, const struct mapped_line *line);

/* The offset in the file of the code at @address; 0: there is none. */
uint64_t mapped__code(const struct mapped *file, uint64_t address);

/* Path of the file, for as long as @pid lives. */
void mapped__path(const struct mapped *file, uint32_t pid, char *path, size_t size);

/* All of the file's ranges as they are in the memory of the process, what lies between them as
 * zeroes; @memory is /proc/PID/mem.  Caller frees.  NULL: errno. */
unsigned char *mapped__read(const struct mapped *file, int memory, size_t *len);

#endif
