/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of a URL may be shown: all but user, password, query and fragment.
 */
#ifndef SPANLOOM_PUBLIC_URL_H
#define SPANLOOM_PUBLIC_URL_H

/* The caller frees it.  NULL: no memory, or @url is none. */
char *public_url__of(const char *url);

#endif
