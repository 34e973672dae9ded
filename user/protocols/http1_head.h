/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head of an HTTP/1.x message (RFC 9112): start line and header lines -> fields.
 *
 * As tolerant as servers are: bare LF, folded lines, white space around names.  Only the header
 * lines named here are looked at; no other value enters a message.
 */
#ifndef SPANLOOM_HTTP1_HEAD_H
#define SPANLOOM_HTTP1_HEAD_H

#include "user/flow/message.h"

#define HTTP1_HEAD_MAX	 (64 * 1024) /* bytes; more is no head */
#define HTTP1_METHOD_MAX 32
#define HTTP1_JOIN_BYTES 512 /* of several tracestate lines: what W3C demands to be carried on */

enum http1_field {
	HTTP1_METHOD, /* 0: never the index of a trace context field (protocol.h) */
	HTTP1_TARGET,
	HTTP1_VERSION, /* "1.1" */
	HTTP1_HOST,
	HTTP1_USER_AGENT,
	HTTP1_TRACEPARENT, /* the last one */
	HTTP1_TRACESTATE,  /* all of them */
	HTTP1_FORWARDED,   /* of these four the first line: the hop next to the user wrote it */
	HTTP1_FORWARDED_FOR,
	HTTP1_FORWARDED_PROTO,
	HTTP1_FORWARDED_HOST,
	HTTP1_UPGRADE,
	/* What a web server says of the request that it hands on by another protocol. */
	HTTP1_PROTOCOL, /* that one's name, of HTTP1_VERSION then */
	HTTP1_SCHEME,	/* "https" */
	HTTP1_QUERY,	/* where the target has none */
	HTTP1_CLIENT,	/* address of the web server's client */
	HTTP1_FIELDS,
};

_Static_assert(HTTP1_FIELDS <= MESSAGE_FIELDS, "fields must fit");

enum http1_number {
	HTTP1_STATUS,
	HTTP1_TRACEPARENTS, /* how many traceparent lines there were */
	HTTP1_LENGTH,	    /* Content-Length */
	HTTP1_NUMBERS,
};

enum http1_coding {
	HTTP1_PLAIN,
	HTTP1_CHUNKED,
	HTTP1_UNFRAMED, /* a Transfer-Encoding whose last coding is not chunked */
};

struct http1_framing {
	int64_t length; /* -1: no Content-Length */
	enum http1_coding coding;
};

/* Several tracestate lines as one; borrowed by the message until the next call. */
struct http1_join {
	size_t len;
	char bytes[HTTP1_JOIN_BYTES];
};

/* Reads a line that ended off @rest, without its end; false when there is none. */
bool http1_head__line(struct slice *rest, struct slice *line);

bool http1_head__is_method(struct slice in);

/* One line, without its end.  0 or -EBADMSG. */
int http1_head__request_line(struct slice line, struct message *out);
int http1_head__status_line(struct slice line, struct message *out);
/* The beginning of a request line: the method, and what there is of the target. */
int http1_head__cut_request_line(struct slice line, struct message *out);

/*
 * Reads the header lines off @rest.
 * 1        with the empty line after them: @rest is what follows the head
 * 0        the empty line is not there
 * -EBADMSG the length of the body is a lie
 */
int http1_head__fields(struct slice *rest, struct http1_join *join, struct http1_framing *framing,
		       struct message *out);

#endif
