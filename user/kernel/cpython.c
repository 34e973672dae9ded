// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/cpython.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gelf.h>
#include <libelf.h>

#include "user/kernel/elf_file.h"

#define MAPS_LINES_MAX 65536
#define SYMBOLS_MAX    (1 << 20)
#define PAGE_BYTES     4096ULL
#define METHODS_MAX    64
#define NAMES_MAX      32 /* that are the same; each costs a look at all of the image */
#define FIRST_MINOR    8

/* Offsets in PyTypeObject, and its words in PyMethodDef, of CPython 3.8 to 3.13. */
#define TYPE_METHODS 232
#define TYPE_NEW     312
#define METHOD_NAME  0
#define METHOD_CODE  1
#define METHOD_WORDS 4

/* See enum python_at of bpf/python.bpf.h. */
enum {
	AT_KEY,
	AT_CONTEXT,
	AT_UVLOOP,
};

/* By minor version: of the key in _PyRuntime.autoTSSkey, behind its flag, and of the member
 * "context" in PyThreadState; measured with each version's own headers on x86-64. */
static const struct layout {
	uint32_t key;
	uint32_t context;
} layouts[] = {
	{ 1392 + 4, 240 }, /* 3.8 */
	{ 584 + 4, 240 },  /* 3.9 */
	{ 584 + 4, 240 },  /* 3.10 */
	{ 592 + 4, 224 },  /* 3.11 */
	{ 1544 + 4, 208 }, /* 3.12 */
	{ 2160 + 4, 208 }, /* 3.13 */
};

/* A symbol that is looked for. */
struct symbol {
	const char *name;
	uint64_t address; /* as linked; 0: not found */
};

/* ---- the process ------------------------------------------------------------------------ */

unsigned int cpython__minor(const char *path)
{
	const char *name = strrchr(path, '/');
	unsigned long minor;
	bool library;
	char *end;

	if (!name)
		return 0;
	name++;
	library = strncmp(name, "lib", 3) == 0;
	if (library)
		name += 3;
	if (strncmp(name, "python3.", 8) != 0 || name[8] < '0' || name[8] > '9')
		return 0;
	minor = strtoul(name + 8, &end, 10);
	if (minor > 99 || (library ? strncmp(end, ".so", 3) != 0 : *end && *end != ' '))
		return 0;
	return (unsigned int)minor;
}

static bool is_module(const char *path, const char *begins)
{
	const char *at = strstr(path, begins);

	return at && !strchr(at + strlen(begins), '/') && strstr(at, ".so");
}

/* A library comes behind the small program that loads it, and takes its place. */
static void take_line(struct cpython *python, const struct mapped_line *line)
{
	struct mapped *interpreter = &python->file[CPYTHON_INTERPRETER];
	unsigned int minor = cpython__minor(line->path);

	if (minor) {
		if (line->range.offset == 0 && line->inode != interpreter->inode) {
			interpreter->count = 0;
			python->minor = minor;
		}
		mapped__add(interpreter, line);
	} else if (is_module(line->path, "/_asyncio.")) {
		mapped__add(&python->file[CPYTHON_ASYNCIO], line);
	} else if (is_module(line->path, "/uvloop/loop.")) {
		mapped__add(&python->file[CPYTHON_UVLOOP], line);
	}
}

int cpython__locate(uint32_t pid, struct cpython *python)
{
	struct mapped_line line;
	char path[64], text[4352];
	FILE *maps;

	memset(python, 0, sizeof(*python));
	python->pid = pid;
	snprintf(path, sizeof(path), "/proc/%u/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		return -errno;
	for (int i = 0; i < MAPS_LINES_MAX && fgets(text, sizeof(text), maps); i++)
		if (mapped_line__parse(text, &line))
			take_line(python, &line);
	fclose(maps);
	return python->minor ? 0 : -ENOENT;
}

static int open_of(uint32_t pid, const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* 0: it is not there. */
static uint64_t word_at(int memory, uint64_t address)
{
	uint64_t word;

	return pread(memory, &word, sizeof(word), (off_t)address) == sizeof(word) ? word : 0;
}

/* ---- the file --------------------------------------------------------------------------- */

static void match_symbols(Elf *elf, Elf_Scn *section, const GElf_Shdr *shdr, struct symbol *symbols,
			  size_t count)
{
	Elf_Data *data = elf_getdata(section, NULL);
	GElf_Sym sym;

	for (int i = 0; data && i < SYMBOLS_MAX && gelf_getsym(data, i, &sym); i++) {
		const char *name = elf_strptr(elf, shdr->sh_link, sym.st_name);

		for (size_t j = 0; name && sym.st_shndx != SHN_UNDEF && j < count; j++)
			if (strcmp(name, symbols[j].name) == 0)
				symbols[j].address = sym.st_value;
	}
}

/* The address as linked of what stands first in the file; UINT64_MAX: it is not known. */
static uint64_t first_address(Elf *elf)
{
	size_t count;
	GElf_Phdr p;

	if (elf_getphdrnum(elf, &count))
		return UINT64_MAX;
	for (size_t i = 0; i < count; i++)
		if (gelf_getphdr(elf, (int)i, &p) && p.p_type == PT_LOAD && p.p_offset < PAGE_BYTES)
			return p.p_vaddr & ~(PAGE_BYTES - 1);
	return UINT64_MAX;
}

static int read_symbols(Elf *elf, uint32_t type, uint64_t *first, struct symbol *symbols,
			size_t count)
{
	Elf_Scn *section = NULL;
	GElf_Shdr shdr;

	if (elf_kind(elf) != ELF_K_ELF)
		return -ENOEXEC;
	*first = first_address(elf);
	/* there is one of each kind */
	while ((section = elf_nextscn(elf, section)) &&
	       !(gelf_getshdr(section, &shdr) && shdr.sh_type == type))
		;
	if (section && shdr.sh_entsize)
		match_symbols(elf, section, &shdr, symbols, count);
	for (size_t i = 0; i < count; i++)
		if (!symbols[i].address)
			return -ENOEXEC;
	return *first == (uint64_t)-1 ? -ENOEXEC : 0;
}

/* Finds all @symbols, in the section of @type, at their addresses in the process. */
static int find_symbols(const struct cpython *python, enum cpython_file which, uint32_t type,
			struct symbol *symbols, size_t count)
{
	const struct mapped *file = &python->file[which];
	uint64_t first = 0;
	char path[96];
	Elf *elf;
	int fd, err;

	if (file->range[0].offset != 0)
		return -ENOEXEC;
	mapped__path(file, python->pid, path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	elf = elf_file__open(fd);
	err = elf ? read_symbols(elf, type, &first, symbols, count) : -errno;
	elf_end(elf);
	close(fd);
	for (size_t i = 0; !err && i < count; i++)
		symbols[i].address += file->range[0].start - first;
	return err;
}

/* ---- what to watch ---------------------------------------------------------------------- */

/* Nothing happens when @address is no code: the count will tell. */
static void add(struct cpython_probes *probes, const struct mapped *file, const char *program,
		uint64_t address, bool at_return)
{
	uint64_t offset = mapped__code(file, address);

	if (offset && probes->count < CPYTHON_PROBES_MAX)
		probes->probe[probes->count++] =
			(struct cpython_probe){ program, offset, at_return };
}

static uint64_t word_of(const unsigned char *image, size_t at)
{
	uint64_t word;

	memcpy(&word, image + at, sizeof(word));
	return word;
}

size_t cpython__methods(const unsigned char *image, size_t len, uint64_t start, const char *name,
			uint64_t *addresses, size_t max)
{
	const size_t name_len = strlen(name) + 1, word = sizeof(uint64_t);
	const unsigned char *at = image, *found;
	size_t count = 0;

	for (int n = 0; n < NAMES_MAX && count < max; n++) {
		uint64_t address;

		found = memmem(at, len - (size_t)(at - image), name, name_len);
		if (!found)
			break;
		address = start + (uint64_t)(found - image);

		for (size_t i = 0; i + 2 * word <= len && count < max; i += word)
			if (word_of(image, i) == address)
				addresses[count++] = word_of(image, i + word);
		at = found + 1;
	}
	return count;
}

/* The length of an instruction that leaves the first argument alone, but makes the kernel step
 * through it; 0: another one. */
static size_t stepped(const unsigned char *code, size_t len)
{
	static const struct {
		unsigned char bytes[4];
		size_t known, len;
	} instructions[] = {
		{ { 0xf3, 0x0f, 0x1e, 0xfa }, 4, 4 }, /* endbr64 */
		{ { 0x48, 0x83, 0xec }, 3, 4 },	      /* sub $n,%rsp */
		{ { 0x48, 0x83, 0x7f }, 3, 5 },	      /* cmpq $n,m(%rdi) */
	};

	for (size_t i = 0; i < sizeof(instructions) / sizeof(instructions[0]); i++)
		if (len > instructions[i].len &&
		    memcmp(code, instructions[i].bytes, instructions[i].known) == 0)
			return instructions[i].len;
	return 0;
}

static bool is_emulated(const unsigned char *code, size_t len)
{
	if (len > 1 && code[0] == 0x41) /* push %r8 and up */
		return code[1] >= 0x50 && code[1] <= 0x57;
	return len && ((code[0] >= 0x50 && code[0] <= 0x57) || /* push */
		       (code[0] >= 0x70 && code[0] <= 0x7f));  /* je and so on */
}

size_t cpython__cheap(const unsigned char *code, size_t len)
{
	size_t at = 0, step;

	while ((step = stepped(code + at, len - at)))
		at += step;
	return is_emulated(code + at, len - at) ? at : 0;
}

/* The code of the method "copy" of the type at @type. */
static uint64_t copy_of(int memory, uint64_t type)
{
	uint64_t methods = word_at(memory, type + TYPE_METHODS);
	static const char copy[] = "copy";
	char name[sizeof(copy)];

	for (uint64_t i = 0; methods && i < METHODS_MAX; i++) {
		uint64_t method = methods + i * METHOD_WORDS * sizeof(uint64_t);
		uint64_t at = word_at(memory, method + METHOD_NAME * sizeof(uint64_t));

		if (!at || pread(memory, name, sizeof(name), (off_t)at) != sizeof(name))
			return 0;
		if (memcmp(name, copy, sizeof(copy)) == 0)
			return word_at(memory, method + METHOD_CODE * sizeof(uint64_t));
	}
	return 0;
}

/* First what makes contexts that nothing is known of: what is known of the others is out of date
 * when such a one takes their place. */
static int interpreter_probes(const struct cpython *python, int memory,
			      struct cpython_probes *probes)
{
	const struct mapped *file = &python->file[CPYTHON_INTERPRETER];
	struct symbol symbols[] = {
		{ "PyContext_Type", 0 },
		{ "PyContext_New", 0 },
		{ "PyContext_Copy", 0 },
		{ "PyContext_CopyCurrent", 0 },
	};
	int err;

	err = find_symbols(python, CPYTHON_INTERPRETER, SHT_DYNSYM, symbols, 4);
	if (err)
		return err;
	add(probes, file, "python_makes", word_at(memory, symbols[0].address + TYPE_NEW), true);
	add(probes, file, "python_makes", copy_of(memory, symbols[0].address), true);
	add(probes, file, "python_makes", symbols[1].address, true);
	add(probes, file, "python_makes", symbols[2].address, true);
	add(probes, file, "python_copies", symbols[3].address, true);
	return probes->count == 5 ? 0 : -EAGAIN;
}

/* The types of futures and of tasks have a method of that name each; what else the name stands
 * before is no code. */
static int asyncio_probes(const struct mapped *file, int memory, struct cpython_probes *probes)
{
	uint64_t addresses[CPYTHON_PROBES_MAX];
	unsigned char *image;
	size_t len, count;

	image = mapped__read(file, memory, &len);
	if (!image)
		return -errno;
	count = cpython__methods(image, len, file->range[0].start, "set_result", addresses,
				 CPYTHON_PROBES_MAX);
	for (size_t i = 0; i < count; i++) {
		uint64_t at = addresses[i] - file->range[0].start;

		if (at < len)
			add(probes, file, "python_resolves",
			    addresses[i] + cpython__cheap(image + at, len - at), false);
	}
	free(image);
	return probes->count ? 0 : -EAGAIN;
}

static int uvloop_probes(const struct cpython *python, struct cpython_probes *probes)
{
	const struct mapped *file = &python->file[CPYTHON_UVLOOP];
	struct symbol symbols[] = {
		{ "__pyx_f_6uvloop_4loop___uv_stream_on_read", 0 },
		{ "__pyx_f_6uvloop_4loop___uv_stream_buffered_on_read", 0 },
	};
	int err;

	err = find_symbols(python, CPYTHON_UVLOOP, SHT_SYMTAB, symbols, 2);
	for (size_t i = 0; !err && i < 2; i++) {
		add(probes, file, "python_reads_end", symbols[i].address, true);
		add(probes, file, "python_reads_begin", symbols[i].address, false);
	}
	return err ? err : probes->count == 4 ? 0 : -EAGAIN;
}

int cpython__probes(const struct cpython *python, enum cpython_file file,
		    struct cpython_probes *probes)
{
	int memory = open_of(python->pid, "mem");
	int err;

	memset(probes, 0, sizeof(*probes));
	if (memory < 0)
		return memory;
	if (file == CPYTHON_INTERPRETER)
		err = interpreter_probes(python, memory, probes);
	else if (file == CPYTHON_ASYNCIO)
		err = asyncio_probes(&python->file[file], memory, probes);
	else
		err = uvloop_probes(python, probes);
	close(memory);
	return err;
}

bool cpython__supported(void)
{
#ifdef __x86_64__
	return true;
#else
	return false;
#endif
}

int cpython__runtime(const struct cpython *python, bool uvloop, struct process_runtime *runtime)
{
	struct symbol symbol = { "_PyRuntime", 0 };
	const struct layout *layout;
	int err;

	if (!cpython__supported() || python->minor < FIRST_MINOR ||
	    python->minor - FIRST_MINOR >= sizeof(layouts) / sizeof(layouts[0]))
		return -ENOTSUP;
	layout = &layouts[python->minor - FIRST_MINOR];
	err = find_symbols(python, CPYTHON_INTERPRETER, SHT_DYNSYM, &symbol, 1);
	if (err)
		return err;
	*runtime = (struct process_runtime){ .kind = RUNTIME_PYTHON };
	runtime->at[AT_KEY] = symbol.address + layout->key;
	runtime->at[AT_CONTEXT] = layout->context;
	runtime->at[AT_UVLOOP] = uvloop;
	return 0;
}
