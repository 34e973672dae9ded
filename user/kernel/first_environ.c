// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/first_environ.h"

#include <fcntl.h>
#include <unistd.h>

#define ARGUMENTS_MAX (1u << 20)
#define VARIABLES_MAX 512
#define STRING_BYTES  4096

bool first_environ__is_gone(struct slice strings)
{
	return strings.len &&
	       (strings.data[0] == '\0' || slice__search(strings, SLICE("\0\0")) < strings.len);
}

static ssize_t read_at(int memory, uint64_t address, void *out, size_t size)
{
	return address <= INT64_MAX ? pread(memory, out, size, (off_t)address) : -1;
}

/* The variables' addresses; behind the last one there is a 0, or the array ends. */
static size_t read_pointers(int memory, uint64_t stack, uint64_t pointers[VARIABLES_MAX])
{
	uint64_t arguments;
	ssize_t len;

	if (read_at(memory, stack, &arguments, sizeof(arguments)) != sizeof(arguments) ||
	    arguments > ARGUMENTS_MAX)
		return 0;
	/* the number of arguments, they themselves, and a 0 */
	len = read_at(memory, stack + (arguments + 2) * sizeof(uint64_t), pointers,
		      VARIABLES_MAX * sizeof(*pointers));
	return len > 0 ? (size_t)len / sizeof(*pointers) : 0;
}

size_t first_environ__read(int dir, uint64_t stack, char *out, size_t size)
{
	int memory = openat(dir, "mem", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	uint64_t pointers[VARIABLES_MAX];
	size_t count, used = 0;

	if (memory < 0)
		return 0;
	count = stack ? read_pointers(memory, stack, pointers) : 0;
	for (size_t i = 0; i < count && pointers[i]; i++) {
		char text[STRING_BYTES];
		ssize_t len = read_at(memory, pointers[i], text, sizeof(text));
		struct slice string = slice__of(text, len > 0 ? (size_t)len : 0);
		size_t end = slice__find(string, '\0');

		if (end == string.len || end >= size - used ||
		    !slice__starts(string, SLICE("OTEL_")))
			continue;
		memcpy(out + used, text, end + 1);
		used += end + 1;
	}
	close(memory);
	return used;
}
