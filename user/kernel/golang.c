// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/golang.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include <gelf.h>
#include <libelf.h>

#include "user/kernel/elf_file.h"
#include "user/kernel/golang_dwarf.h"
#include "user/kernel/pclntab.h"

#define BUILDINFO_BYTES	 128 /* the head, the length and the version */
#define BUILDINFO_MAGIC	 "\xff Go buildinf:"
#define BUILDINFO_HEAD	 32
#define BUILDINFO_FLAGS	 15
#define BUILDINFO_INLINE 2  /* since 1.18 the version stands in the section itself */
#define SLICE_BYTES	 24 /* of Go's: pointer, length, capacity */
#define PROLOGUE_BYTES	 24

/* See enum go_at of bpf/go.bpf.h. */
enum {
	AT_TLS,
	AT_GOID,
	AT_PARENT,
	AT_COUNTER,
	AT_ALLP,
	AT_BATCH,
	AT_CONN,
	AT_SHARED,
	AT_FD,
	AT_FAMILY,
	AT_CONTEXT,
};

#define REDIS8 "github.com/go-redis/redis/v8."
#define REDIS9 "github.com/redis/go-redis/v9."
#define PGX4   "github.com/jackc/pgx/v4."
#define PGX5   "github.com/jackc/pgx/v5."

static const char go_call[] = "go_call";

enum {
	SERVES_HTTP, /* and gives requests their contexts */
	SERVES_FAST,
	ROUND_TRIP,
};

/*
 * The functions that are watched, and by which program of bpf/go.bpf.c.  For go_call: methods of a
 * pointer, whose first argument is a context.Context, and which send all of a call before they
 * return.
 */
static const struct watched {
	const char *function, *program;
} watched[] = {
	[SERVES_HTTP] = { "net/http.serverHandler.ServeHTTP", "go_serve_http" },
	[SERVES_FAST] = { "github.com/valyala/fasthttp.(*Server).serveConn", NULL },
	[ROUND_TRIP] = { "net/http.(*persistConn).roundTrip", "go_round_trip" },
	{ "database/sql.(*DB).pingDC", go_call },
	{ "database/sql.(*DB).queryDC", go_call },
	{ "database/sql.(*DB).execDC", go_call },
	{ "database/sql.(*DB).prepareDC", go_call },
	{ "database/sql.(*DB).beginDC", go_call },
	{ "database/sql.(*Stmt).QueryContext", go_call },
	{ "database/sql.(*Stmt).ExecContext", go_call },
	{ PGX4 "(*Conn).Query", go_call },
	{ PGX4 "(*Conn).Exec", go_call },
	{ PGX4 "(*Conn).Prepare", go_call },
	{ PGX4 "(*Conn).SendBatch", go_call },
	{ "github.com/jackc/pgconn.(*PgConn).CopyFrom", go_call },
	{ "github.com/jackc/pgconn.(*PgConn).CopyTo", go_call },
	{ PGX5 "(*Conn).Query", go_call },
	{ PGX5 "(*Conn).Exec", go_call },
	{ PGX5 "(*Conn).Prepare", go_call },
	{ PGX5 "(*Conn).SendBatch", go_call },
	{ "github.com/jackc/pgx/v5/pgconn.(*PgConn).CopyFrom", go_call },
	{ "github.com/jackc/pgx/v5/pgconn.(*PgConn).CopyTo", go_call },
	{ REDIS8 "(*baseClient).withConn", go_call },
	{ REDIS9 "(*baseClient).withConn", go_call },
	{ REDIS9 "(*baseClient).withPipelineConn", go_call },
};

#define WATCHED (sizeof(watched) / sizeof(watched[0]))

/* These two tell where Go's code begins: the first is where the program starts, if nothing of C's
 * stands before it; the second is exported where C's code is linked in. */
#if defined(__x86_64__)
#define START "_rt0_amd64_linux"
#else
#define START "_rt0_arm64_linux"
#endif
#define EXPORTED "crosscall2"

_Static_assert(WATCHED <= GOLANG_PROBES_MAX, "every function may be there");

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

/*
 * Functions begin with a look at what is left of the stack:
 *
 *	[lea -SIZE(%rsp),%r12]  cmp 0x10(%r14),%rsp or %r12  jbe MORE
 *
 * The kernel emulates the jump; anything else it steps over with a trap.
 */
int golang__first_jump(struct slice code)
{
#if defined(__x86_64__)
	static const struct slice near = SLICE("\x4c\x8d\x64\x24"), far = SLICE("\x4c\x8d\xa4\x24");
	static const struct slice of_rsp = SLICE("\x49\x3b\x66\x10");
	static const struct slice of_r12 = SLICE("\x4d\x3b\x66\x10");
	size_t at = 0;

	if (slice__starts(code, near))
		at = near.len + 1;
	else if (slice__starts(code, far))
		at = far.len + 4;
	code = slice__skip(code, at);
	if (!slice__starts(code, at ? of_r12 : of_rsp))
		return -ENOTSUP;
	at += of_rsp.len;
	code = slice__skip(code, of_rsp.len);
	if (slice__starts(code, SLICE("\x76")) || slice__starts(code, SLICE("\x0f\x86")))
		return (int)at;
	return -ENOTSUP;
#else
	/* ldr x16, [x28, #16]: steps are cheap here */
	return slice__starts(code, SLICE("\x90\x0b\x40\xf9")) ? 0 : -ENOTSUP;
#endif
}

/* ---- the file --------------------------------------------------------------------------- */

/* A section of that name, or NULL. */
static Elf_Scn *find_section(Elf *elf, const char *name, GElf_Shdr *header)
{
	Elf_Scn *section = NULL;
	size_t names;

	if (elf_getshdrstrndx(elf, &names))
		return NULL;
	while ((section = elf_nextscn(elf, section))) {
		const char *its = gelf_getshdr(section, header)
					  ? elf_strptr(elf, names, header->sh_name)
					  : NULL;

		if (its && strcmp(its, name) == 0)
			return section;
	}
	return NULL;
}

/* What stands in it; empty when there is none.  Borrowed from @elf. */
static struct slice section_bytes(Elf *elf, const char *name)
{
	GElf_Shdr header;
	Elf_Scn *section = find_section(elf, name, &header);
	Elf_Data *data;

	if (!section || header.sh_type == SHT_NOBITS || header.sh_size > ELF_FILE_TABLE_BYTES)
		return slice__of(NULL, 0);
	data = elf_rawdata(section, NULL);
	return data && data->d_buf ? slice__of(data->d_buf, data->d_size) : slice__of(NULL, 0);
}

/* Variables of a thread lie below the thread pointer; a single one of 8 bytes right below.  Go's own
 * linker, with no C code, puts it there without a segment. */
static bool has_lone_g(Elf *elf)
{
	GElf_Phdr segment;

	for (int i = 0; gelf_getphdr(elf, i, &segment); i++)
		if (segment.p_type == PT_TLS)
			return segment.p_memsz == sizeof(uint64_t) &&
			       segment.p_align <= sizeof(uint64_t);
	return true;
}

/* Calls @fn with every symbol that has a name, until it says false. */
static void each_symbol(Elf *elf, const char *table,
			bool (*fn)(void *ctx, const char *name, const GElf_Sym *symbol), void *ctx)
{
	GElf_Shdr header;
	Elf_Scn *section = find_section(elf, table, &header);
	Elf_Data *data;
	GElf_Sym symbol;

	if (!section || header.sh_size > ELF_FILE_TABLE_BYTES)
		return;
	data = elf_getdata(section, NULL);
	for (int i = 0; data && gelf_getsym(data, i, &symbol); i++) {
		const char *name = elf_strptr(elf, header.sh_link, symbol.st_name);

		if (name && !fn(ctx, name, &symbol))
			return;
	}
}

static bool take_variable(void *ctx, const char *name, const GElf_Sym *symbol)
{
	struct golang *go = ctx;

	if (GELF_ST_TYPE(symbol->st_info) != STT_OBJECT)
		return true;
	if (symbol->st_size == SLICE_BYTES && strcmp(name, "runtime.allp") == 0)
		go->allp = symbol->st_value;
	else if (strcmp(name, "runtime.sched") == 0)
		go->sched = symbol->st_value;
	return !go->allp || !go->sched;
}

static bool take_exported(void *ctx, const char *name, const GElf_Sym *symbol)
{
	uint64_t *address = ctx;

	if (symbol->st_shndx == SHN_UNDEF || strcmp(name, EXPORTED) != 0)
		return true;
	*address = symbol->st_value;
	return false;
}

/* ---- its functions ---------------------------------------------------------------------- */

/* Where Go's code begins; 0: not known. */
static uint64_t text_of(Elf *elf, uint64_t entry, const struct pclntab_function *start,
			const struct pclntab_function *exported)
{
	uint64_t address = 0;
	GElf_Shdr text;

	if (!find_section(elf, ".text", &text))
		return 0;
	if (start->found && entry - start->offset == text.sh_addr)
		return text.sh_addr;
	if (exported->found)
		each_symbol(elf, ".dynsym", take_exported, &address);
	if (!address || address - exported->offset - text.sh_addr >= text.sh_size)
		return 0;
	return address - exported->offset;
}

/* Where in the file the code at @address is; 0: nowhere. */
static uint64_t offset_of(Elf *elf, uint64_t address)
{
	GElf_Phdr segment;

	for (int i = 0; gelf_getphdr(elf, i, &segment); i++)
		if (segment.p_type == PT_LOAD && segment.p_flags & PF_X &&
		    address - segment.p_vaddr < segment.p_filesz)
			return address - segment.p_vaddr + segment.p_offset;
	return 0;
}

static void add_probe(struct golang *go, Elf *elf, int fd, const struct watched *function,
		      uint64_t address)
{
	uint64_t offset = offset_of(elf, address);
	char code[PROLOGUE_BYTES];
	int jump;

	if (!offset || offset > INT64_MAX ||
	    pread(fd, code, sizeof(code), (off_t)offset) != sizeof(code))
		return;
	jump = golang__first_jump(slice__of(code, sizeof(code)));
	if (jump < 0)
		return;
	go->probes[go->probe_count++] = (struct golang_probe){
		.program = function->program,
		.function = function->function,
		.offset = offset + (uint64_t)jump,
	};
}

/* Nothing calls on behalf of requests where none are served. */
static bool wanted(const struct pclntab_function *functions, size_t i)
{
	if (!functions[i].found || !watched[i].program)
		return false;
	return functions[SERVES_HTTP].found || (i == ROUND_TRIP && functions[SERVES_FAST].found);
}

static void find_probes(struct golang *go, Elf *elf, int fd)
{
	struct pclntab_function functions[WATCHED + 2] = {
		[WATCHED] = { .name = START },
		[WATCHED + 1] = { .name = EXPORTED },
	};
	struct slice table = section_bytes(elf, ".gopclntab");
	uint64_t text;

	if (!table.len) /* so before 1.26 in programs that may be loaded anywhere */
		table = section_bytes(elf, ".data.rel.ro.gopclntab");
	for (size_t i = 0; i < WATCHED; i++)
		functions[i].name = watched[i].function;
	if (pclntab__find(table, functions, WATCHED + 2))
		return;
	text = text_of(elf, go->entry, &functions[WATCHED], &functions[WATCHED + 1]);
	for (size_t i = 0; text && i < WATCHED; i++)
		if (wanted(functions, i))
			add_probe(go, elf, fd, &watched[i], text + functions[i].offset);
}

static int read_elf(Elf *elf, int fd, struct golang *go)
{
	GElf_Ehdr header;
	int minor;

	if (elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &header))
		return -EBADMSG;
	if (!find_section(elf, ".go.buildinfo", &(GElf_Shdr){}))
		return -ENOENT;
	minor = golang__minor(slice__head(section_bytes(elf, ".go.buildinfo"), BUILDINFO_BYTES));
	if (minor < 0)
		return minor;
	go->minor = (unsigned int)minor;
	go->entry = header.e_entry;
	go->g_below_thread_pointer = has_lone_g(elf);
	go->layout_known = golang_layout__of_version(go->minor, &go->layout) ||
			   golang_dwarf__layout(elf, &go->layout);
	each_symbol(elf, ".symtab", take_variable, go);
	if (!golang__obstacle(go))
		find_probes(go, elf, fd);
	return 0;
}

int golang__read(int fd, struct golang *go)
{
	Elf *elf;
	int err;

	memset(go, 0, sizeof(*go));
	elf = elf_file__open(fd);
	if (!elf)
		return -errno;
	err = read_elf(elf, fd, go);
	elf_end(elf);
	return err;
}

/* ---- the process ------------------------------------------------------------------------ */

const char *golang__obstacle(const struct golang *go)
{
	if (!go->layout_known)
		return "a version that is not known, without debugging information";
#if defined(__x86_64__)
	if (!go->g_below_thread_pointer)
		return "C code with variables of threads is linked in";
#endif
	return NULL;
}

int golang__runtime(const struct golang *go, uint64_t bias, struct process_runtime *runtime)
{
	const struct golang_layout *l = &go->layout;

	memset(runtime, 0, sizeof(*runtime));
	runtime->kind = RUNTIME_GO;
	if (golang__obstacle(go))
		return -ENOTSUP;
	runtime->at[AT_TLS] = sizeof(uint64_t);
	runtime->at[AT_GOID] = l->goid;
	runtime->at[AT_CONN] = l->conn;
	runtime->at[AT_SHARED] = l->shared;
	runtime->at[AT_FD] = l->fd;
	runtime->at[AT_FAMILY] = l->family;
	runtime->at[AT_CONTEXT] = l->context;
	if (!l->parent || !l->batch || !go->sched || !go->allp)
		return 0;
	runtime->at[AT_PARENT] = l->parent;
	runtime->at[AT_COUNTER] = go->sched + bias; /* the first field of runtime.sched */
	runtime->at[AT_ALLP] = go->allp + bias;
	runtime->at[AT_BATCH] = l->batch;
	return 0;
}
