/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of a program's file by where they are in it: of its symbols, or of what Go's
 * runtime knows.
 */
#ifndef SPANLOOM_FUNCTIONS_H
#define SPANLOOM_FUNCTIONS_H

#include <stdbool.h>

#include <libelf.h>

#include "user/kernel/golang.h"

#define FUNCTION_BYTES 128

/* The file that was asked for last stays open.  { 0 } at first. */
struct functions {
	char path[256];
	int fd;
	Elf *elf; /* NULL: none is open */
	struct golang go;
};

/* The name of the function that the byte at @offset of the file @path is of. */
bool functions__at(struct functions *f, const char *path, uint64_t offset,
		   char name[FUNCTION_BYTES]);
void functions__close(struct functions *f);

#endif
