// SPDX-License-Identifier: Apache-2.0
#include "user/options_value.h"

#include <curl/curl.h>
#include <errno.h>
#include <math.h>

#define TRACES_PATH "/v1/traces"

const char *const value__log_levels[] = { "error", "warn", "info", "debug", NULL };

static uint64_t unit_factor(enum value_unit unit, struct slice suffix)
{
	static const struct {
		enum value_unit unit;
		const char *suffix;
		uint64_t factor;
	} units[] = {
		{ VALUE_PLAIN, "", 1 },
		{ VALUE_SIZE, "", 1 },
		{ VALUE_SIZE, "K", 1 << 10 },
		{ VALUE_SIZE, "M", 1 << 20 },
		{ VALUE_SIZE, "G", 1 << 30 },
		{ VALUE_DURATION, "", 1000000000 },
		{ VALUE_DURATION, "ms", 1000000 },
		{ VALUE_DURATION, "s", 1000000000 },
		{ VALUE_DURATION, "m", 60000000000 },
		{ VALUE_DURATION, "h", 3600000000000 },
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (units[i].unit == unit && slice__ieq(slice__str(units[i].suffix), suffix))
			return units[i].factor;
	return 0;
}

int value__number(const char *text, enum value_unit unit, uint64_t min, uint64_t max, uint64_t *out)
{
	struct slice in = slice__str(text);
	size_t digits = strspn(text, "0123456789");
	int64_t number = slice__number(slice__head(in, digits));
	uint64_t factor = unit_factor(unit, slice__skip(in, digits));
	uint64_t value;

	if (number < 0 || factor == 0)
		return -EINVAL;
	if (__builtin_mul_overflow((uint64_t)number, factor, &value))
		return -EINVAL;
	if (value < min || value > max)
		return -EINVAL;
	*out = value;
	return 0;
}

int value__choice(struct slice text, const char *const *names)
{
	for (int i = 0; names[i]; i++)
		if (slice__ieq(text, slice__str(names[i])))
			return i;
	return -EINVAL;
}

int value__ratio(const char *text, double *out)
{
	char *end;
	double ratio;

	/* strtod() alone would take "inf", "0x1" and leading spaces as well */
	if (text[0] == '\0' || text[strspn(text, "0123456789.eE+-")] != '\0')
		return -EINVAL;
	ratio = strtod(text, &end);
	if (*end != '\0' || !(ratio >= 0 && ratio <= 1))
		return -EINVAL;
	*out = ratio;
	return 0;
}

uint64_t value__sampler_threshold(double ratio)
{
	const uint64_t end = 1ULL << 56;
	int exponent, digits, shift;
	uint64_t threshold;

	if (ratio >= 1)
		return 0;
	/* ratio = m * 2^exponent with m in [0.5, 1): one digit more for every factor of 16 */
	frexp(ratio, &exponent);
	digits = 4 + (exponent <= 0 ? -exponent / 4 : 0);
	if (digits > 12)
		digits = 12;
	shift = 56 - 4 * digits;
	threshold = (uint64_t)((1 - ratio) * (double)end);
	threshold = (threshold + (1ULL << (shift - 1))) >> shift << shift;
	/* the highest threshold of so many digits still keeps something */
	return threshold < end ? threshold : end - (1ULL << shift);
}

static int append_path(CURLU *url)
{
	char *path = NULL, *longer = NULL;
	size_t len;
	int err = -ENOMEM;

	if (curl_url_get(url, CURLUPART_PATH, &path, 0))
		goto out;
	len = strlen(path);
	while (len && path[len - 1] == '/')
		len--;
	if (asprintf(&longer, "%.*s" TRACES_PATH, (int)len, path) < 0) {
		longer = NULL;
		goto out;
	}
	err = curl_url_set(url, CURLUPART_PATH, longer, 0) ? -ENOMEM : 0;
out:
	free(longer);
	curl_free(path);
	return err;
}

static int copy_url(CURLU *url, char **out)
{
	char *text = NULL;

	if (curl_url_get(url, CURLUPART_URL, &text, 0))
		return -ENOMEM;
	*out = strdup(text);
	curl_free(text);
	return *out ? 0 : -ENOMEM;
}

int value__endpoint(const char *text, bool append, char **url)
{
	struct slice in = slice__str(text);
	CURLU *parsed;
	int err;

	if (!slice__istarts(in, SLICE("http://")) && !slice__istarts(in, SLICE("https://")))
		return -EINVAL;
	parsed = curl_url();
	if (!parsed)
		return -ENOMEM;
	err = curl_url_set(parsed, CURLUPART_URL, text, 0) ? -EINVAL : 0;
	if (!err && append)
		err = append_path(parsed);
	if (!err)
		err = copy_url(parsed, url);
	curl_url_cleanup(parsed);
	return err;
}

const char *value__without_user(const char *text)
{
	const char *at = strrchr(text, '@');

	return at ? at + 1 : text;
}

int value__append(char ***list, struct slice item)
{
	size_t count = 0;
	char **grown;

	while (*list && (*list)[count])
		count++;
	grown = realloc(*list, (count + 2) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	*list = grown;
	grown[count] = strndup(item.len ? item.data : "", item.len);
	grown[count + 1] = NULL;
	return grown[count] ? 0 : -ENOMEM;
}

int value__append_all(char ***list, struct slice members)
{
	int err = 0;

	for (bool more = true; more && !err;) {
		size_t comma = slice__find(members, ',');
		struct slice member = slice__trim(slice__head(members, comma));

		more = comma < members.len;
		members = slice__skip(members, comma + 1);
		err = member.len ? value__append(list, member) : -EINVAL;
	}
	return err;
}

void value__free_list(char **list)
{
	for (size_t i = 0; list && list[i]; i++)
		free(list[i]);
	free(list);
}
