/* SPDX-License-Identifier: Apache-2.0 */
/*
 * URLs as attributes want them.
 * in:  a request target and a Host value, as they came from the network
 * out: their parts; copies without secrets
 */
#ifndef SPANLOOM_URL_H
#define SPANLOOM_URL_H

#include "user/base/arena.h"

enum url_form {		       /* RFC 9112, section 3.2 */
		URL_ORIGIN,    /* /path?query; also what is none of the others */
		URL_ABSOLUTE,  /* scheme://authority/path?query */
		URL_AUTHORITY, /* host:port, only of CONNECT */
		URL_ASTERISK,  /* * */
};

struct url_target {
	enum url_form form;
	struct slice scheme;	/* absolute form */
	struct slice authority; /* absolute and authority form; may hold user-info */
	struct slice path;	/* "/" for an absolute form without one, "*" */
	struct slice query;	/* without the "?" */
};

struct url_host {
	struct slice name; /* IPv6 literals without brackets */
	int port;	   /* -1: not given */
};

/* Never fails; all slices point into @target. */
void url__split(struct slice target, bool is_connect, struct url_target *out);

/* host[:port], user-info is passed over.  false when @authority is not plausible; @out means
 * nothing then. */
bool url__host(struct slice authority, struct url_host *out);

/* A copy in which the values of the keys that sign a URL are "REDACTED"; empty when no room. */
struct slice url__redact_query(struct arena *a, struct slice query);

/* scheme://authority path[?query] with user-info and query redacted; empty when no room. */
struct slice url__full(struct arena *a, struct slice scheme, struct slice authority,
		       struct slice path, struct slice query);

#endif
