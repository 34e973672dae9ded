/* SPDX-License-Identifier: Apache-2.0 */
/* Where Go's structures have their fields, from a program's debugging information. */
#ifndef SPANLOOM_GOLANG_DWARF_H
#define SPANLOOM_GOLANG_DWARF_H

#include <stdbool.h>

#include <libelf.h>

#include "user/kernel/golang_layout.h"

/* What is not there stays 0.  False: not even the number of a goroutine is. */
bool golang_dwarf__layout(Elf *elf, struct golang_layout *layout);

#endif
