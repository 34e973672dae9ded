// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/pclntab.h"

#include <errno.h>

#define FUNCTIONS_MAX 64 /* of one search */
#define NOWHERE	      UINT32_MAX

/* The head: numbers of 8 bytes follow the first 8 bytes. */
enum {
	AT_MAGIC = 0,
	AT_POINTER_BYTES = 7,
	AT_COUNT = 8,
	AT_NAMES = 32,	   /* offset of the names, each of which ends with a NUL */
	AT_NAMES_END = 40, /* what follows them */
	AT_ENTRIES = 64,   /* offset of the entries, one for each function, and their facts */
	HEAD_BYTES = 72,
};

/* An entry: where the function begins, and where its facts are.  Its facts begin likewise; where
 * its name is follows. */
#define ENTRY_BYTES 8

static uint32_t le32(struct slice in, size_t at)
{
	uint32_t value = 0;

	for (size_t i = 0; i < sizeof(value) && at < in.len && i < in.len - at; i++)
		value |= (uint32_t)(unsigned char)in.data[at + i] << 8 * i;
	return value;
}

static uint64_t le64(struct slice in, size_t at)
{
	return le32(in, at) | (uint64_t)le32(in, at + 4) << 32;
}

static bool known_head(struct slice table)
{
	uint32_t magic = le32(table, AT_MAGIC);

	return table.len >= HEAD_BYTES && (magic == 0xfffffff0 || magic == 0xfffffff1) &&
	       table.data[AT_POINTER_BYTES] == 8;
}

/* Where in @names does the name stand?  NOWHERE: it does not. */
static uint32_t find_name(struct slice names, const char *name)
{
	char text[PCLNTAB_NAME_MAX + 2] = "";
	size_t len = strlen(name), at;

	if (len > PCLNTAB_NAME_MAX)
		return NOWHERE;
	memcpy(text + 1, name, len); /* between two NULs: not the end of another name */
	at = slice__search(names, slice__of(text, len + 2));
	return at < names.len && at + 1 < NOWHERE ? (uint32_t)at + 1 : NOWHERE;
}

/* The function whose entry is the one at @at. */
static void match(struct slice entries, size_t at, const uint32_t *names,
		  struct pclntab_function *functions, size_t count)
{
	uint32_t begin = le32(entries, at), facts = le32(entries, at + 4), name;

	if (facts >= entries.len || entries.len - facts < 8 || le32(entries, facts) != begin)
		return;
	name = le32(entries, facts + 4);
	if (name == NOWHERE)
		return;
	for (size_t i = 0; i < count; i++)
		if (names[i] == name) {
			functions[i].found = true;
			functions[i].offset = begin;
		}
}

int pclntab__find(struct slice table, struct pclntab_function *functions, size_t count)
{
	uint64_t functions_there = le64(table, AT_COUNT), at = le64(table, AT_NAMES);
	uint64_t end = le64(table, AT_NAMES_END);
	uint32_t names[FUNCTIONS_MAX];
	struct slice entries;

	if (!known_head(table) || count > FUNCTIONS_MAX || at > end || end > table.len ||
	    le64(table, AT_ENTRIES) > table.len)
		return -EBADMSG;
	entries = slice__skip(table, le64(table, AT_ENTRIES));
	if (functions_there > entries.len / ENTRY_BYTES)
		return -EBADMSG;
	for (size_t i = 0; i < count; i++) {
		functions[i].found = false;
		names[i] = find_name(slice__of(table.data + at, end - at), functions[i].name);
	}
	for (size_t i = 0; i < functions_there; i++)
		match(entries, i * ENTRY_BYTES, names, functions, count);
	return 0;
}
