/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all requests to a collector have in common, for libcurl: address, headers, TLS.
 */
#ifndef SPANLOOM_POST_H
#define SPANLOOM_POST_H

#include <curl/curl.h>

struct otlp_options;

/* Has @easy post to where @options say, which are borrowed.  @headers: one more list of them, to be
 * freed after @easy, also when this fails.  0 or a negative errno. */
int post__prepare(CURL *easy, struct curl_slist **headers, const struct otlp_options *options);

#endif
