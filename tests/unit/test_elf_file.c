// SPDX-License-Identifier: Apache-2.0
/*
 * Files of programs whose headers ask for more memory than the agent has, or for other files.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <gelf.h>

#include "user/kernel/elf_file.h"

#define SECTIONS 3 /* the first has nothing, the second the names, the third is the case's */
#define NAMES_AT 512
#define FAR_AT	 4096 /* where a section is that nothing was written of */

static struct {
	Elf64_Ehdr head;
	Elf64_Shdr section[SECTIONS];
	char rest[4096];
} file;

static char *names = (char *)&file + NAMES_AT;

static void begin(const char *name)
{
	memset(&file, 0, sizeof(file));
	memcpy(file.head.e_ident, ELFMAG, SELFMAG);
	file.head.e_ident[EI_CLASS] = ELFCLASS64;
	file.head.e_ident[EI_DATA] = ELFDATA2LSB;
	file.head.e_ident[EI_VERSION] = EV_CURRENT;
	file.head.e_version = EV_CURRENT;
	file.head.e_shoff = sizeof(file.head);
	file.head.e_shentsize = sizeof(Elf64_Shdr);
	file.head.e_shnum = SECTIONS;
	file.head.e_shstrndx = 1;
	file.section[1] = (Elf64_Shdr){ .sh_name = 1, .sh_type = SHT_STRTAB };
	file.section[1].sh_offset = NAMES_AT;
	file.section[1].sh_size = 128;
	file.section[2] = (Elf64_Shdr){ .sh_name = 16, .sh_type = SHT_PROGBITS };
	file.section[2].sh_offset = FAR_AT;
	memcpy(names + 1, ".shstrtab", 9);
	memcpy(names + 16, name, strlen(name));
}

/* The file as it is now, without bytes up to @size: nothing is taken for them. */
static int make(uint64_t size)
{
	int fd = memfd_create("elf", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, &file, sizeof(file)), sizeof(file));
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

/* 0, or what is wrong with it. */
static int opened(uint64_t size)
{
	int fd = make(size), err = 0;
	Elf *elf = elf_file__open(fd);

	if (!elf)
		err = -errno;
	elf_end(elf);
	close(fd);
	return err;
}

static int checked(uint64_t size)
{
	int fd = make(size), err;
	Elf *elf = elf_file__open(fd);

	assert_non_null(elf);
	err = elf_file__check_debug(elf);
	elf_end(elf);
	close(fd);
	return err;
}

static void test_small(void **state)
{
	begin(".text");
	assert_int_equal(opened(8192), 0);
}

static void test_no_file_of_ours(void **state)
{
	int ends[2];

	begin(".text");
	file.head.e_ident[EI_CLASS] = ELFCLASS32;
	assert_int_equal(opened(8192), -EBADMSG);
	begin(".text");
	file.head.e_shoff = UINT64_MAX - 8;
	assert_int_equal(opened(8192), -EBADMSG);
	assert_int_equal(pipe(ends), 0);
	assert_null(elf_file__open(ends[0]));
	assert_int_equal(errno, EBADMSG);
	close(ends[0]);
	close(ends[1]);
}

static void test_too_much(void **state)
{
	const uint64_t gigabytes = 4ULL << 30;

	begin(".strtab");
	file.section[2].sh_type = SHT_STRTAB;
	file.section[2].sh_size = gigabytes;
	assert_int_equal(opened(FAR_AT + gigabytes), -EFBIG);
	file.section[2].sh_size = UINT64_MAX; /* the sum is what has to fit */
	assert_int_equal(opened(8192), -EFBIG);
	file.section[2].sh_size = 64;
	file.section[2].sh_flags = SHF_COMPRESSED;
	assert_int_equal(opened(8192), -EFBIG);
	file.section[2].sh_flags = 0;
	assert_int_equal(opened(8192), 0);
	file.head.e_shnum = 0;
	file.section[0].sh_size = 1 << 24;
	assert_int_equal(opened(FAR_AT + gigabytes), -EFBIG);
}

static void test_debug(void **state)
{
	Elf64_Chdr packed = { .ch_type = ELFCOMPRESS_ZLIB, .ch_size = 1ULL << 32 };

	begin(".debug_info");
	file.section[2].sh_size = 64;
	assert_int_equal(checked(8192), 0);
	file.section[2].sh_size = 1ULL << 32;
	assert_int_equal(checked(FAR_AT + (1ULL << 32)), -EFBIG);
	file.section[2].sh_offset = 1024;
	file.section[2].sh_size = 64;
	file.section[2].sh_flags = SHF_COMPRESSED;
	memcpy((char *)&file + 1024, &packed, sizeof(packed));
	assert_int_equal(checked(8192), -EFBIG);
	packed.ch_size = 4096;
	memcpy((char *)&file + 1024, &packed, sizeof(packed));
	assert_int_equal(checked(8192), 0);
}

static void test_other_files(void **state)
{
	begin(".zdebug_info");
	file.section[2].sh_size = 64;
	assert_int_equal(checked(8192), -EFBIG);
	begin(".gnu_debugaltlink");
	file.section[2].sh_size = 64;
	assert_int_equal(checked(8192), -ENOTSUP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small),	    cmocka_unit_test(test_no_file_of_ours),
		cmocka_unit_test(test_too_much),    cmocka_unit_test(test_debug),
		cmocka_unit_test(test_other_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
