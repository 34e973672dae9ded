// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/short_memory.h"

#include <stdlib.h>
#include <string.h>

static struct {
	enum short_memory_of whose;
	unsigned int number; /* 0: none fails */
	bool all;
	unsigned int done;
	bool failed;
} fault;

void *__real_malloc(size_t len);
void *__real_calloc(size_t count, size_t len);
void *__real_realloc(void *old, size_t len);

void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t count, size_t len);
void *__wrap_realloc(void *old, size_t len);

void short_memory__begin(enum short_memory_of whose, unsigned int number, bool all)
{
	fault.whose = whose;
	fault.number = number;
	fault.all = all;
	fault.done = 0;
	fault.failed = false;
}

bool short_memory__end(void)
{
	fault.number = 0;
	return fault.failed;
}

static bool fails(enum short_memory_of whose)
{
	if (!fault.number || whose != fault.whose || ++fault.done < fault.number ||
	    (fault.done > fault.number && !fault.all))
		return false;
	fault.failed = true;
	return true;
}

void *short_memory__malloc(size_t len)
{
	return fails(SHORT_LIBRARY) ? NULL : __real_malloc(len);
}

void *short_memory__calloc(size_t count, size_t len)
{
	return fails(SHORT_LIBRARY) ? NULL : __real_calloc(count, len);
}

void *short_memory__realloc(void *old, size_t len)
{
	return fails(SHORT_LIBRARY) ? NULL : __real_realloc(old, len);
}

char *short_memory__strdup(const char *text)
{
	return fails(SHORT_LIBRARY) ? NULL : strdup(text);
}

void *__wrap_malloc(size_t len)
{
	return fails(SHORT_OWN) ? NULL : __real_malloc(len);
}

void *__wrap_calloc(size_t count, size_t len)
{
	return fails(SHORT_OWN) ? NULL : __real_calloc(count, len);
}

void *__wrap_realloc(void *old, size_t len)
{
	return fails(SHORT_OWN) ? NULL : __real_realloc(old, len);
}
