/* SPDX-License-Identifier: Apache-2.0 */
/* The object file of the kernel programs, compressed; see object.h. */
	.section .rodata, "a", %progbits
	.globl object_gz, object_gz_len
	.balign 4
object_gz_len:
	.long end - object_gz
object_gz:
	.incbin OBJECT_GZ
end:
	.section .note.GNU-stack, "", %progbits
