/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of programs for libelf.  Anyone on the host may have written them, and libelf takes the
 * memory that their headers ask for: so the headers are looked at first.
 */
#ifndef SPANLOOM_ELF_FILE_H
#define SPANLOOM_ELF_FILE_H

#include <libelf.h>

#define ELF_FILE_TABLE_BYTES (96u << 20) /* of one section that is read as a whole */

/*
 * To be ended with elf_end(), before @fd is closed.  NULL with errno set:
 *	EBADMSG	no regular file, or no ELF file of 64 bits in this machine's byte order
 *	EFBIG	more sections than compilers make, or more names and symbols than we would read
 */
Elf *elf_file__open(int fd);

/*
 * May libdw read it?
 *	-EFBIG	 it is more, unpacked, than we would read
 *	-ENOTSUP libdw would open another file, by a name that this one has: a pipe, say
 */
int elf_file__check_debug(Elf *elf);

#endif
