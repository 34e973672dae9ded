// SPDX-License-Identifier: Apache-2.0
#include "user/export/post.h"

#include <errno.h>

#include "user/options.h"

#define USER_AGENT "spanloom/" SPANLOOM_VERSION " OTel-OTLP-Exporter-C/" SPANLOOM_VERSION

static int post__add_header(struct curl_slist **headers, const char *line)
{
	struct curl_slist *longer = curl_slist_append(*headers, line);

	if (!longer)
		return -ENOMEM;
	*headers = longer;
	return 0;
}

static int post__add_headers(struct curl_slist **headers, const struct otlp_options *options)
{
	int err = post__add_header(headers, "Content-Type: application/x-protobuf");

	if (!err && options->gzip)
		err = post__add_header(headers, "Content-Encoding: gzip");
	if (!err) /* do not wait for "100 Continue" before a large body */
		err = post__add_header(headers, "Expect:");
	for (char **line = options->headers; !err && line && *line; line++)
		err = post__add_header(headers, *line);
	return err;
}

static CURLcode post__set_tls(CURL *easy, const struct otlp_options *options)
{
	CURLcode code = CURLE_OK;

	if (options->ca_file)
		code = curl_easy_setopt(easy, CURLOPT_CAINFO, options->ca_file);
	if (!code && options->cert_file)
		code = curl_easy_setopt(easy, CURLOPT_SSLCERT, options->cert_file);
	if (!code && options->key_file)
		code = curl_easy_setopt(easy, CURLOPT_SSLKEY, options->key_file);
	return code;
}

static CURLcode post__set(CURL *easy, struct curl_slist *headers,
			  const struct otlp_options *options)
{
	static const struct {
		CURLoption option;
		long value;
	} numbers[] = {
		{ CURLOPT_POST, 1 },
		{ CURLOPT_FOLLOWLOCATION, 0 },
		{ CURLOPT_TCP_KEEPALIVE, 1 },
		{ CURLOPT_NOSIGNAL, 1 },
		/* a try that is over does not wait for a name server that never answers */
		{ CURLOPT_QUICK_EXIT, 1 },
	};
	CURLcode code = CURLE_OK;

	for (size_t i = 0; !code && i < sizeof(numbers) / sizeof(numbers[0]); i++)
		code = curl_easy_setopt(easy, numbers[i].option, numbers[i].value);
	if (!code)
		code = curl_easy_setopt(easy, CURLOPT_URL, options->url);
	if (!code)
		code = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	if (!code)
		code = curl_easy_setopt(easy, CURLOPT_USERAGENT, USER_AGENT);
	if (!code)
		code = curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	return code ? code : post__set_tls(easy, options);
}

int post__prepare(CURL *easy, struct curl_slist **headers, const struct otlp_options *options)
{
	int err = post__add_headers(headers, options);

	if (err)
		return err;
	return post__set(easy, *headers, options) ? -EINVAL : 0;
}
