// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/injection.h"

#include <errno.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/event.h"
#include "spanloom.skel.h"
#include "user/kernel/injection_probe.h"
#include "user/kernel/stalls.h"
#include "user/log.h"

#define SECOND_NS   1000000000ULL
#define WATCHED_MAX 1024 /* sockets that are looked at at once; the others with the next look */

struct injection {
	struct spanloom_bpf *skel;
	struct bpf_link *sockets; /* NULL: it has ended */
	struct bpf_link *join;	  /* iterators; NULL: this kernel has none */
	struct bpf_link *watch;
	bool joins; /* some wait to */
	bool sound; /* the kernel was, at the start */
	uint64_t next_ns;
	struct stalls stalls;
};

int injection__set_sizes(struct spanloom_bpf *skel)
{
	int cpus = libbpf_num_possible_cpus();

	if (cpus < 0)
		return cpus;
	/* as it stands, it is for one processor */
	return bpf_map__set_max_entries(skel->maps.inject_seats,
					bpf_map__max_entries(skel->maps.inject_seats) *
						(uint32_t)cpus);
}

/* ---- begin and end ---------------------------------------------------------------------- */

static struct bpf_link *attach_watch(struct spanloom_bpf *skel)
{
	union bpf_iter_link_info info = { .map.map_fd = (__u32)bpf_map__fd(skel->maps.sockets) };
	LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));

	return bpf_program__attach_iter(skel->progs.inject_watch, &opts);
}

static int attach(struct injection *in)
{
	struct spanloom_bpf *skel = in->skel;
	int cgroups;

	if (bpf_prog_attach(bpf_program__fd(skel->progs.inject_message),
			    bpf_map__fd(skel->maps.sockets), BPF_SK_MSG_VERDICT, 0))
		return -errno;
	cgroups = injection__open_cgroups();
	if (cgroups < 0)
		return cgroups;
	in->sockets = bpf_program__attach_cgroup(skel->progs.inject_socket, cgroups);
	close(cgroups); /* the link holds the group */
	return in->sockets ? 0 : -errno;
}

/* A socket in the map keeps the program that was attached when it joined: all must leave. */
static void leave_all(struct injection *in)
{
	int map = bpf_map__fd(in->skel->maps.sockets);
	__u32 left = bpf_map__max_entries(in->skel->maps.sockets);
	uint64_t conn_id;

	while (left-- && !bpf_map_get_next_key(map, NULL, &conn_id))
		injection__leave(in, conn_id);
}

static void injection__end(struct injection *in)
{
	bpf_link__destroy(in->sockets);
	bpf_link__destroy(in->join);
	bpf_link__destroy(in->watch);
	in->sockets = in->join = in->watch = NULL;
	bpf_prog_detach2(bpf_program__fd(in->skel->progs.inject_message),
			 bpf_map__fd(in->skel->maps.sockets), BPF_SK_MSG_VERDICT);
	leave_all(in);
	stalls__reset(&in->stalls);
}

/* ---- what the watch finds --------------------------------------------------------------- */

static void on_stalled(void *ctx, uint64_t conn_id)
{
	log_debug("inject", "connection %llx stands still, or its process rests: it leaves",
		  (unsigned long long)conn_id);
	injection__leave(ctx, conn_id);
}

static void on_rest(void *ctx, uint32_t tgid, unsigned int seconds)
{
	const struct injection *in = ctx;
	int map = bpf_map__fd(in->skel->maps.resting), err;
	uint32_t rests = 1;

	if (seconds) {
		log_warn("inject",
			 "%d connections of pid %u stood still within a minute: for %u s its "
			 "requests go out without traceparent; --inject-exclude leaves it alone",
			 STALLS_OF_PROCESS, tgid, seconds);
		err = bpf_map_update_elem(map, &tgid, &rests, BPF_ANY);
	} else {
		log_info("inject", "new connections of pid %u get headers again", tgid);
		err = bpf_map_delete_elem(map, &tgid);
	}
	if (err)
		log_warn("inject", "pid %u cannot be left alone, or no more: %s", tgid,
			 errstr(err));
}

struct injection *injection__start(struct spanloom_bpf *skel)
{
	struct injection *in = calloc(1, sizeof(*in));
	struct stalls_callbacks callbacks = { .leave = on_stalled, .rest = on_rest, .ctx = in };
	char detail[128];
	int err;

	if (!in)
		return NULL;
	in->skel = skel;
	in->sound = injection__probe(detail, sizeof(detail)) == INJECTION_SAFE;
	stalls__init(&in->stalls, &callbacks);
	err = attach(in);
	if (err) {
		injection__stop(in);
		errno = -err;
		return NULL;
	}
	in->join = bpf_program__attach_iter(skel->progs.inject_join, NULL);
	if (!in->join)
		log_info("inject", "connections that are open already get no headers: %s",
			 errstr(errno));
	in->watch = attach_watch(skel);
	if (!in->watch)
		log_warn("inject", "sockets that get headers cannot be watched: %s", errstr(errno));
	return in;
}

void injection__stop(struct injection *in)
{
	if (!in)
		return;
	injection__end(in);
	free(in);
}

/* ---- joining and leaving ---------------------------------------------------------------- */

void injection__join(struct injection *in, uint64_t conn_id)
{
	uint32_t wanted = 1;

	if (!in || !in->join)
		return;
	if (bpf_map_update_elem(bpf_map__fd(in->skel->maps.joins), &conn_id, &wanted, BPF_ANY))
		log_debug("inject", "connection %llx cannot join: %s", (unsigned long long)conn_id,
			  errstr(errno));
	else
		in->joins = true;
}

void injection__proven(struct injection *in, uint64_t conn_id)
{
	uint32_t verdict = VERDICT_PROVEN;

	/* Without it the connection is only followed: it costs, and gains nothing. */
	if (in &&
	    bpf_map_update_elem(bpf_map__fd(in->skel->maps.verdicts), &conn_id, &verdict, BPF_ANY))
		injection__leave(in, conn_id);
}

void injection__leave(struct injection *in, uint64_t conn_id)
{
	if (!in)
		return;
	if (bpf_map_delete_elem(bpf_map__fd(in->skel->maps.sockets), &conn_id) && errno != ENOENT &&
	    errno != EINVAL) /* that one has closed, or left before */
		log_debug("inject", "connection %llx cannot leave: %s", (unsigned long long)conn_id,
			  errstr(errno));
}

/* Runs an iterator; what it writes goes to @out.  Bytes, or a negative errno. */
static ssize_t iterate(struct bpf_link *link, void *out, size_t len)
{
	int fd = bpf_iter_create(bpf_link__fd(link));
	size_t filled = 0;
	ssize_t got = 0;

	if (fd < 0)
		return -errno;
	while (filled < len) {
		got = read(fd, (char *)out + filled, len - filled);
		if (got <= 0)
			break;
		filled += (size_t)got;
	}
	if (got < 0)
		got = -errno;
	close(fd);
	return got < 0 ? got : (ssize_t)filled;
}

static void injection__admit(struct injection *in)
{
	char nothing[8];
	ssize_t err;

	if (!in->joins || !in->join)
		return;
	in->joins = false;
	err = iterate(in->join, nothing, sizeof(nothing));
	if (err < 0)
		log_warn("inject", "sockets cannot be gone through: %s", errstr((int)err));
}

/* ---- watching --------------------------------------------------------------------------- */

/* Many connections stand still: is it the kernel's fault?  Where it was known to be at fault from
 * the start, who forced us knows; the programs that suffer rest. */
static void injection__examine(struct injection *in)
{
	char detail[128];
	bool sound = injection__probe(detail, sizeof(detail)) == INJECTION_SAFE;

	log_debug("inject", "many connections stand still; the kernel: %s", detail);
	if (!stalls__examined(&in->stalls, sound || !in->sound))
		return;
	log_warn("inject",
		 "header injection ends: connections stand still, and %s; requests go out without "
		 "traceparent",
		 detail);
	injection__end(in);
}

static void injection__watch(struct injection *in)
{
	struct inject_socket_state states[WATCHED_MAX];
	ssize_t len = in->watch ? iterate(in->watch, states, sizeof(states)) : 0;

	if (len < 0)
		log_warn("inject", "sockets that get headers cannot be looked at: %s",
			 errstr((int)len));
	else if (stalls__look(&in->stalls, states, (size_t)len / sizeof(states[0])))
		injection__examine(in);
}

void injection__tick(struct injection *in, uint64_t now_ns)
{
	if (!in || !in->sockets)
		return;
	injection__admit(in);
	if (now_ns < in->next_ns)
		return;
	in->next_ns = now_ns + SECOND_NS;
	injection__watch(in);
}
