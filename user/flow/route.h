/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths -> routes of low cardinality.
 * in:  the path of a request, and what the user said of paths
 * out: http.route, and whether it was told or guessed
 */
#ifndef SPANLOOM_ROUTE_H
#define SPANLOOM_ROUTE_H

#include "user/base/arena.h"

#define ROUTE_SEGMENTS 16  /* of a guessed route; what follows becomes "*" */
#define ROUTE_BYTES    256 /* of a guessed route, likewise */

struct flow_config;

enum route_source {
	ROUTE_NONE,
	ROUTE_PATTERN, /* one of config->routes: the first that fits */
	ROUTE_GUESS,   /* config->route_heuristic: segments that look like ids became "{id}" */
};

/*
 * Patterns begin with "/".  "{x}" is one segment or a part of one, "*" one segment, or all the rest when it is
 * the last.  A slash at the end makes no difference.  *@out lives in @a, in @config or in @path; a guess is
 * empty when @a has no room.
 */
enum route_source route__find(const struct flow_config *config, struct slice path, struct arena *a,
			      struct slice *out);

/* Whether one of config->ignore_paths (globs, "*" also matches "/") fits all of @path. */
bool route__ignored(const struct flow_config *config, struct slice path);

/* Whether a segment names one thing of many: a number, a UUID, a hash, a random token. */
bool route__is_id(struct slice segment);

#endif
