// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/golang_layout.h"

#include <stddef.h>

#define FIRST_MINOR 18

/* As the debugging information of programs of 1.18.10, 1.19.13, 1.20.14, 1.21.13, 1.22.12,
 * 1.23.12, 1.24.9, 1.25.3 and 1.26.8 has it. */
static const struct golang_layout layouts[] = {
	{ 152, 0, 384, 80, 0, 16, 56, 232 },	 { 152, 0, 384, 80, 0, 16, 56, 232 },
	{ 152, 0, 384, 80, 0, 16, 56, 232 },	 { 152, 272, 384, 80, 0, 16, 56, 232 },
	{ 152, 272, 384, 80, 0, 16, 56, 232 },	 { 160, 280, 376, 80, 0, 16, 56, 248 },
	{ 160, 280, 376, 80, 0, 16, 56, 248 },	 { 152, 272, 376, 80, 0, 16, 56, 248 },
	{ 152, 280, 384, 80, 162, 16, 56, 248 },
};

bool golang_layout__of_version(unsigned int minor, struct golang_layout *layout)
{
	if (minor < FIRST_MINOR || minor - FIRST_MINOR >= sizeof(layouts) / sizeof(layouts[0]))
		return false;
	*layout = layouts[minor - FIRST_MINOR];
	return true;
}
