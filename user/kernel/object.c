// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/object.h"

#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "spanloom.skel.h"
#include "user/log.h"

#define WINDOW_BITS (15 + 16) /* what gzip uses; + 16: its header */

/* user/kernel/object_bytes.S */
extern const uint8_t object_gz[];
extern const uint32_t object_gz_len;

/* A gzip file ends with how long it was. */
static size_t unpacked_size(void)
{
	uint32_t size;

	memcpy(&size, object_gz + object_gz_len - sizeof(size), sizeof(size));
	return le32toh(size);
}

/* It is not read again: its pages need not stay in memory. */
static void leave_packed(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t before = -(uintptr_t)object_gz & (page - 1);

	if (object_gz_len > before)
		(void)madvise((void *)(object_gz + before), (object_gz_len - before) & -page,
			      MADV_DONTNEED);
}

/* 0 or a negative errno. */
static int unpack(uint8_t *out, size_t size)
{
	z_stream stream = {
		.next_in = (Bytef *)object_gz,
		.avail_in = object_gz_len,
		.next_out = out,
		.avail_out = (uInt)size,
	};
	int result;

	if (inflateInit2(&stream, WINDOW_BITS) != Z_OK)
		return -ENOMEM;
	result = inflate(&stream, Z_FINISH);
	inflateEnd(&stream);
	leave_packed();
	return result == Z_STREAM_END ? 0 : -EBADMSG;
}

/* ---- without lines ---------------------------------------------------------------------- */

/* What the section ".BTF.ext" begins with.  Offsets count from its end. */
struct btf_ext_head {
	uint16_t magic;
	uint8_t version;
	uint8_t flags;
	uint32_t len;
	uint32_t func_info_at;
	uint32_t func_info_len;
	uint32_t line_info_at;
	uint32_t line_info_len;
	uint32_t core_relo_at;
	uint32_t core_relo_len;
};

static Elf64_Shdr *find_section(uint8_t *object, const char *name)
{
	const Elf64_Ehdr *elf = (const Elf64_Ehdr *)object;
	Elf64_Shdr *sections = (Elf64_Shdr *)(object + elf->e_shoff);
	const char *names = (const char *)object + sections[elf->e_shstrndx].sh_offset;

	for (size_t i = 0; i < elf->e_shnum; i++)
		if (strcmp(names + sections[i].sh_name, name) == 0)
			return &sections[i];
	return NULL;
}

/* libbpf and the kernel would keep them, a megabyte each. */
static void drop_lines(uint8_t *object)
{
	Elf64_Shdr *section = find_section(object, ".BTF.ext");
	struct btf_ext_head *head;
	uint8_t *info;

	if (!section)
		return;
	head = (struct btf_ext_head *)(object + section->sh_offset);
	info = (uint8_t *)head + head->len;
	if (head->len < sizeof(*head) || head->core_relo_at < head->line_info_at)
		return;
	memmove(info + head->line_info_at, info + head->core_relo_at, head->core_relo_len);
	head->line_info_len = 0;
	head->core_relo_at = head->line_info_at;
	section->sh_size = head->len + head->core_relo_at + head->core_relo_len;
}

/* ---- the object ------------------------------------------------------------------------- */

/* libbpf gives the bytes back when it has read them, which is before it returns. */
static int open_unpacked(struct spanloom_bpf *skel)
{
	size_t size = unpacked_size();
	uint8_t *bytes = malloc(size);
	int err;

	if (!bytes)
		return -ENOMEM;
	err = unpack(bytes, size);
	if (!err && log__level() < LOG_DEBUG)
		drop_lines(bytes);
	if (!err)
		err = spanloom_bpf__create_skeleton(skel);
	if (!err) {
		skel->skeleton->data = bytes;
		skel->skeleton->data_sz = size;
		err = bpf_object__open_skeleton(skel->skeleton, NULL);
		skel->skeleton->data = NULL;
		skel->skeleton->data_sz = 0;
	}
	free(bytes);
	return err;
}

struct spanloom_bpf *object__open(void)
{
	struct spanloom_bpf *skel = calloc(1, sizeof(*skel));
	int err;

	if (!skel)
		return NULL;
	err = open_unpacked(skel);
	if (!err)
		return skel;
	spanloom_bpf__destroy(skel);
	errno = -err;
	return NULL;
}
