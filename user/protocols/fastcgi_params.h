/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parameters of a FastCGI request: name-value pairs -> the fields that an HTTP request has.
 *
 * The pairs are a stream of their own that may be cut into records anywhere: what is cut is put
 * together, as far as there is room.
 */
#ifndef SPANLOOM_FASTCGI_PARAMS_H
#define SPANLOOM_FASTCGI_PARAMS_H

#include "user/flow/message.h"

#define FASTCGI_TORN_BYTES 1024 /* of all pairs that are cut */

struct fastcgi_params {
	struct slice script; /* SCRIPT_NAME and QUERY_STRING: where there is no REQUEST_URI */
	struct slice query;
	bool https;
	uint64_t skip;	   /* bytes to come of a pair that nobody reads */
	uint16_t used;	   /* of @torn, by pairs that are whole */
	uint16_t torn_len; /* bytes of the one that is not, behind them */
	char torn[FASTCGI_TORN_BYTES];
};

/* Before the first record. */
void fastcgi_params__start(struct fastcgi_params *params);

/* Reads the content of the next record; what @out gets is borrowed until the next start. */
void fastcgi_params__read(struct fastcgi_params *params, struct slice content, struct message *out);

/* Behind the last record: what follows from all of them. */
void fastcgi_params__end(const struct fastcgi_params *params, struct message *out);

#endif
