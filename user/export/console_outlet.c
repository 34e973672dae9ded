// SPDX-License-Identifier: Apache-2.0
#include "user/export/console_outlet.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>

#define HELD_MAX_BYTES (4 * 1024 * 1024) /* and what was written last */
#define HELD_BYTES     (64 * 1024)	 /* from here on drained at once */

int console_outlet__init(struct console_outlet *o, FILE *out)
{
	*o = (struct console_outlet){ .out = out };
	o->text = open_memstream(&o->bytes, &o->len);
	return o->text ? 0 : -ENOMEM;
}

void console_outlet__free(struct console_outlet *o)
{
	if (o->text)
		fclose(o->text);
	free(o->bytes);
}

/* A pipe of which this is true takes PIPE_BUF bytes at once. */
static bool is_writable(FILE *out, int wait_ms)
{
	struct pollfd fd = { .fd = fileno(out), .events = POLLOUT };

	return fd.fd < 0 || poll(&fd, 1, wait_ms) > 0;
}

int console_outlet__drain(struct console_outlet *o, int wait_ms)
{
	/* not @len, which counts what was there before the last rewind(), too */
	size_t end = (size_t)ftell(o->text);

	if (fflush(o->text))
		return -ENOMEM;
	while (o->written < end) {
		size_t left = end - o->written;
		size_t len = left < PIPE_BUF ? left : PIPE_BUF;

		if (!is_writable(o->out, wait_ms))
			return 0;
		if (fwrite(o->bytes + o->written, 1, len, o->out) != len || fflush(o->out))
			return -errno;
		o->written += len;
	}
	rewind(o->text);
	o->written = 0;
	return 1;
}

bool console_outlet__has_room(const struct console_outlet *o)
{
	return ftell(o->text) < HELD_MAX_BYTES;
}

bool console_outlet__is_due(const struct console_outlet *o)
{
	return ftell(o->text) >= HELD_BYTES;
}
