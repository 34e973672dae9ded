/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replays a recorded exchange through the pipeline, without a kernel.
 *
 * A .case file has one record a line; times are microseconds, strings have C escapes:
 *
 *   # comment
 *   option db-server-spans                 (or: no-heuristic, sdk-ignore)
 *   exclude N                              process N is not among those to trace
 *   process N                              whose the records that follow are, 0 to 3 (default: 0)
 *   conn ID client|server|unknown ADDRESS PORT PEER PORT [fresh]
 *   conn ID client|server|unknown unix PATH [fresh]
 *   send ID START END "bytes"              bytes that the traced process sent
 *   recv ID TIME "bytes"                   bytes that it received
 *   skip send|recv ID TIME N ["tail"]      N bytes that were not captured, but for their end
 *   lost send|recv ID N                    N bytes whose record was lost
 *   ring-full US                           a record of some connection was lost then
 *   match request|response|either          of the next send or recv (default: by direction)
 *   ref thread|peer ID POS                 what caused the next send, recv or failed: the message
 *                                          that begins at POS of connection ID
 *   eof ID TIME, reset ID TIME, close ID TIME, failed ID TIME ERRNO
 *   tick TIME
 *
 * A protocol is named by the folder that the case stands in.
 */
#ifndef SPANLOOM_TESTS_REPLAY_H
#define SPANLOOM_TESTS_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/flow/ledger.h"

enum replay_mode {
	REPLAY_WHOLE,
	REPLAY_BYTES, /* one record a byte */
	REPLAY_TORN,  /* cut at pseudo-random places */
	REPLAY_CUT,   /* each payload loses its end: captured less than its size */
	REPLAY_GAPS,  /* some records never arrive */
};

struct replay {
	const char *path;
	enum replay_mode mode;
	uint32_t seed; /* of the pseudo-random choices */
	/* out */
	char *spans; /* rendered, malloc'd */
	struct ledger ledger;
	size_t in_flight;
};

/* Replays; 0, or -1 with a message on stderr when the file is malformed.  Free with
 * replay__free(). */
int replay__run(struct replay *replay);
void replay__free(struct replay *replay);

/* Do the ledger's sums agree? */
bool replay__balanced(const struct replay *replay);

#endif
