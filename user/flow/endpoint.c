// SPDX-License-Identifier: Apache-2.0
#include "user/flow/endpoint.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#define V4_OFFSET 12 /* of the IPv4 address in an IPv4-mapped IPv6 one */

static bool is_mapped(const struct endpoint *e)
{
	static const uint8_t prefix[V4_OFFSET] = { [10] = 0xff, [11] = 0xff };

	return e->family == AF_INET6 && memcmp(e->addr, prefix, sizeof(prefix)) == 0;
}

/* The four bytes of an IPv4 address in either spelling, or NULL. */
static const uint8_t *v4_of(const struct endpoint *e)
{
	if (e->family == AF_INET)
		return e->addr;
	return is_mapped(e) ? e->addr + V4_OFFSET : NULL;
}

/* inet_ntop() goes through printf.  @buf: INET_ADDRSTRLEN bytes. */
static struct slice v4_text(const uint8_t *v4, char *buf)
{
	size_t at = 0;

	for (size_t i = 0; i < 4; i++) {
		if (i)
			buf[at++] = '.';
		if (v4[i] >= 100)
			buf[at++] = (char)('0' + v4[i] / 100);
		if (v4[i] >= 10)
			buf[at++] = (char)('0' + v4[i] / 10 % 10);
		buf[at++] = (char)('0' + v4[i] % 10);
	}
	return slice__of(buf, at);
}

static struct slice ip_text(const struct endpoint *e, char *buf, size_t len)
{
	const uint8_t *v4 = v4_of(e);

	if (v4)
		return v4_text(v4, buf);
	if (e->family != AF_INET6)
		return slice__of(buf, 0);
	return slice__str(inet_ntop(AF_INET6, e->addr, buf, (socklen_t)len));
}

void endpoint__write(struct endpoint *e)
{
	if (e->family != AF_UNIX)
		e->text_len = (uint8_t)ip_text(e, e->text, sizeof(e->text)).len;
}

struct slice endpoint__address(const struct endpoint *e, char *buf, size_t len)
{
	size_t path_len;

	if (!e)
		return slice__of(buf, 0);
	if (e->text_len)
		return slice__of(e->text, e->text_len);
	if (e->family != AF_UNIX)
		return ip_text(e, buf, len);
	path_len = strnlen(e->path, sizeof(e->path));
	if (path_len > len)
		path_len = len;
	memcpy(buf, e->path, path_len);
	return slice__of(buf, path_len);
}

const char *endpoint__network_type(const struct endpoint *e)
{
	if (!e)
		return NULL;
	if (v4_of(e))
		return "ipv4";
	return e->family == AF_INET6 ? "ipv6" : NULL;
}

bool endpoint__equal(const struct endpoint *a, const struct endpoint *b)
{
	const uint8_t *v4_a = v4_of(a);
	const uint8_t *v4_b = v4_of(b);

	if (v4_a || v4_b)
		return v4_a && v4_b && a->port == b->port && memcmp(v4_a, v4_b, 4) == 0;
	if (a->family != b->family)
		return false;
	if (a->family == AF_UNIX)
		return strncmp(a->path, b->path, sizeof(a->path)) == 0;
	return a->port == b->port && memcmp(a->addr, b->addr, sizeof(a->addr)) == 0;
}
