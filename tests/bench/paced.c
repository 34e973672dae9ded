// SPDX-License-Identifier: Apache-2.0
/*
 * HTTP requests at a fixed rate, whatever the server does (open loop): latency is counted
 * from when a request was due, so a stall is seen by all that waited behind it.
 *
 *   paced PORT RATE SECONDS      prints: requests p50_us p99_us p999_us
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 32
#define SECOND_NS   1000000000LL

struct connection {
	int fd;
	int64_t due_ns; /* of the request under way; 0: idle */
};

static struct connection connections[CONNECTIONS];
static int poller;
static char request[128];
static size_t request_len;
static uint32_t *latencies_us;
static size_t done;

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * SECOND_NS + ts.tv_nsec;
}

static int open_connection(int port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int on = 1;

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static int open_all(int port)
{
	poller = epoll_create1(0);
	for (int i = 0; i < CONNECTIONS; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = &connections[i] };

		connections[i].fd = open_connection(port);
		if (connections[i].fd < 0 ||
		    epoll_ctl(poller, EPOLL_CTL_ADD, connections[i].fd, &event))
			return -1;
	}
	return 0;
}

/* Reads an answer; a small one comes in one piece. */
static int collect(struct connection *connection)
{
	char waste[4096];

	if (read(connection->fd, waste, sizeof(waste)) <= 0)
		return -1;
	latencies_us[done++] = (uint32_t)((now_ns() - connection->due_ns) / 1000);
	connection->due_ns = 0;
	return 0;
}

static struct connection *idle_connection(void)
{
	for (int i = 0; i < CONNECTIONS; i++)
		if (!connections[i].due_ns)
			return &connections[i];
	return NULL;
}

/* Sleeps until an answer comes or @until_ns, whichever is first. */
static int wait_for_answers(int64_t until_ns)
{
	struct epoll_event answers[CONNECTIONS];
	int64_t left = until_ns - now_ns();
	struct timespec ts = { 0 };
	int count;

	if (left > 0)
		ts = (struct timespec){ .tv_sec = left / SECOND_NS, .tv_nsec = left % SECOND_NS };
	count = epoll_pwait2(poller, answers, CONNECTIONS, &ts, NULL);
	for (int i = 0; i < count; i++)
		if (collect(answers[i].data.ptr))
			return -1;
	return count < 0 ? -1 : 0;
}

static int send_request(struct connection *connection, int64_t due_ns)
{
	connection->due_ns = due_ns;
	return write(connection->fd, request, request_len) == (ssize_t)request_len ? 0 : -1;
}

static int run(size_t total, double rate)
{
	int64_t start = now_ns();
	size_t sent = 0;

	while (done < total) {
		int64_t now = now_ns();
		int64_t due = start + (int64_t)((double)sent * SECOND_NS / rate);
		struct connection *idle = sent < total && due <= now ? idle_connection() : NULL;
		int err;

		if (idle)
			err = send_request(idle, due);
		else
			err = wait_for_answers(sent < total && due > now ? due : now + SECOND_NS);
		if (err)
			return -1;
		sent += idle ? 1 : 0;
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a;
	uint32_t right = *(const uint32_t *)b;

	return left < right ? -1 : left > right;
}

int main(int argc, char **argv)
{
	int port = argc == 4 ? (int)strtol(argv[1], NULL, 10) : 0;
	double rate = argc == 4 ? strtod(argv[2], NULL) : 0;
	size_t total = argc == 4 ? (size_t)(rate * strtod(argv[3], NULL)) : 0;

	if (port <= 0 || !total || !(latencies_us = calloc(total, sizeof(*latencies_us)))) {
		fprintf(stderr, "usage: paced PORT RATE SECONDS\n");
		return 1;
	}
	request_len = (size_t)snprintf(request, sizeof(request),
				       "GET /ok HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n", port);
	if (open_all(port)) {
		fprintf(stderr, "error paced: connect: %s\n", strerror(errno));
		return 1;
	}
	if (run(total, rate)) {
		fprintf(stderr, "error paced: a connection broke\n");
		return 1;
	}
	qsort(latencies_us, done, sizeof(*latencies_us), compare);
	printf("%zu %u %u %u\n", done, latencies_us[done / 2], latencies_us[done * 99 / 100],
	       latencies_us[done * 999 / 1000]);
	return 0;
}
