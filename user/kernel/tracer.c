// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/tracer.h"

#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "bpf/ids.h"
#include "spanloom.skel.h"
#include "user/kernel/complaint.h"
#include "user/kernel/injection.h"
#include "user/kernel/instance.h"
#include "user/kernel/inventory.h"
#include "user/log.h"

#define CONNS_BY_ADDRESS 65536 /* connections followed where socket storage is not to be had */
#define GOROUTINES	 16384 /* that serve, and whose children's calls get likely links */
#define CONTEXTS	 4096  /* connections whose newest request's trace context is at hand */
#define OPEN_HEADS	 512   /* of these, with a head that came only in part */
#define WAKEUP_BYTES_MAX (256 * 1024)
#define RING_BYTES_MIN	 (64 * 1024)
#define RING_BYTES_MAX	 (1024 * 1024 * 1024)
#define TP_TRANSFERS	 2 /* SLOT_SEND and SLOT_RECV of bpf/conn.bpf.h */
#define PORTS_MAX	 (sizeof(((struct spanloom_bpf__rodata *)0)->ports) / sizeof(uint16_t))

#define DRAIN_STOP	 (-ECANCELED) /* libbpf gives the record back as read, and stops */

struct tracer {
	struct spanloom_bpf *skel;
	struct ring_buffer *ring;
	struct injection *injection; /* or NULL */
	tracer_record_fn fn;
	void *ctx;
	int drained;  /* records of this drain */
	int claim_fd; /* user/kernel/instance.h */
};

/* ---- what to load ----------------------------------------------------------------------- */

/* One way to try. */
struct plan {
	enum hook_family family;
	bool use_sk_storage;
	bool extras; /* programs "extra_" of bpf/sock_fentry.bpf.c */
	bool inject;
};

static bool starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* Does the kernel have what the program hangs on?  @section: "tp_btf/NAME", "iter/NAME" ... */
static bool target_exists(const struct btf *btf, const char *section)
{
	const char *name = strchr(section, '/');
	char type[128];

	if (!name) /* "sk_msg", "sockops": hang on nothing */
		return true;
	name++;
	if (starts_with(section, "iter/")) {
		snprintf(type, sizeof(type), "bpf_iter_%s", name);
		return btf__find_by_name_kind(btf, type, BTF_KIND_FUNC) > 0;
	}
	if (!starts_with(section, "tp_btf/"))
		return btf__find_by_name_kind(btf, name, BTF_KIND_FUNC) > 0;
	snprintf(type, sizeof(type), "btf_trace_%s", name);
	return btf__find_by_name_kind(btf, type, BTF_KIND_TYPEDEF) > 0;
}

/* Is it for functions of programs?  Those are attached as such programs are found. */
static bool is_probe(const char *name)
{
	return starts_with(name, "go_") || starts_with(name, "python_");
}

/*
 * A program's name begins with its hook family; without one it is for every family.  "extra_":
 * for fentry, and for tp where fentry works; of these the starts of TCP sends only where there
 * is no tracepoint for them (6.16, 0f08335ade71).
 */
static bool in_plan(const char *name, const struct plan *plan, bool has_send_tracepoint)
{
	bool tp = plan->family == HOOKS_TP;

	if (starts_with(name, "tp_"))
		return tp;
	if (starts_with(name, "fentry_"))
		return plan->family == HOOKS_FENTRY;
	if (starts_with(name, "kprobe_"))
		return plan->family == HOOKS_KPROBE;
	if (starts_with(name, "inject_"))
		return plan->inject;
	if (starts_with(name, "extra_inet"))
		return plan->extras && !(tp && has_send_tracepoint);
	if (starts_with(name, "extra_"))
		return plan->extras;
	return true;
}

static int select_programs(struct spanloom_bpf *skel, const struct plan *plan, bool python)
{
	struct btf *btf = btf__load_vmlinux_btf();
	struct bpf_program *prog;
	bool send_tracepoint;
	int err;

	if (!btf)
		return -errno;
	send_tracepoint = target_exists(btf, "tp_btf/tcp_sendmsg_locked");
	bpf_object__for_each_program(prog, skel->obj)
	{
		const char *name = bpf_program__name(prog);
		const char *section = bpf_program__section_name(prog);
		bool wanted = in_plan(name, plan, send_tracepoint) &&
			      (python || !starts_with(name, "python_"));

		if (wanted && !is_probe(name) && !target_exists(btf, section)) {
			log_debug("tracer", "%s: this kernel has no %s", name, section);
			wanted = false;
		}
		err = bpf_program__set_autoload(prog, wanted);
		if (err)
			goto out;
		/* these are attached to more than a name says; injection.c */
		bpf_program__set_autoattach(prog, !starts_with(name, "inject_"));
	}
	err = 0;
out:
	btf__free(btf);
	return err;
}

static uint32_t power_of_two(uint32_t bytes)
{
	uint32_t size = RING_BYTES_MIN;

	while (size < bytes && size < RING_BYTES_MAX)
		size <<= 1;
	return size;
}

static void set_knobs(struct spanloom_bpf *skel, const struct tracer_config *config,
		      const struct plan *plan)
{
	struct ids_key key = ids__key(config->id_key);
	uint32_t ring_bytes = power_of_two(config->ring_bytes);

	skel->rodata->self_tgid = config->self_tgid;
	skel->rodata->capture_bytes = config->capture_bytes;
	skel->rodata->port_count = config->port_count;
	for (unsigned int i = 0; i < config->port_count; i++)
		skel->rodata->ports[i] = config->ports[i];
	skel->rodata->scope_default_skip = config->scope_default_skip;
	skel->rodata->db_server_spans = config->db_server_spans;
	skel->rodata->likely_links = config->likely_links;
	skel->rodata->use_sk_storage = plan->use_sk_storage;
	skel->rodata->contexts_wanted = config->contexts;
	skel->rodata->inject_blocking = config->inject_blocking;
	skel->rodata->inject_asks = config->inject_asks;
	skel->rodata->sampler_parent_based = config->parent_based;
	skel->rodata->root_state_len = (uint8_t)strnlen(config->root_state, ROOT_STATE_MAX);
	memcpy(skel->rodata->root_state, config->root_state, skel->rodata->root_state_len);
	skel->rodata->sampler_threshold = config->sampler_threshold;
	skel->rodata->id_key[0] = key.word[0];
	skel->rodata->id_key[1] = key.word[1];
	skel->rodata->wakeup_bytes =
		ring_bytes / 4 < WAKEUP_BYTES_MAX ? ring_bytes / 4 : WAKEUP_BYTES_MAX;
}

static int set_sizes(struct spanloom_bpf *skel, const struct tracer_config *config,
		     const struct plan *plan)
{
	int err;

	err = bpf_map__set_max_entries(skel->maps.events, power_of_two(config->ring_bytes));
	if (!err && plan->family == HOOKS_TP && !plan->extras)
		err = bpf_map__set_max_entries(skel->maps.transfers, TP_TRANSFERS);
	if (!err && !plan->use_sk_storage)
		err = bpf_map__set_max_entries(skel->maps.conns_by_address, CONNS_BY_ADDRESS);
	if (!err && !config->python)
		err = bpf_map__set_max_entries(skel->maps.python_contexts, 1);
	if (!err && config->likely_links)
		err = bpf_map__set_max_entries(skel->maps.births, GOROUTINES);
	if (!err && config->contexts)
		err = bpf_map__set_max_entries(skel->maps.contexts, CONTEXTS);
	if (!err && config->contexts)
		err = bpf_map__set_max_entries(skel->maps.open_heads, OPEN_HEADS);
	if (!err && config->inject)
		err = injection__set_sizes(skel);
	if (!err && !config->inject)
		err = bpf_map__set_autocreate(skel->maps.sockets, false);
	return err;
}

static int load(struct tracer *t, const struct tracer_config *config, const struct plan *plan)
{
	int err;

	t->skel = spanloom_bpf__open();
	if (!t->skel)
		return -errno;
	set_knobs(t->skel, config, plan);
	err = set_sizes(t->skel, config, plan);
	if (!err)
		err = select_programs(t->skel, plan, config->python);
	if (!err)
		err = spanloom_bpf__load(t->skel);
	return err;
}

/* ---- the tracer ------------------------------------------------------------------------- */

static int on_record(void *ctx, void *record, size_t size)
{
	struct tracer *t = ctx;
	const struct event_hdr *hdr = record;

	t->drained++;
	if (size < sizeof(*hdr))
		return 0;
	/* The ring gives out sizes of a few classes; hdr.len is what was filled. */
	if (t->fn(t->ctx, record, hdr->len < size ? hdr->len : size))
		return 0;
	return DRAIN_STOP;
}

/* Kernels before 5.11 count map memory as locked memory. */
static void raise_memlock(void)
{
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };

	if (setrlimit(RLIMIT_MEMLOCK, &unlimited) != 0)
		log_debug("tracer", "cannot raise RLIMIT_MEMLOCK: %s", errstr(errno));
}

/* Undoes try_plan(), also a part of it. */
static void stop(struct tracer *t)
{
	injection__stop(t->injection);
	t->injection = NULL;
	ring_buffer__free(t->ring);
	t->ring = NULL;
	spanloom_bpf__destroy(t->skel);
	t->skel = NULL;
}

static int try_plan(struct tracer *t, const struct tracer_config *config, const struct plan *plan,
		    char *why, size_t why_len)
{
	const char *what = "load";
	int err;

	complaint__forget();
	err = load(t, config, plan);
	if (err)
		goto failed;
	what = "read the ring of";
	t->ring = ring_buffer__new(bpf_map__fd(t->skel->maps.events), on_record, t, NULL);
	if (!t->ring) {
		err = -errno;
		goto failed;
	}
	what = "attach";
	err = spanloom_bpf__attach(t->skel);
	if (err)
		goto failed;
	err = inventory__take(t->skel);
	if (err)
		log_info("tracer", "unix sockets: first requests have no parent by peer: %s",
			 errstr(err));
	what = "attach header injection of";
	t->injection = config->inject ? injection__start(t->skel) : NULL;
	if (config->inject && !t->injection) {
		err = -errno;
		goto failed;
	}
	return 0;
failed:
	complaint__explain(why, why_len, what, err);
	stop(t);
	return err;
}

/* Socket storage came to fentry programs in 5.11 (8e4597c627fb), to kprobes never. */
static int start(struct tracer *t, const struct tracer_config *config, char *why, size_t why_len)
{
	const bool inject = config->inject;
	const struct plan plans[] = {
		{ HOOKS_TP, true, true, inject },      { HOOKS_TP, true, false, inject },
		{ HOOKS_FENTRY, true, true, inject },  { HOOKS_FENTRY, false, true, false },
		{ HOOKS_KPROBE, false, false, false },
	};
	int err = -ENOTSUP;

	snprintf(why, why_len, "this kernel allows no family of hooks; see \"spanloom check\"");
	for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
		if (plans[i].family != config->family || plans[i].inject != config->inject ||
		    (plans[i].family == HOOKS_TP && plans[i].extras && !config->fentry))
			continue;
		err = try_plan(t, config, &plans[i], why, why_len);
		if (!err)
			break;
		log_debug("tracer", "%s", why);
	}
	return err;
}

/* A file descriptor to hold, or a negative errno with @why. */
static int claim_host(char *why, size_t why_len)
{
	uint32_t owner = 0;
	int fd = instance__claim(&owner);

	if (fd == -EADDRINUSE)
		snprintf(why, why_len,
			 "another spanloom (pid %u) traces this host already; stop it first",
			 owner);
	else if (fd < 0)
		snprintf(why, why_len, "cannot make sure that no other spanloom runs: %s",
			 errstr(fd));
	return fd;
}

struct tracer *tracer__new(const struct tracer_config *config, tracer_record_fn fn, void *ctx,
			   char *why, size_t why_len)
{
	libbpf_print_fn_t print;
	struct tracer *t;
	int err;

	if (config->port_count > PORTS_MAX) {
		snprintf(why, why_len, "%u ports given: at most %zu", config->port_count,
			 PORTS_MAX);
		return NULL;
	}
	t = calloc(1, sizeof(*t));
	if (!t) {
		snprintf(why, why_len, "out of memory");
		return NULL;
	}
	t->fn = fn;
	t->ctx = ctx;
	t->claim_fd = claim_host(why, why_len);
	if (t->claim_fd < 0) {
		free(t);
		return NULL;
	}
	raise_memlock();
	print = libbpf_set_print(complaint__listen);
	err = start(t, config, why, why_len);
	libbpf_set_print(print);
	if (err) {
		tracer__free(t);
		return NULL;
	}
	return t;
}

void tracer__free(struct tracer *t)
{
	if (!t)
		return;
	stop(t);
	close(t->claim_fd);
	free(t);
}

int tracer__fd(const struct tracer *t)
{
	return ring_buffer__epoll_fd(t->ring);
}

int tracer__drain(struct tracer *t)
{
	int err;

	t->drained = 0;
	err = ring_buffer__consume(t->ring);
	return err < 0 && err != DRAIN_STOP ? err : t->drained;
}

void tracer__detach(struct tracer *t)
{
	injection__stop(t->injection);
	t->injection = NULL;
	spanloom_bpf__detach(t->skel);
}

int tracer__attach(struct tracer *t, const char *program, const char *path, uint64_t offset,
		   bool at_return, struct bpf_link **link)
{
	struct bpf_program *prog = bpf_object__find_program_by_name(t->skel->obj, program);
	libbpf_print_fn_t print;
	int err;

	*link = NULL;
	if (!prog || bpf_program__fd(prog) < 0)
		return -EOPNOTSUPP;
	print = libbpf_set_print(complaint__listen);
	*link = bpf_program__attach_uprobe(prog, at_return, -1, path, offset);
	err = *link ? 0 : -errno;
	libbpf_set_print(print);
	return err;
}

/* The kernel compares epochs only for equality; it must not see the epoch before the entry. */
static void next_epoch(uint32_t *epoch)
{
	__atomic_add_fetch(epoch, 1, __ATOMIC_RELEASE);
}

int tracer__ignore_conn(struct tracer *t, uint64_t conn_id)
{
	uint32_t verdict = VERDICT_IGNORE;
	int err;

	err = bpf_map_update_elem(bpf_map__fd(t->skel->maps.verdicts), &conn_id, &verdict, BPF_ANY);
	if (!err)
		next_epoch(&t->skel->bss->verdict_epoch);
	return err;
}

int tracer__scope(struct tracer *t, uint32_t tgid, uint32_t verdict)
{
	int fd = bpf_map__fd(t->skel->maps.scope);
	uint32_t value = verdict;
	int err;

	if (verdict == SCOPE_UNDECIDED) {
		err = bpf_map_delete_elem(fd, &tgid);
		if (err == -ENOENT)
			return 0;
	} else {
		err = bpf_map_update_elem(fd, &tgid, &value, BPF_ANY);
	}
	if (!err)
		next_epoch(&t->skel->bss->scope_epoch);
	return err;
}

struct injection *tracer__injection(struct tracer *t)
{
	return t->injection;
}

int tracer__runtime(struct tracer *t, uint32_t tgid, const struct process_runtime *runtime)
{
	int fd = bpf_map__fd(t->skel->maps.runtimes);
	int err;

	if (runtime) {
		err = bpf_map_update_elem(fd, &tgid, runtime, BPF_ANY);
	} else {
		err = bpf_map_delete_elem(fd, &tgid);
		if (err == -ENOENT)
			return 0;
	}
	if (!err)
		next_epoch(&t->skel->bss->runtime_epoch);
	return err;
}

int tracer__sdk_process(struct tracer *t, uint32_t tgid, const struct sdk_process *process)
{
	int fd = bpf_map__fd(t->skel->maps.sdk_processes);
	int err;

	if (process)
		return bpf_map_update_elem(fd, &tgid, process, BPF_ANY);
	err = bpf_map_delete_elem(fd, &tgid);
	return err == -ENOENT ? 0 : err;
}

int tracer__counters(const struct tracer *t, uint64_t out[COUNTERS])
{
	int fd = bpf_map__fd(t->skel->maps.counters);
	int cpus = libbpf_num_possible_cpus();
	uint64_t *per_cpu;
	int err = 0;

	if (cpus < 0)
		return cpus;
	per_cpu = calloc(cpus, sizeof(*per_cpu));
	if (!per_cpu)
		return -ENOMEM;
	for (uint32_t i = 0; i < COUNTERS && !err; i++) {
		out[i] = 0;
		err = bpf_map_lookup_elem(fd, &i, per_cpu);
		for (int cpu = 0; cpu < cpus && !err; cpu++)
			out[i] += per_cpu[cpu];
	}
	free(per_cpu);
	return err;
}
