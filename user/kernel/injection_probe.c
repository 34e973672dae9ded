// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/injection_probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/magic.h>

#include "user/log.h"

#define ANSWER_MS 1000 /* for bytes that go through loopback */

/* ---- the probe -------------------------------------------------------------------------- */

struct probe {
	int sockets_fd; /* the map, and the program that its sockets' sends pass by */
	int message_fd;
	int listener;
	int client;
	int server;
};

static int probe__load(struct probe *p)
{
	const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = SK_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_SK_MSG_VERDICT);

	p->sockets_fd = bpf_map_create(BPF_MAP_TYPE_SOCKHASH, "probe_sockets", sizeof(uint64_t),
				       sizeof(uint32_t), 1, NULL);
	if (p->sockets_fd < 0)
		return -errno;
	p->message_fd = bpf_prog_load(BPF_PROG_TYPE_SK_MSG, "probe_pass", "GPL", pass,
				      sizeof(pass) / sizeof(pass[0]), &opts);
	if (p->message_fd < 0)
		return -errno;
	if (bpf_prog_attach(p->message_fd, p->sockets_fd, BPF_SK_MSG_VERDICT, 0))
		return -errno;
	return 0;
}

static int probe__connect(struct probe *p)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	p->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (p->listener < 0 || p->client < 0 ||
	    bind(p->listener, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(p->listener, 1) || getsockname(p->listener, (struct sockaddr *)&address, &len) ||
	    connect(p->client, (struct sockaddr *)&address, sizeof(address)))
		return -errno;
	p->server = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
	return p->server < 0 ? -errno : 0;
}

/* How many bytes a program would be told that it can read, once there are some. */
static int probe__readable(int fd)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	int bytes = 0;

	if (poll(&ready, 1, ANSWER_MS) != 1)
		return -ETIMEDOUT;
	return ioctl(fd, FIONREAD, &bytes) ? -errno : bytes;
}

/* Puts the client into the map, and lets it talk.  0 or a negative errno; @readable as above. */
static int probe__talk(const struct probe *p, int *readable)
{
	const char word[] = "ping";
	uint64_t key = 1;
	char heard[sizeof(word)] = "";

	if (bpf_map_update_elem(p->sockets_fd, &key, &p->client, BPF_ANY))
		return -errno;
	if (send(p->client, word, sizeof(word), MSG_NOSIGNAL) != sizeof(word))
		return -EIO;
	if (probe__readable(p->server) < 0 ||
	    recv(p->server, heard, sizeof(heard), MSG_DONTWAIT) != sizeof(word) ||
	    memcmp(word, heard, sizeof(word)) != 0)
		return -EIO;
	if (send(p->server, word, sizeof(word), MSG_NOSIGNAL) != sizeof(word))
		return -EIO;
	*readable = probe__readable(p->client);
	return *readable < 0 ? *readable : 0;
}

static void probe__close(const struct probe *p)
{
	const int fds[] = { p->client, p->server, p->listener, p->message_fd, p->sockets_fd };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* A file descriptor or a negative errno: something else may be mounted over it. */
static int open_mounted(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err;
	struct statfs fs;

	if (fd < 0)
		return -errno;
	err = fstatfs(fd, &fs) ? -errno : 0;
	if (!err && fs.f_type == CGROUP2_SUPER_MAGIC)
		return fd;
	close(fd);
	return err ? err : -ENOENT;
}

static bool is_root(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && st.st_ino == ROOT_CGROUP_INO;
}

/* Keeps one of the two, if there is one, and closes the other. */
static int better(int a, int b)
{
	int kept = a < 0 || is_root(b) ? b : a;
	int other = kept == a ? b : a;

	if (other >= 0)
		close(other);
	return kept;
}

/* One group may be mounted by itself before the root of all is. */
int injection__open_cgroups(void)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent *entry;
	int fd = -ENOENT;

	if (!mounts)
		return -errno;
	while (!is_root(fd) && (entry = getmntent(mounts)))
		if (strcmp(entry->mnt_type, "cgroup2") == 0)
			fd = better(fd, open_mounted(entry->mnt_dir));
	endmntent(mounts);
	return fd;
}

enum injection_state injection__probe(char *detail, size_t len)
{
	struct probe p = { -1, -1, -1, -1, -1 };
	int readable = 0, cgroups = injection__open_cgroups(), err;
	enum injection_state state = INJECTION_IMPOSSIBLE;

	if (cgroups < 0) {
		snprintf(detail, len, "cgroup v2 is not mounted: %s", errstr(cgroups));
		return INJECTION_IMPOSSIBLE;
	}
	close(cgroups);
	err = probe__load(&p);
	if (!err)
		err = probe__connect(&p);
	if (!err)
		err = probe__talk(&p, &readable);
	if (err == -EBUSY) {
		snprintf(detail, len,
			 "another program (spanloom, Cilium) takes this host's sockets");
	} else if (err) {
		snprintf(detail, len, "a socket in a map of sockets: %s", errstr(err));
	} else if (!readable) {
		state = INJECTION_HARMFUL;
		snprintf(detail, len,
			 "this kernel tells programs (FIONREAD) that there is nothing to read");
	} else {
		state = INJECTION_SAFE;
		snprintf(detail, len, "sockets work as ever in a map of sockets");
	}
	probe__close(&p);
	return state;
}
