// SPDX-License-Identifier: Apache-2.0
/*
 * A collector that takes everything and keeps nothing, so that the bench measures spanloom
 * and not its receiver.
 *
 *   sink      listens on a free port of 127.0.0.1, prints the port, runs until killed
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PEERS	   16
#define HEAD_BYTES 4096

struct peer {
	char head[HEAD_BYTES];
	size_t head_len;
	size_t body_left; /* of the request whose head was read */
};

static char waste[1 << 20];

static int listen_on(struct sockaddr_in *address)
{
	socklen_t len = sizeof(*address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*address = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	if (fd < 0 || bind(fd, (struct sockaddr *)address, len) || listen(fd, PEERS) ||
	    getsockname(fd, (struct sockaddr *)address, &len))
		return -1;
	return fd;
}

static int answer(int fd)
{
	static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n"
				 "Content-Length: 0\r\n\r\n";

	return write(fd, ok, sizeof(ok) - 1) == sizeof(ok) - 1 ? 0 : -1;
}

/* A head is complete in p->head: how long is the body, and how much of it came along? */
static int begin_body(struct peer *p, int fd, const char *end)
{
	const char *length = strcasestr(p->head, "content-length:");
	size_t came = p->head_len - (size_t)(end + 4 - p->head);
	size_t size = length ? strtoul(length + 15, NULL, 10) : 0;

	if (strcasestr(p->head, "expect: 100-continue") &&
	    write(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25) != 25)
		return -1;
	p->head_len = 0;
	p->body_left = size > came ? size - came : 0;
	return p->body_left ? 0 : answer(fd);
}

/* 0, or -1 when the peer is to be closed. */
static int serve(struct peer *p, int fd)
{
	ssize_t got;
	char *end;

	if (p->body_left) {
		size_t want = p->body_left < sizeof(waste) ? p->body_left : sizeof(waste);

		got = read(fd, waste, want);
		if (got <= 0)
			return -1;
		p->body_left -= (size_t)got;
		return p->body_left ? 0 : answer(fd);
	}
	if (p->head_len == HEAD_BYTES - 1)
		return -1;
	got = read(fd, p->head + p->head_len, HEAD_BYTES - 1 - p->head_len);
	if (got <= 0)
		return -1;
	p->head_len += (size_t)got;
	p->head[p->head_len] = '\0';
	end = strstr(p->head, "\r\n\r\n");
	return end ? begin_body(p, fd, end) : 0;
}

int main(void)
{
	static struct peer peers[PEERS + 1];
	struct pollfd fds[PEERS + 1] = { 0 };
	struct sockaddr_in address;
	nfds_t count = 1;

	fds[0] = (struct pollfd){ .fd = listen_on(&address), .events = POLLIN };
	if (fds[0].fd < 0) {
		fprintf(stderr, "error sink: listen: %s\n", strerror(errno));
		return 1;
	}
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	for (;;) {
		if (poll(fds, count, -1) < 0)
			return 1;
		for (nfds_t i = count - 1; i > 0; i--) {
			if (!fds[i].revents || !serve(&peers[i], fds[i].fd))
				continue;
			close(fds[i].fd);
			count--;
			fds[i] = fds[count];
			peers[i] = peers[count];
		}
		if (fds[0].revents && count <= PEERS) {
			fds[count] = (struct pollfd){ .fd = accept(fds[0].fd, NULL, NULL),
						      .events = POLLIN };
			peers[count] = (struct peer){ 0 };
			count += fds[count].fd >= 0;
		}
	}
}
