// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/functions.h"

#include <fcntl.h>
#include <unistd.h>

#include <gelf.h>

#include "user/export/printable.h"
#include "user/kernel/elf_file.h"

void functions__close(struct functions *f)
{
	if (!f->elf)
		return;
	elf_end(f->elf);
	close(f->fd);
	f->elf = NULL;
}

static void functions__open(struct functions *f, const char *path)
{
	if (strcmp(f->path, path) == 0)
		return;
	functions__close(f);
	snprintf(f->path, sizeof(f->path), "%s", path);
	memset(&f->go, 0, sizeof(f->go));
	f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (f->fd < 0)
		return;
	if (golang__read(f->fd, &f->go))
		f->go.probe_count = 0;
	f->elf = elf_file__open(f->fd);
	if (!f->elf)
		close(f->fd);
}

/* As linked; 0: no code is loaded from there. */
static uint64_t address_of(Elf *elf, uint64_t offset)
{
	GElf_Phdr segment;

	for (int i = 0; gelf_getphdr(elf, i, &segment); i++)
		if (segment.p_type == PT_LOAD && segment.p_flags & PF_X &&
		    offset - segment.p_offset < segment.p_filesz)
			return offset - segment.p_offset + segment.p_vaddr;
	return 0;
}

/* The name of the function at @address by the table @section; NULL: it has none. */
static const char *symbol_at(Elf *elf, Elf_Scn *section, const GElf_Shdr *header, uint64_t address)
{
	Elf_Data *data = elf_getdata(section, NULL);
	GElf_Sym symbol;

	for (int i = 0; data && gelf_getsym(data, i, &symbol); i++)
		if (GELF_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_shndx != SHN_UNDEF &&
		    address - symbol.st_value < symbol.st_size)
			return elf_strptr(elf, header->sh_link, symbol.st_name);
	return NULL;
}

bool functions__at(struct functions *f, const char *path, uint64_t offset,
		   char name[FUNCTION_BYTES])
{
	Elf_Scn *section = NULL;
	const char *found = NULL;
	GElf_Shdr header;
	uint64_t address;

	functions__open(f, path);
	for (unsigned int i = 0; i < f->go.probe_count && !found; i++)
		if (f->go.probes[i].offset == offset)
			found = f->go.probes[i].function;
	address = f->elf && !found ? address_of(f->elf, offset) : 0;
	while (address && !found && (section = elf_nextscn(f->elf, section)))
		if (gelf_getshdr(section, &header) &&
		    (header.sh_type == SHT_SYMTAB || header.sh_type == SHT_DYNSYM))
			found = symbol_at(f->elf, section, &header, address);
	if (found)
		printable__copy(name, FUNCTION_BYTES, slice__str(found));
	return found;
}
