// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/injection.h"

#include <errno.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/event.h"
#include "spanloom.skel.h"
#include "user/base/hash.h"
#include "user/kernel/injection_probe.h"
#include "user/log.h"

#define SECOND_NS     1000000000ULL
#define STILL_SECONDS 3	 /* that bytes may stand still in a socket */
#define STUCK_MAX     16 /* sockets that may in a minute, before injection ends */
#define MINUTE_TICKS  60

/* A socket with bytes under way, as of the last look. */
struct watched {
	UT_hash_handle hh;
	struct inject_socket_state state;
	unsigned int still; /* looks that found the same */
	uint64_t look;
};

struct injection {
	struct spanloom_bpf *skel;
	struct bpf_link *sockets; /* NULL: it has ended */
	struct bpf_link *join;	  /* iterators; NULL: this kernel has none */
	struct bpf_link *watch;
	bool joins; /* some wait to */
	uint64_t next_ns;
	uint64_t look;
	unsigned int stuck; /* in this minute */
	struct watched *watched;
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
	struct watched *w, *next;

	bpf_link__destroy(in->sockets);
	bpf_link__destroy(in->join);
	bpf_link__destroy(in->watch);
	in->sockets = in->join = in->watch = NULL;
	bpf_prog_detach2(bpf_program__fd(in->skel->progs.inject_message),
			 bpf_map__fd(in->skel->maps.sockets), BPF_SK_MSG_VERDICT);
	leave_all(in);
	HASH_ITER (hh, in->watched, w, next) {
		HASH_DEL(in->watched, w);
		free(w);
	}
}

struct injection *injection__start(struct spanloom_bpf *skel)
{
	struct injection *in = calloc(1, sizeof(*in));
	int err;

	if (!in)
		return NULL;
	in->skel = skel;
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

/* The same bytes as at the last look? */
static bool same(const struct inject_socket_state *a, const struct inject_socket_state *b)
{
	bool unsent = a->unsent[0] != a->unsent[1] && a->unsent[0] == b->unsent[0];
	bool unread = a->unread[0] != a->unread[1] && a->unread[0] == b->unread[0];

	return unsent || unread;
}

/* NULL: no memory. */
static struct watched *injection__begin_to_watch(struct injection *in,
						 const struct inject_socket_state *state)
{
	struct watched *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->state = *state;
	HASH_ADD(hh, in->watched, state.conn_id, sizeof(w->state.conn_id), w);
	if (hash__has(&w->hh))
		return w;
	free(w);
	return NULL;
}

static void injection__look_at(struct injection *in, const struct inject_socket_state *state)
{
	struct watched *w;

	HASH_FIND(hh, in->watched, &state->conn_id, sizeof(state->conn_id), w);
	if (!w)
		w = injection__begin_to_watch(in, state);
	if (!w)
		return; /* with the next look */
	w->still = w->look + 1 == in->look && same(state, &w->state) ? w->still + 1 : 0;
	w->state = *state;
	w->look = in->look;
	if (w->still < STILL_SECONDS)
		return;
	w->still = 0;
	in->stuck++;
	log_debug("inject", "connection %llx stands still, it leaves",
		  (unsigned long long)state->conn_id);
	injection__leave(in, state->conn_id);
}

static void injection__forget(struct injection *in)
{
	struct watched *w, *next;

	HASH_ITER (hh, in->watched, w, next) {
		if (w->look == in->look)
			continue;
		HASH_DEL(in->watched, w);
		free(w);
	}
}

static void injection__watch(struct injection *in)
{
	struct inject_socket_state states[1024];
	ssize_t len = in->watch ? iterate(in->watch, states, sizeof(states)) : 0;

	if (len < 0) {
		log_warn("inject", "sockets that get headers cannot be looked at: %s",
			 errstr((int)len));
		return;
	}
	if (++in->look % MINUTE_TICKS == 0)
		in->stuck = 0;
	for (size_t i = 0; i < (size_t)len / sizeof(states[0]); i++)
		injection__look_at(in, &states[i]);
	injection__forget(in);
	if (in->stuck < STUCK_MAX)
		return;
	log_warn("inject",
		 "header injection ends: %u connections stood still within a minute; requests go "
		 "out without traceparent, --inject off avoids it",
		 in->stuck);
	injection__end(in);
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
