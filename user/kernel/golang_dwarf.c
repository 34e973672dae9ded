// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/golang_dwarf.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <dwarf.h>
#include <elfutils/libdw.h>

#include "user/kernel/elf_file.h"

#define UNITS_MAX   65536
#define ENTRIES_MAX (16u * 1024 * 1024)

/* The fields that we want, in struct golang_layout. */
static const struct wanted {
	const char *type, *field;
	size_t at;
} wanted[] = {
	{ "runtime.g", "goid", offsetof(struct golang_layout, goid) },
	{ "runtime.g", "parentGoid", offsetof(struct golang_layout, parent) },
	{ "runtime.p", "goidcache", offsetof(struct golang_layout, batch) },
	{ "net/http.persistConn", "conn", offsetof(struct golang_layout, conn) },
	{ "net/http.persistConn", "isClientConn", offsetof(struct golang_layout, shared) },
	{ "internal/poll.FD", "Sysfd", offsetof(struct golang_layout, fd) }, /* begins a netFD */
	{ "net.netFD", "family", offsetof(struct golang_layout, family) },
	{ "net/http.Request", "ctx", offsetof(struct golang_layout, context) },
};

#define WANTED (sizeof(wanted) / sizeof(wanted[0]))

static void take_field(struct golang_layout *layout, const struct wanted *want, Dwarf_Die *type)
{
	Dwarf_Attribute attribute;
	Dwarf_Word offset;
	Dwarf_Die field;
	const char *name;

	if (dwarf_child(type, &field))
		return;
	do {
		name = dwarf_diename(&field);
		if (!name || strcmp(name, want->field) != 0)
			continue;
		if (dwarf_attr(&field, DW_AT_data_member_location, &attribute) &&
		    !dwarf_formudata(&attribute, &offset) && offset < UINT16_MAX)
			memcpy((char *)layout + want->at, &(unsigned int){ (unsigned int)offset },
			       sizeof(unsigned int));
		return;
	} while (!dwarf_siblingof(&field, &field));
}

/* How many of the fields that are wanted belong to this type. */
static size_t take_type(struct golang_layout *layout, Dwarf_Die *type)
{
	const char *name;
	size_t taken = 0;

	if (dwarf_tag(type) != DW_TAG_structure_type)
		return 0;
	name = dwarf_diename(type);
	for (size_t i = 0; name && i < WANTED; i++)
		if (strcmp(name, wanted[i].type) == 0) {
			take_field(layout, &wanted[i], type);
			taken++;
		}
	return taken;
}

static void read_units(Dwarf *dwarf, struct golang_layout *layout)
{
	size_t taken = 0, entries = 0, units = 0;
	Dwarf_CU *unit = NULL;
	Dwarf_Die root, die;

	while (taken < WANTED && units++ < UNITS_MAX &&
	       !dwarf_get_units(dwarf, unit, &unit, NULL, NULL, &root, NULL)) {
		if (dwarf_child(&root, &die))
			continue;
		do
			taken += take_type(layout, &die);
		while (taken < WANTED && entries++ < ENTRIES_MAX && !dwarf_siblingof(&die, &die));
	}
}

bool golang_dwarf__layout(Elf *elf, struct golang_layout *layout)
{
	Dwarf *dwarf = NULL;

	memset(layout, 0, sizeof(*layout));
	if (!elf_file__check_debug(elf))
		dwarf = dwarf_begin_elf(elf, DWARF_C_READ, NULL);
	if (!dwarf)
		return false;
	read_units(dwarf, layout);
	dwarf_end(dwarf);
	return layout->goid != 0;
}
