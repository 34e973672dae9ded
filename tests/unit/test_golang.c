// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <elf.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "user/kernel/golang.h"

#define MAGIC	  "\xff Go buildinf:"
#define HEAD	  MAGIC "\x08\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define GO_1_26_8 HEAD "\x08go1.26.8"
#define SCHED	  0x1000
#define ALLP	  0x2000

static void test_minor(void **state)
{
	static const struct {
		struct slice section;
		int minor;
	} cases[] = {
		{ SLICE(GO_1_26_8), 26 },
		{ SLICE(HEAD "\x06go1.18"), 18 },
		{ SLICE(HEAD "\x09go1.27rc1"), 27 },
		{ SLICE(HEAD "\x18go1.23.5 X:boringcrypto."), 23 },
		{ SLICE(HEAD "\x08go1.26.8 and what follows"), 26 },
		{ SLICE(MAGIC "\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x08go1.17.8"), -EBADMSG },
		{ SLICE(HEAD "\x09go1.26.8"), -EBADMSG },
		{ SLICE(HEAD "\x88go1.26.8"), -EBADMSG },
		{ SLICE(HEAD "\x04go1."), -EBADMSG },
		{ SLICE(HEAD "\x05go1.x"), -EBADMSG },
		{ SLICE(HEAD "\x06go2.18"), -EBADMSG },
		{ SLICE(HEAD "\x16go1.99999999999999999999"), -EBADMSG },
		{ SLICE(HEAD "\x0egc devel +0000"), -EBADMSG },
		{ SLICE(HEAD), -EBADMSG },
		{ SLICE(MAGIC), -EBADMSG },
		{ SLICE("not this magic\x08\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x06go1.18"),
		  -EBADMSG },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(golang__minor(cases[i].section), cases[i].minor);
	for (size_t len = 0; len < sizeof(GO_1_26_8) - 1; len++)
		assert_int_equal(golang__minor(slice__of(GO_1_26_8, len)), -EBADMSG);
}

/* The smallest program of Go's. */
struct program {
	Elf64_Ehdr head;
	Elf64_Phdr tls;
	Elf64_Shdr sections[5];
	char info[64];
	char names[64];
	Elf64_Sym symbols[3];
	char strings[64];
};

static Elf64_Shdr part(uint32_t name, uint32_t type, size_t offset, size_t size)
{
	return (Elf64_Shdr){ .sh_name = name,
			     .sh_type = type,
			     .sh_offset = offset,
			     .sh_size = size,
			     .sh_addralign = 1 };
}

static struct program program(void)
{
	static const char names[] = "\0.go.buildinfo\0.symtab\0.strtab";
	static const char strings[] = "\0runtime.sched\0runtime.allp";
	const unsigned char object = ELF64_ST_INFO(STB_LOCAL, STT_OBJECT);
	struct program p = {
		.head = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
				       EV_CURRENT },
			  .e_version = EV_CURRENT,
			  .e_ehsize = sizeof(Elf64_Ehdr),
			  .e_entry = 0x400,
			  .e_phoff = offsetof(struct program, tls),
			  .e_phentsize = sizeof(Elf64_Phdr),
			  .e_phnum = 1,
			  .e_shoff = offsetof(struct program, sections),
			  .e_shentsize = sizeof(Elf64_Shdr),
			  .e_shnum = 5,
			  .e_shstrndx = 2 },
		.tls = { .p_type = PT_TLS, .p_memsz = 8, .p_align = 8 },
		.sections = { part(0, SHT_NULL, 0, 0),
			      part(1, SHT_PROGBITS, offsetof(struct program, info), sizeof(p.info)),
			      part(0, SHT_STRTAB, offsetof(struct program, names), sizeof(p.names)),
			      part(15, SHT_SYMTAB, offsetof(struct program, symbols),
				   sizeof(p.symbols)),
			      part(23, SHT_STRTAB, offsetof(struct program, strings),
				   sizeof(p.strings)) },
		.symbols = { { .st_info = object },
			     { 1, object, 0, 0, SCHED, 6000 },
			     { 15, object, 0, 0, ALLP, 24 } },
	};

	p.sections[3].sh_link = 4;
	p.sections[3].sh_entsize = sizeof(Elf64_Sym);
	memcpy(p.info, GO_1_26_8, sizeof(GO_1_26_8) - 1);
	memcpy(p.names, names, sizeof(names));
	memcpy(p.strings, strings, sizeof(strings));
	return p;
}

static int read_as_file(const void *bytes, size_t len, struct golang *go)
{
	int fd = memfd_create("program", MFD_CLOEXEC);
	int err;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	err = golang__read(fd, go);
	close(fd);
	return err;
}

static void test_program(void **state)
{
	struct program p = program();
	struct process_runtime runtime;
	struct golang go;

	assert_int_equal(read_as_file(&p, sizeof(p), &go), 0);
	assert_int_equal(go.minor, 26);
	assert_int_equal(go.entry, 0x400);
	assert_int_equal(go.sched, SCHED);
	assert_int_equal(go.allp, ALLP);
	assert_true(go.g_below_thread_pointer);

	assert_int_equal(golang__runtime(&go, 0x100000, &runtime), 0);
	assert_int_equal(runtime.kind, RUNTIME_GO);
	assert_int_equal(runtime.at[1], 152);
	assert_int_equal(runtime.at[2], 280);
	assert_int_equal(runtime.at[3], 0x100000 + SCHED);
	assert_int_equal(runtime.at[4], 0x100000 + ALLP);

	go.allp = 0; /* stripped */
	assert_int_equal(golang__runtime(&go, 0, &runtime), 0);
	assert_int_equal(runtime.at[1], 152);
	assert_int_equal(runtime.at[2], 0);
	assert_null(golang__obstacle(&go));
	p.tls.p_type = PT_NULL;
	assert_int_equal(read_as_file(&p, sizeof(p), &go), 0);
	assert_true(go.g_below_thread_pointer);
	p.tls.p_type = PT_TLS;
	p.tls.p_memsz = 16; /* variables of C */
	assert_int_equal(read_as_file(&p, sizeof(p), &go), 0);
	assert_false(go.g_below_thread_pointer);
#if defined(__x86_64__)
	assert_non_null(golang__obstacle(&go));
#else
	assert_null(golang__obstacle(&go));
#endif
	go.g_below_thread_pointer = true;
	go.layout_known = false;
	assert_non_null(golang__obstacle(&go));
	assert_int_equal(golang__runtime(&go, 0, &runtime), -ENOTSUP);
	assert_int_equal(runtime.kind, RUNTIME_GO);
	assert_int_equal(runtime.at[1], 0);
}

static void test_first_jump(void **state)
{
#if defined(__x86_64__)
	static const struct {
		struct slice code;
		int at;
	} cases[] = {
		{ SLICE("\x49\x3b\x66\x10\x76\x20\x55"), 4 },
		{ SLICE("\x49\x3b\x66\x10\x0f\x86\x8a\0\0\0"), 4 },
		{ SLICE("\x4c\x8d\x64\x24\xc8\x4d\x3b\x66\x10\x76"), 9 },
		{ SLICE("\x4c\x8d\xa4\x24\x58\xfe\xff\xff\x4d\x3b\x66\x10\x0f\x86"), 12 },
		{ SLICE("\x4c\x8d\x64\x24\xc8\x49\x3b\x66\x10\x76"), -ENOTSUP }, /* not r12 */
		{ SLICE("\x49\x3b\x66\x10\x0f\x84"), -ENOTSUP },
		{ SLICE("\x55\x48\x89\xe5"), -ENOTSUP },
		{ SLICE("\x4c\x8d\xa4\x24"), -ENOTSUP },
		{ SLICE(""), -ENOTSUP },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(golang__first_jump(cases[i].code), cases[i].at);
#endif
}

static void test_broken_programs(void **state)
{
	struct program p = program();
	struct golang go;
	unsigned char *bytes = (unsigned char *)&p;

	for (size_t len = 0; len < offsetof(struct program, info); len++)
		assert_int_not_equal(read_as_file(&p, len, &go), 0);
	/* every byte of the tables, with values that make sizes and offsets large */
	for (size_t i = 0; i < offsetof(struct program, info); i++) {
		unsigned char was = bytes[i];

		for (unsigned int value = 0x7f; value <= 0xff; value += 0x80) {
			bytes[i] = (unsigned char)value;
			read_as_file(&p, sizeof(p), &go);
		}
		bytes[i] = was;
	}
	memset(p.names, 'x', sizeof(p.names));
	assert_int_equal(read_as_file(&p, sizeof(p), &go), -ENOENT);
	assert_int_equal(golang__read(-1, &go), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_minor),
		cmocka_unit_test(test_program),
		cmocka_unit_test(test_first_jump),
		cmocka_unit_test(test_broken_programs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
