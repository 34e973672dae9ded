// SPDX-License-Identifier: Apache-2.0
#include "user/export/body.h"

size_t body__read(const struct body *body, struct body_cursor *cursor, char *to, size_t room)
{
	size_t done = 0;

	while (done < room && cursor->piece < body->count) {
		struct slice rest = slice__skip(body->pieces[cursor->piece], cursor->at);
		struct slice part = slice__head(rest, room - done);

		if (part.len)
			memcpy(to + done, part.data, part.len);
		done += part.len;
		cursor->at += part.len;
		if (part.len == rest.len)
			*cursor = (struct body_cursor){ .piece = cursor->piece + 1 };
	}
	return done;
}
