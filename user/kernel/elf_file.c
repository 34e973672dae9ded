// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/elf_file.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gelf.h>

#include "user/base/slice.h"

#define SECTIONS_MAX  1024
#define SYMBOLS_BYTES (48u << 20) /* of all names and symbols */
#define DEBUG_BYTES   (64u << 20) /* of all that libdw unpacks */

/* What libelf reads as a whole when a name or a symbol is asked for. */
static bool is_table(uint32_t type)
{
	return type == SHT_STRTAB || type == SHT_SYMTAB || type == SHT_DYNSYM;
}

/* Adds @more to *@sum.  False: it is more than @max. */
static bool add(uint64_t *sum, uint64_t more, uint64_t max)
{
	return !__builtin_add_overflow(*sum, more, sum) && *sum <= max;
}

/* 0 or a negative errno. */
static int check_sections(int fd, const Elf64_Ehdr *elf)
{
	uint64_t bytes = 0;
	Elf64_Shdr section;

	/* 0: their number is in the first of them, as it is too high for here */
	if (elf->e_shnum == 0 || elf->e_shnum > SECTIONS_MAX)
		return -EFBIG;
	for (unsigned int i = 0; i < elf->e_shnum; i++) {
		uint64_t at;

		if (__builtin_add_overflow(elf->e_shoff, i * sizeof(section), &at) ||
		    at > INT64_MAX ||
		    pread(fd, &section, sizeof(section), (off_t)at) != sizeof(section))
			return -EBADMSG;
		if (!is_table(section.sh_type))
			continue;
		if (section.sh_flags & SHF_COMPRESSED || /* libelf would unpack it */
		    !add(&bytes, section.sh_size, SYMBOLS_BYTES))
			return -EFBIG;
	}
	return 0;
}

static int check(int fd)
{
	const unsigned char order =
		__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
	Elf64_Ehdr elf;
	struct stat st;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode) ||
	    pread(fd, &elf, sizeof(elf), 0) != sizeof(elf) ||
	    memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0 || elf.e_ident[EI_CLASS] != ELFCLASS64 ||
	    elf.e_ident[EI_DATA] != order || elf.e_shentsize != sizeof(Elf64_Shdr))
		return -EBADMSG;
	return check_sections(fd, &elf);
}

Elf *elf_file__open(int fd)
{
	int err = check(fd);
	Elf *elf = NULL;

	if (!err) {
		elf_version(EV_CURRENT);
		elf = elf_begin(fd, ELF_C_READ, NULL);
		err = elf ? 0 : -EBADMSG;
	}
	errno = -err;
	return elf;
}

/* How long it is unpacked; UINT64_MAX: it does not say, or says it as no linker does any more. */
static uint64_t unpacked_size(Elf_Scn *section, const GElf_Shdr *header, const char *name)
{
	GElf_Chdr packed;

	if (strncmp(name, ".zdebug", 7) == 0)
		return UINT64_MAX;
	if (!(header->sh_flags & SHF_COMPRESSED))
		return header->sh_size;
	return gelf_getchdr(section, &packed) ? packed.ch_size : UINT64_MAX;
}

int elf_file__check_debug(Elf *elf)
{
	Elf_Scn *section = NULL;
	uint64_t bytes = 0;
	GElf_Shdr header;
	size_t names;

	if (elf_getshdrstrndx(elf, &names))
		return -EBADMSG;
	while ((section = elf_nextscn(elf, section))) {
		const char *name = gelf_getshdr(section, &header)
					   ? elf_strptr(elf, names, header.sh_name)
					   : NULL;

		if (!name || header.sh_type == SHT_NOBITS || !strstr(name, "debug"))
			continue;
		if (strcmp(name, ".gnu_debugaltlink") == 0)
			return -ENOTSUP;
		if (!add(&bytes, unpacked_size(section, &header, name), DEBUG_BYTES))
			return -EFBIG;
	}
	return 0;
}
