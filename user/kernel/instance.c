// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/instance.h"

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Abstract: a NUL before the name, and no NUL after it. */
static const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "\0spanloom" };
static const socklen_t address_len =
	offsetof(struct sockaddr_un, sun_path) + sizeof("\0spanloom") - 1;

/* Nobody accepts the connection: to whom it leads is known without. */
static uint32_t listener_pid(void)
{
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return 0;
	if (connect(fd, (const struct sockaddr *)&address, address_len) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		peer.pid = 0;
	close(fd);
	return peer.pid > 0 ? (uint32_t)peer.pid : 0;
}

int instance__claim(uint32_t *owner_pid)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err = 0;

	*owner_pid = 0;
	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&address, address_len) || listen(fd, SOMAXCONN))
		err = -errno;
	if (!err)
		return fd;
	close(fd);
	if (err == -EADDRINUSE)
		*owner_pid = listener_pid();
	return err;
}
