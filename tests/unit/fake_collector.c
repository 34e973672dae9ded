// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/fake_collector.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>
#include <cmocka.h>

#include "proto/otlp.pb-c.h"
#include "user/base/loop.h"

#define KEPT_BYTES (1024 * 1024) /* of a request; more is only counted */

/* A connection of the exporter to the collector. */
struct peer {
	struct fake_collector *collector;
	struct peer *next;
	int fd;
	char *in;
	size_t in_len;	 /* kept */
	size_t received; /* all */
	size_t head_len; /* 0: the head is not complete */
	size_t body_len;
	const struct answer *answer; /* under way */
	size_t sent;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static void peer__close(struct peer *p)
{
	struct peer **at = &p->collector->peers;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	loop__unwatch(p->collector->loop, p->fd);
	close(p->fd);
	free(p->in);
	free(p);
}

static struct slice gunzip(struct slice in, char *out, size_t room)
{
	z_stream stream = { .next_in = (Bytef *)in.data,
			    .avail_in = (uInt)in.len,
			    .next_out = (Bytef *)out,
			    .avail_out = (uInt)room };

	assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
	assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
	inflateEnd(&stream);
	return slice__of(out, stream.total_out);
}

static uint64_t count_spans(struct slice body)
{
	Otlp__Request *request = otlp__request__unpack(NULL, body.len, (const uint8_t *)body.data);
	uint64_t spans = 0;

	assert_non_null(request);
	for (size_t i = 0; i < request->n_resource_spans; i++)
		for (size_t k = 0; k < request->resource_spans[i]->n_scope_spans; k++)
			spans += request->resource_spans[i]->scope_spans[k]->n_spans;
	otlp__request__free_unpacked(request, NULL);
	return spans;
}

static void peer__note_request(struct peer *p)
{
	struct fake_collector *c = p->collector;
	struct slice body = slice__of(p->in + p->head_len, p->in_len - p->head_len);
	static char plain[KEPT_BYTES];

	if (c->requests < sizeof(c->request_ns) / sizeof(c->request_ns[0]))
		c->request_ns[c->requests] = now_ns();
	c->body_bytes += p->body_len;
	snprintf(c->last_head, sizeof(c->last_head), "%.*s", (int)p->head_len, p->in);
	if (body.len != p->body_len) /* too large to be kept */
		return;
	if (strstr(c->last_head, "Content-Encoding: gzip"))
		body = gunzip(body, plain, sizeof(plain));
	c->spans += count_spans(body);
}

/* True when a whole request is there. */
static bool peer__complete(struct peer *p)
{
	struct slice in = slice__of(p->in, p->in_len);
	size_t end = slice__search(in, SLICE("\r\n\r\n"));
	size_t field = slice__search(in, SLICE("Content-Length: "));

	if (!p->head_len && end < in.len) {
		assert_true(field < end);
		field += strlen("Content-Length: ");
		in = slice__skip(in, field);
		p->head_len = end + 4;
		p->body_len = (size_t)slice__number(slice__head(in, slice__find(in, '\r')));
	}
	return p->head_len && p->received == p->head_len + p->body_len;
}

static struct slice next_bytes(const struct peer *p)
{
	const struct answer *answer = p->answer;
	size_t body_sent;

	if (p->sent < answer->head.len)
		return slice__skip(answer->head, p->sent);
	body_sent = p->sent - answer->head.len;
	if (answer->kind == ANSWER_ENDLESS)
		return slice__skip(answer->body, body_sent % answer->body.len);
	return slice__skip(answer->body, body_sent);
}

static void peer__send(struct peer *p)
{
	struct slice out = next_bytes(p);

	while (out.len) {
		ssize_t sent = send(p->fd, out.data, out.len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno == EAGAIN)
			return;
		if (sent < 0) {
			peer__close(p);
			return;
		}
		p->sent += (size_t)sent;
		out = next_bytes(p);
	}
	if (p->answer->kind == ANSWER_CLOSE)
		peer__close(p);
	else
		p->answer = NULL;
}

static void on_peer(void *ctx, int fd, uint32_t events);

static void peer__answer(struct peer *p)
{
	struct fake_collector *c = p->collector;
	size_t at = c->requests < c->script_len ? c->requests : c->script_len - 1;

	peer__note_request(p);
	c->requests++;
	p->in_len = p->received = p->head_len = 0;
	if (c->script[at].kind == ANSWER_SILENCE)
		return;
	p->answer = &c->script[at];
	p->sent = 0;
	assert_int_equal(loop__watch(c->loop, p->fd, EPOLLIN | EPOLLOUT, on_peer, p), 0);
}

static void peer__receive(struct peer *p)
{
	static char drain[256 * 1024];
	ssize_t len = recv(p->fd, drain, sizeof(drain), MSG_DONTWAIT);

	if (len < 0 && errno == EAGAIN)
		return;
	if (len <= 0) {
		peer__close(p);
		return;
	}
	if (p->in_len == p->received && p->in_len + (size_t)len <= KEPT_BYTES) {
		memcpy(p->in + p->in_len, drain, (size_t)len);
		p->in_len += (size_t)len;
	}
	p->received += (size_t)len;
	if (peer__complete(p))
		peer__answer(p);
}

static void on_peer(void *ctx, int fd, uint32_t events)
{
	struct peer *p = ctx;

	if (p->answer && (events & EPOLLOUT)) {
		peer__send(p);
		return;
	}
	if (!p->answer && (events & EPOLLOUT))
		assert_int_equal(loop__watch(p->collector->loop, fd, EPOLLIN, on_peer, p), 0);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		peer__receive(p);
}

static void on_connection(void *ctx, int fd, uint32_t events)
{
	struct fake_collector *c = ctx;
	struct peer *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->collector = c;
	p->in = malloc(KEPT_BYTES);
	p->fd = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(p->fd >= 0);
	p->next = c->peers;
	c->peers = p;
	c->connections++;
	assert_int_equal(loop__watch(c->loop, p->fd, EPOLLIN, on_peer, p), 0);
}

void fake_collector__listen(struct fake_collector *c)
{
	assert_int_equal(listen(c->fd, 16), 0);
	assert_int_equal(loop__watch(c->loop, c->fd, EPOLLIN, on_connection, c), 0);
}

void fake_collector__open(struct fake_collector *c, struct loop *loop, const struct answer *script,
			  size_t script_len, bool listening)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);

	*c = (struct fake_collector){ .loop = loop, .script = script, .script_len = script_len };
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(c->fd >= 0);
	assert_int_equal(bind(c->fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(c->fd, (struct sockaddr *)&address, &len), 0);
	c->port = ntohs(address.sin_port);
	if (listening)
		fake_collector__listen(c);
}

void fake_collector__close(struct fake_collector *c)
{
	while (c->peers)
		peer__close(c->peers);
	loop__unwatch(c->loop, c->fd);
	close(c->fd);
}
