/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One end of a connection as text: struct endpoint of transaction.h for attributes.
 */
#ifndef SPANLOOM_ENDPOINT_H
#define SPANLOOM_ENDPOINT_H

#include "user/flow/transaction.h"

#define ENDPOINT_TEXT_BYTES 128 /* room that endpoint__address() needs */

_Static_assert(ENDPOINT_TEXT_BYTES >= EVENT_PATH_LEN, "a path must fit");

/* Writes the address of an IP into @e, for endpoint__address() to find. */
void endpoint__write(struct endpoint *e);

/*
 * IP literal (IPv4 in IPv6 as IPv4) or path of the unix socket, in @e or written to @buf of
 * @len >= ENDPOINT_TEXT_BYTES; empty when unknown.  @e may be NULL.
 */
struct slice endpoint__address(const struct endpoint *e, char *buf, size_t len);

/* "ipv4" or "ipv6" as network.type wants it; NULL for anything else. */
const char *endpoint__network_type(const struct endpoint *e);

/* Same family, address and port (or path); the two spellings of an IPv4 address are equal. */
bool endpoint__equal(const struct endpoint *a, const struct endpoint *b);

#endif
