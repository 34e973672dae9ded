// SPDX-License-Identifier: Apache-2.0
/*
 * Programs that do what few do: very many processes, forks without end, buffers that go while a
 * system call uses them.
 *
 *   storm processes PORT N    N processes at once, each with one request on a connection
 *   storm forks PORT N M      N children that end at once, M that run /bin/true, one request
 *                             after each hundred
 *   storm unmap N             N calls between sockets of its own, whose buffers are unmapped by
 *                             another thread meanwhile
 *
 * Prints what it has done, and that all of it was right; else a message, and the status is 1.
 */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define AT_ONCE	      64 /* connections that are being made; a listener's queue is short */
#define BUFFER_BYTES  (64 * 1024)
#define LONG_BYTES    (64 * 1024 * 1024)
#define MESSAGES_EACH 16 /* on a connection: one that is nothing that we know is given up */
#define REQUEST	      "POST /take/away HTTP/1.1\r\nHost: h\r\nContent-Length: 2000\r\n\r\n"
#define LONG_REQUEST  "POST /take/away HTTP/1.1\r\nHost: h\r\nContent-Length: 67000000\r\n\r\n"
#define RESPONSE      "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n"

static void fail(const char *what)
{
	fprintf(stderr, "error storm: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- requests --------------------------------------------------------------------------- */

static int connect_to(int port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		fail("connect");
	return fd;
}

/* The server answers with the target. */
static void ask(int fd, int port, int number)
{
	char request[256], answer[1024], target[64];
	size_t got = 0, target_len;
	ssize_t len;

	target_len = (size_t)snprintf(target, sizeof(target), "/echo/%d/%d", getpid(), number);
	len = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n",
		       target, port);
	if (write(fd, request, (size_t)len) != len)
		fail("send");
	do {
		len = read(fd, answer + got, sizeof(answer) - 1 - got);
		if (len <= 0)
			fail("receive");
		got += (size_t)len;
		answer[got] = '\0';
	} while (!strstr(answer, "\r\n\r\n") || answer[got - 1] != '\n' ||
		 got < target_len + strlen("HTTP/1.1 200 OK\r\n\r\n"));
	if (strncmp(answer, "HTTP/1.1 200 ", 13) != 0 || !strstr(answer, target))
		fail("a wrong answer");
}

/* ---- processes -------------------------------------------------------------------------- */

/* A token is taken for the time of the request; the gate opens when all have their answer. */
static void one_of_many(int port, const int *tokens, const int *gate)
{
	char token;
	int fd;

	if (read(tokens[0], &token, 1) != 1)
		fail("a token");
	fd = connect_to(port);
	ask(fd, port, 0);
	if (write(tokens[1], "", 1) != 1)
		fail("a token");
	close(gate[1]);
	(void)!read(gate[0], &token, 1);
	_exit(0);
}

static int reap(int count)
{
	int right = 0, status;

	for (int i = 0; i < count; i++)
		right += wait(&status) > 0 && status == 0;
	return right;
}

static int processes(int port, int count)
{
	int tokens[2], gate[2], right;
	char token[AT_ONCE] = { 0 };

	if (pipe(tokens) || pipe(gate))
		fail("pipe");
	for (int i = 0; i < count; i++) {
		pid_t pid = fork();

		if (pid < 0)
			fail("fork");
		if (!pid)
			one_of_many(port, tokens, gate);
	}
	if (write(tokens[1], token, sizeof(token)) != sizeof(token))
		fail("tokens");
	close(tokens[1]);
	close(gate[1]); /* as each child does that has its answer: then it opens */
	right = reap(count);
	printf("%d\n", right);
	return right == count ? 0 : 1;
}

static void child(bool runs)
{
	if (runs)
		execl("/bin/true", "true", (char *)NULL);
	_exit(runs);
}

static int forks(int port, int ending, int running)
{
	int fd = connect_to(port), asked = 0, right = 0;

	for (int i = 0; i < ending + running; i++) {
		pid_t pid = fork();
		int status;

		if (pid < 0)
			fail("fork");
		if (!pid)
			child(i >= ending);
		if (waitpid(pid, &status, 0) != pid || status)
			fail("a child");
		right++;
		if (i % 100 == 0)
			ask(fd, port, asked++);
	}
	printf("%d %d\n", right, asked);
	return 0;
}

/* ---- buffers that go -------------------------------------------------------------------- */

static char sink[BUFFER_BYTES];
static char *buffer; /* goes and comes all the time; at the same place */
static volatile bool over;

static void map(void *at)
{
	buffer = mmap(at, BUFFER_BYTES, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | (at ? MAP_FIXED : 0), -1, 0);
	if (buffer == MAP_FAILED)
		fail("mmap");
}

/* Nobody else maps anything meanwhile. */
static void *take_away(void *arg)
{
	while (!over) {
		munmap(buffer, BUFFER_BYTES);
		sched_yield();
		map(buffer);
		sched_yield();
	}
	return NULL;
}

/* A pair of TCP sockets that are connected. */
static void connected(int fds[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, len) ||
	    listen(listener, 1) || getsockname(listener, (struct sockaddr *)&address, &len))
		fail("listen");
	fds[0] = connect_to(ntohs(address.sin_port));
	fds[1] = accept(listener, NULL, NULL);
	if (fds[1] < 0)
		fail("accept");
	close(listener);
}

/* What the kernel could not read or write for it was not there is tried again. */
static size_t moved(ssize_t len, const char *what)
{
	if (len == 0 || (len < 0 && errno != EFAULT))
		fail(what);
	return len > 0 ? (size_t)len : 0;
}

/* Of a message that a file has; the bytes arrive, or others that have come in their place. */
static void pass(int file, int from, int to, size_t total)
{
	size_t sent = 0, got = 0;

	while (sent < total) {
		size_t left = total - sent, half = left / 2;
		struct iovec pieces[2] = { { buffer + sent, half },
					   { buffer + sent + half, left - half } };

		(void)!pread(file, buffer + sent, left, (off_t)sent);
		sent += moved(left & 1 ? writev(from, pieces, 2)
				       : send(from, buffer + sent, left, 0),
			      "send");
	}
	while (got < total)
		got += moved(recv(to, buffer, total - got, 0), "receive");
}

struct long_send {
	int fd;
	char *bytes;
	volatile pid_t thread; /* 0: not started */
	volatile ssize_t sent; /* 0: under way */
};

static void *send_long(void *arg)
{
	struct long_send *s = arg;

	s->thread = gettid();
	s->sent = send(s->fd, s->bytes, LONG_BYTES, 0);
	return NULL;
}

/* Does the thread sleep? */
static bool waits(pid_t thread)
{
	char path[64], state = 0;
	FILE *file;

	if (!thread)
		return false;
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", thread);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		fail(path);
	fclose(file);
	return state == 'S';
}

/* More than two sockets hold: it waits for its reader, and then goes no further.  So what is looked
 * at when it is done is gone for certain: the kernel first forgets the mapping and then the pages,
 * and who sends meanwhile ends before his bytes do. */
static void send_what_goes(int from, int to)
{
	struct long_send s = { .fd = from };
	size_t got = 0;
	pthread_t sender;
	int there = 0;

	s.bytes =
		mmap(NULL, LONG_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s.bytes == MAP_FAILED)
		fail("a long message");
	memcpy(s.bytes, LONG_REQUEST, strlen(LONG_REQUEST));
	if (pthread_create(&sender, NULL, send_long, &s))
		fail("a long send");
	while (!there || !waits(s.thread))
		if (ioctl(to, FIONREAD, &there))
			fail("a look");
	munmap(s.bytes, LONG_BYTES);
	while (!s.sent || got < (size_t)s.sent) {
		ssize_t len = recv(to, sink, sizeof(sink), MSG_DONTWAIT);

		if (s.sent < 0 || len == 0 || (len < 0 && errno != EAGAIN))
			fail("a long receive");
		got += len > 0 ? (size_t)len : 0;
	}
	pthread_join(sender, NULL);
}

/* A file with a message that begins with @head. */
static int message(const char *head)
{
	int file = memfd_create("message", MFD_CLOEXEC);

	if (file < 0 || ftruncate(file, BUFFER_BYTES) ||
	    pwrite(file, head, strlen(head), 0) != (ssize_t)strlen(head))
		fail("a file");
	return file;
}

static int unmap(int count)
{
	int request = message(REQUEST), response = message(RESPONSE);
	int fds[2] = { -1, -1 };
	pthread_t thief;

	map(NULL);
	connected(fds);
	pass(request, fds[0], fds[1], strlen(REQUEST) + 2000);
	pass(response, fds[1], fds[0], strlen(RESPONSE) + 2000);
	send_what_goes(fds[0], fds[1]);
	if (pthread_create(&thief, NULL, take_away, NULL))
		fail("a thread");
	for (int i = 0; i < count; i++) {
		if (i % MESSAGES_EACH == 0) {
			close(fds[0]);
			close(fds[1]);
			connected(fds);
		}
		pass(request, fds[0], fds[1], strlen(REQUEST) + 2000);
		pass(response, fds[1], fds[0], strlen(RESPONSE) + 2000);
	}
	over = true;
	pthread_join(thief, NULL);
	printf("%d\n", count);
	return 0;
}

int main(int argc, char **argv)
{
	int numbers[3] = { 0 };

	for (int i = 2; i < argc && i < 5; i++)
		numbers[i - 2] = (int)strtol(argv[i], NULL, 10);
	if (argc == 4 && strcmp(argv[1], "processes") == 0)
		return processes(numbers[0], numbers[1]);
	if (argc == 5 && strcmp(argv[1], "forks") == 0)
		return forks(numbers[0], numbers[1], numbers[2]);
	if (argc == 3 && strcmp(argv[1], "unmap") == 0)
		return unmap(numbers[0]);
	fprintf(stderr, "usage: storm processes PORT N | forks PORT N M | unmap N\n");
	return 2;
}
