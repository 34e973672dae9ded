// SPDX-License-Identifier: Apache-2.0
#include "user/export/public_url.h"

#include <curl/curl.h>
#include <string.h>

char *public_url__of(const char *url)
{
	CURLU *parts = curl_url();
	char *text = NULL, *out = NULL;

	if (parts && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl_url_set(parts, CURLUPART_USER, NULL, 0) == CURLUE_OK &&
	    curl_url_set(parts, CURLUPART_PASSWORD, NULL, 0) == CURLUE_OK &&
	    curl_url_set(parts, CURLUPART_QUERY, NULL, 0) == CURLUE_OK &&
	    curl_url_set(parts, CURLUPART_FRAGMENT, NULL, 0) == CURLUE_OK &&
	    curl_url_get(parts, CURLUPART_URL, &text, 0) == CURLUE_OK)
		out = strdup(text);
	curl_free(text);
	curl_url_cleanup(parts);
	return out;
}
