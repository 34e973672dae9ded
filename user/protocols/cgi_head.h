/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header of a CGI response (RFC 3875, section 6): the status that the server will send.
 *
 * Comes in pieces that are cut anywhere.  Of a line its beginning is kept; no value but the
 * status is looked at.
 */
#ifndef SPANLOOM_CGI_HEAD_H
#define SPANLOOM_CGI_HEAD_H

#include "user/base/slice.h"

#define CGI_HEAD_MAX  (64 * 1024) /* bytes; behind that many nothing is looked for */
#define CGI_LINE_KEPT 24	  /* bytes of a line */

struct cgi_head {
	uint32_t size; /* bytes so far */
	int16_t said;  /* by a status line; 0: none, -1: it makes no sense */
	bool location; /* there was such a line */
	bool done;
	uint8_t kept;
	char line[CGI_LINE_KEPT];
};

/* Reads on; bytes that belong to the header: all, or those up to its end. */
size_t cgi_head__read(struct cgi_head *head, struct slice in);

/* Of a header that is done: 0 when it is not known. */
int cgi_head__status(const struct cgi_head *head);

#endif
