// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/mapped.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define IMAGE_BYTES_MAX (64 << 20)

bool mapped_line__parse(char *line, struct mapped_line *out)
{
	unsigned int major, minor;
	int path_at = 0;
	char mode[5], *path;

	/* NOLINTNEXTLINE(cert-err34-c): the kernel wrote these numbers, each fits */
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 " %n",
		   &out->range.start, &out->range.end, mode, &out->range.offset, &major, &minor,
		   &out->inode, &path_at) != 7 ||
	    path_at <= 0 || line[path_at] != '/' || out->range.end <= out->range.start)
		return false;
	out->dev = makedev(major, minor);
	out->range.code = mode[2] == 'x';
	path = line + path_at;
	path[strcspn(path, "\n")] = '\0';
	out->path = path;
	return true;
}

void mapped__add(struct mapped *file, const struct mapped_line *line)
{
	if (file->count && (file->dev != line->dev || file->inode != line->inode))
		return;
	if (file->count == MAPPED_RANGES)
		return;
	file->dev = line->dev;
	file->inode = line->inode;
	file->range[file->count++] = line->range;
}

uint64_t mapped__code(const struct mapped *file, uint64_t address)
{
	for (size_t i = 0; i < file->count; i++) {
		const struct mapped_range *r = &file->range[i];

		if (r->code && address >= r->start && address < r->end)
			return address - r->start + r->offset;
	}
	return 0;
}

void mapped__path(const struct mapped *file, uint32_t pid, char *path, size_t size)
{
	snprintf(path, size, "/proc/%u/map_files/%" PRIx64 "-%" PRIx64, pid, file->range[0].start,
		 file->range[0].end);
}

unsigned char *mapped__read(const struct mapped *file, int memory, size_t *len)
{
	uint64_t start = file->range[0].start, end = file->range[file->count - 1].end;
	unsigned char *image;

	if (end <= start || end - start > IMAGE_BYTES_MAX) {
		errno = EFBIG;
		return NULL;
	}
	image = calloc(1, end - start);
	for (size_t i = 0; image && i < file->count; i++) {
		const struct mapped_range *r = &file->range[i];
		ssize_t done = -1;

		if (r->start >= start && r->end <= end)
			done = pread(memory, image + (r->start - start), r->end - r->start,
				     (off_t)r->start);
		if (done < 0 || (size_t)done != r->end - r->start) {
			free(image);
			errno = ENOEXEC;
			return NULL;
		}
	}
	*len = end - start;
	return image;
}
