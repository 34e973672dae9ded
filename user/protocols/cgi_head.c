// SPDX-License-Identifier: Apache-2.0
#include "user/protocols/cgi_head.h"

static const struct slice status_name = SLICE("Status:");
static const struct slice location_name = SLICE("Location:");
static const struct slice version_start = SLICE("HTTP/1."); /* scripts that are asked to */

static int16_t status_of(struct slice text)
{
	int64_t status = slice__number(slice__head(slice__trim(text), 3));

	return status < 100 ? -1 : (int16_t)status;
}

/* False: the empty line. */
static bool cgi_head__line(struct cgi_head *head)
{
	struct slice line = slice__of(head->line, head->kept);

	head->kept = 0;
	if (line.len && line.data[line.len - 1] == '\r')
		line.len--;
	if (line.len == 0)
		return false;
	if (slice__istarts(line, status_name))
		head->said = status_of(slice__skip(line, status_name.len));
	else if (slice__starts(line, version_start))
		head->said = status_of(slice__skip(line, version_start.len + 1));
	else if (slice__istarts(line, location_name))
		head->location = true;
	return true;
}

size_t cgi_head__read(struct cgi_head *head, struct slice in)
{
	for (size_t i = 0; i < in.len; i++) {
		char c = in.data[i];

		head->size++;
		if (c == '\n')
			head->done = !cgi_head__line(head);
		else if (head->kept < CGI_LINE_KEPT)
			head->line[head->kept++] = c;
		if (head->size == CGI_HEAD_MAX)
			head->done = true;
		if (head->done)
			return i + 1;
	}
	return in.len;
}

int cgi_head__status(const struct cgi_head *head)
{
	if (head->said > 0)
		return head->said;
	if (head->said < 0 || head->size == CGI_HEAD_MAX)
		return 0;
	return head->location ? 302 : 200;
}
