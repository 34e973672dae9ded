// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/golang.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/kernel/process_facts.h"
#include "user/log.h"

#define SECTIONS_MAX	  512
#define SECTION_NAMES_MAX (64 * 1024)
#define SEGMENTS_MAX	  64
#define SYMBOLS_AT_ONCE	  1024
#define SYMBOLS_MAX	  (4 * 1024 * 1024)
#define BUILDINFO_BYTES	  128 /* the head, the length and the version */
#define BUILDINFO_MAGIC	  "\xff Go buildinf:"
#define BUILDINFO_HEAD	  32
#define BUILDINFO_FLAGS	  15
#define BUILDINFO_INLINE  2 /* since 1.18 the version stands in the section itself */
#define AUXV_MAX	  64
#define SLICE_BYTES	  24 /* of Go's: pointer, length, capacity */

/* See enum go_at of bpf/go.bpf.h. */
enum {
	AT_TLS,
	AT_GOID,
	AT_PARENT,
	AT_COUNTER,
	AT_ALLP,
	AT_BATCH,
};

/* Offsets of g.goid, g.parentGoid (since 1.21) and p.goidcache, which p.goidcacheend follows, on
 * 64-bit machines, as seen in programs of these versions.  0: not known. */
static const struct layout {
	unsigned int minor, goid, parent, batch;
} layouts[] = {
	{ 19, 152, 0, 0 },
	{ 23, 160, 280, 0 },
	{ 26, 152, 280, 384 },
};

/* A file being read. */
struct elf {
	int fd;
	Elf64_Ehdr head;
	Elf64_Shdr *sections;
	char *names;
	size_t names_len;
};

static bool read_at(int fd, void *buf, size_t len, uint64_t offset)
{
	return offset <= INT64_MAX && pread(fd, buf, len, (off_t)offset) == (ssize_t)len;
}

int golang__minor(struct slice section)
{
	const struct slice magic = SLICE(BUILDINFO_MAGIC), name = SLICE("go1.");
	struct slice version = slice__skip(section, BUILDINFO_HEAD);
	size_t len;
	int64_t minor;

	if (!slice__starts(section, magic) || version.len < 1 ||
	    !(section.data[BUILDINFO_FLAGS] & BUILDINFO_INLINE))
		return -EBADMSG;
	len = (unsigned char)version.data[0];
	version = slice__skip(version, 1);
	if (len >= 0x80) /* two bytes or more: longer than any version */
		return -EBADMSG;
	version = slice__head(version, len);
	if (version.len != len || !slice__starts(version, name))
		return -EBADMSG;
	version = slice__skip(version, name.len);
	for (len = 0; len < version.len && version.data[len] >= '0' && version.data[len] <= '9';)
		len++;
	minor = slice__number(slice__head(version, len));
	return len && minor >= 0 && minor <= INT_MAX ? (int)minor : -EBADMSG;
}

/* ---- the file --------------------------------------------------------------------------- */

static bool elf__read_names(struct elf *elf)
{
	const Elf64_Shdr *table = &elf->sections[elf->head.e_shstrndx];

	elf->names_len = table->sh_size < SECTION_NAMES_MAX ? table->sh_size : SECTION_NAMES_MAX;
	if (!elf->names_len)
		return false;
	elf->names = malloc(elf->names_len);
	if (!elf->names || !read_at(elf->fd, elf->names, elf->names_len, table->sh_offset))
		return false;
	elf->names[elf->names_len - 1] = '\0';
	return true;
}

static int elf__open(struct elf *elf, int fd)
{
	size_t size;
	struct stat st;

	memset(elf, 0, sizeof(*elf));
	elf->fd = fd;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) ||
	    !read_at(fd, &elf->head, sizeof(elf->head), 0) ||
	    memcmp(elf->head.e_ident, ELFMAG, SELFMAG) != 0 ||
	    elf->head.e_ident[EI_CLASS] != ELFCLASS64 ||
	    elf->head.e_ident[EI_DATA] != ELFDATA2LSB ||
	    elf->head.e_shentsize != sizeof(Elf64_Shdr) || elf->head.e_shnum > SECTIONS_MAX ||
	    elf->head.e_shstrndx >= elf->head.e_shnum)
		return -EBADMSG;
	size = elf->head.e_shnum * sizeof(Elf64_Shdr);
	elf->sections = malloc(size);
	if (!elf->sections)
		return -ENOMEM;
	if (!read_at(fd, elf->sections, size, elf->head.e_shoff) || !elf__read_names(elf))
		return -EBADMSG;
	return 0;
}

static void elf__close(struct elf *elf)
{
	free(elf->sections);
	free(elf->names);
}

/* NULL: none of that name. */
static const Elf64_Shdr *elf__section(const struct elf *elf, const char *name)
{
	for (unsigned int i = 0; i < elf->head.e_shnum; i++)
		if (elf->sections[i].sh_name < elf->names_len &&
		    strcmp(elf->names + elf->sections[i].sh_name, name) == 0)
			return &elf->sections[i];
	return NULL;
}

/* Variables of a thread lie below the thread pointer; a single one of 8 bytes right below. */
static bool elf__has_lone_g(const struct elf *elf)
{
	Elf64_Phdr segment;

	if (elf->head.e_phentsize != sizeof(segment) || elf->head.e_phnum > SEGMENTS_MAX)
		return false;
	for (unsigned int i = 0; i < elf->head.e_phnum; i++) {
		if (!read_at(elf->fd, &segment, sizeof(segment),
			     elf->head.e_phoff + i * sizeof(segment)))
			return false;
		if (segment.p_type == PT_TLS)
			return segment.p_memsz == sizeof(uint64_t) &&
			       segment.p_align <= sizeof(uint64_t);
	}
	return false;
}

static bool elf__symbol_is(const struct elf *elf, const Elf64_Shdr *strings, const Elf64_Sym *sym,
			   const char *name, size_t size)
{
	char text[32];

	return sym->st_name < strings->sh_size && strings->sh_size - sym->st_name >= size &&
	       size <= sizeof(text) &&
	       read_at(elf->fd, text, size, strings->sh_offset + sym->st_name) &&
	       memcmp(text, name, size) == 0;
}

/* By their sizes only few symbols are worth a look at the name. */
static void elf__match(const struct elf *elf, const Elf64_Shdr *strings, const Elf64_Sym *sym,
		       struct golang *go)
{
	static const char allp[] = "runtime.allp", sched[] = "runtime.sched";

	if (ELF64_ST_TYPE(sym->st_info) != STT_OBJECT)
		return;
	if (sym->st_size == SLICE_BYTES && !go->allp &&
	    elf__symbol_is(elf, strings, sym, allp, sizeof(allp)))
		go->allp = sym->st_value;
	else if (sym->st_size > 256 && sym->st_size < 64 * 1024 && !go->sched &&
		 elf__symbol_is(elf, strings, sym, sched, sizeof(sched)))
		go->sched = sym->st_value;
}

static int elf__find_symbols(const struct elf *elf, struct golang *go)
{
	const Elf64_Shdr *table = elf__section(elf, ".symtab");
	const Elf64_Shdr *strings = elf__section(elf, ".strtab");
	uint64_t count;
	Elf64_Sym *symbols;

	if (!table || !strings)
		return 0;
	symbols = malloc(SYMBOLS_AT_ONCE * sizeof(*symbols));
	if (!symbols)
		return -ENOMEM;
	count = table->sh_size / sizeof(*symbols);
	if (count > SYMBOLS_MAX || table->sh_offset > INT64_MAX)
		count = 0;
	for (uint64_t i = 0; i < count && !(go->allp && go->sched); i += SYMBOLS_AT_ONCE) {
		uint64_t n = count - i < SYMBOLS_AT_ONCE ? count - i : SYMBOLS_AT_ONCE;

		if (!read_at(elf->fd, symbols, n * sizeof(*symbols),
			     table->sh_offset + i * sizeof(*symbols)))
			break;
		for (uint64_t j = 0; j < n; j++)
			elf__match(elf, strings, &symbols[j], go);
	}
	free(symbols);
	return 0;
}

static int read_elf(const struct elf *elf, struct golang *go)
{
	const Elf64_Shdr *info = elf__section(elf, ".go.buildinfo");
	char text[BUILDINFO_BYTES];
	size_t len;
	int minor;

	if (!info)
		return -ENOENT;
	len = info->sh_size < sizeof(text) ? info->sh_size : sizeof(text);
	if (!read_at(elf->fd, text, len, info->sh_offset))
		return -EBADMSG;
	minor = golang__minor(slice__of(text, len));
	if (minor < 0)
		return minor;
	go->minor = (unsigned int)minor;
	go->entry = elf->head.e_entry;
	go->g_below_thread_pointer = elf__has_lone_g(elf);
	return elf__find_symbols(elf, go);
}

int golang__read(int fd, struct golang *go)
{
	struct elf elf;
	int err;

	memset(go, 0, sizeof(*go));
	err = elf__open(&elf, fd);
	if (!err)
		err = read_elf(&elf, go);
	elf__close(&elf);
	return err;
}

/* ---- the process ------------------------------------------------------------------------ */

int golang__runtime(const struct golang *go, uint64_t bias, struct process_runtime *runtime)
{
	const struct layout *l = layouts;

	memset(runtime, 0, sizeof(*runtime));
	runtime->kind = RUNTIME_GO;
	while (l->minor != go->minor)
		if (++l == layouts + sizeof(layouts) / sizeof(layouts[0]))
			return -ENOTSUP;
#if defined(__x86_64__)
	if (!go->g_below_thread_pointer)
		return -ENOTSUP;
#endif
	runtime->at[AT_TLS] = sizeof(uint64_t);
	runtime->at[AT_GOID] = l->goid;
	if (!l->parent || !l->batch || !go->sched || !go->allp)
		return 0;
	runtime->at[AT_PARENT] = l->parent;
	runtime->at[AT_COUNTER] = go->sched + bias; /* the first field of runtime.sched */
	runtime->at[AT_ALLP] = go->allp + bias;
	runtime->at[AT_BATCH] = l->batch;
	return 0;
}

/* Where the program's first instruction is in memory; 0: not known. */
static uint64_t read_entry(const char *dir)
{
	Elf64_auxv_t auxv[AUXV_MAX];
	char path[PATH_MAX];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "%s/auxv", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	len = read(fd, auxv, sizeof(auxv));
	close(fd);
	for (size_t i = 0; len > 0 && i < (size_t)len / sizeof(auxv[0]); i++)
		if (auxv[i].a_type == AT_ENTRY)
			return auxv[i].a_un.a_val;
	return 0;
}

static int read_program(const char *dir, struct golang *go)
{
	char path[PATH_MAX];
	int fd, err;

	snprintf(path, sizeof(path), "%s/exe", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	err = golang__read(fd, go);
	close(fd);
	return err;
}

int golang__of_process(const char *proc_root, uint32_t pid, struct process_runtime *runtime)
{
	struct golang go;
	char dir[256];
	uint64_t entry;
	int err;

	if (snprintf(dir, sizeof(dir), "%s/%u", proc_root, pid) >= (int)sizeof(dir))
		return -ENAMETOOLONG;
	err = read_program(dir, &go);
	if (err)
		return err;
	entry = read_entry(dir);
	if (!entry)
		return -ESRCH;
	err = golang__runtime(&go, entry - go.entry, runtime);
	if (err)
		log_debug("golang",
			  "pid %u: the goroutines of Go 1.%u, or of this build of it, are not "
			  "known; its calls have no parents",
			  pid, go.minor);
	else if (!runtime->at[AT_PARENT])
		log_debug("golang",
			  "pid %u: Go 1.%u, %s symbols; calls of goroutines that a handler starts "
			  "have no likely parents",
			  pid, go.minor, go.allp ? "with" : "without");
	return err;
}
