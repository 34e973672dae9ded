/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is short: allocations of the code under test that fail, by their number.  Unit tests
 * are linked so that malloc() and its like come here (ld --wrap); libraries have to be told.
 */
#ifndef SPANLOOM_SHORT_MEMORY_H
#define SPANLOOM_SHORT_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

enum short_memory_of {
	SHORT_OWN,     /* of all objects that the test is linked of */
	SHORT_LIBRARY, /* of a library that was given the functions below */
};

/* From now on allocation @number of these fails, counted from 1, and with @all each one after it. */
void short_memory__begin(enum short_memory_of whose, unsigned int number, bool all);
/* No more; did any fail? */
bool short_memory__end(void);

void *short_memory__malloc(size_t len);
void *short_memory__calloc(size_t count, size_t len);
void *short_memory__realloc(void *old, size_t len);
char *short_memory__strdup(const char *text);

#endif
