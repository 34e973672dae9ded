// SPDX-License-Identifier: Apache-2.0
#include "user/export/printable.h"

#include "user/base/utf8.h"

/* U+0000 to U+001F, U+007F, and U+0080 to U+009F, which are C2 80 to C2 9F in UTF-8: terminals
 * obey them all. */
static bool is_control(struct slice character)
{
	unsigned char lead = (unsigned char)character.data[0];

	if (character.len == 1)
		return lead < 0x20 || lead == 0x7f;
	return lead == 0xc2 && (unsigned char)character.data[1] < 0xa0;
}

void printable__copy(char *out, size_t room, struct slice in)
{
	while (in.len) {
		size_t len = utf8__sequence(in);
		struct slice character = slice__head(in, len ? len : 1);

		in = slice__skip(in, character.len);
		if (!len)
			character = SLICE("?");
		else if (is_control(character))
			character = SLICE(" ");
		if (character.len >= room)
			break;
		memcpy(out, character.data, character.len);
		out += character.len;
		room -= character.len;
	}
	*out = '\0';
}
