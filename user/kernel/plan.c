// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/plan.h"

#include <errno.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "bpf/ids.h"
#include "spanloom.skel.h"
#include "user/kernel/injection.h"
#include "user/log.h"

#define CONNS_BY_ADDRESS 65536 /* connections followed where socket storage is not to be had */
#define GOROUTINES	 16384 /* that serve, and whose children's calls get likely links */
#define CONTEXTS	 4096  /* connections whose newest request's trace context is at hand */
#define OPEN_HEADS	 512   /* of these, with a head that came only in part */
#define WAKEUP_BYTES_MAX (256 * 1024)
#define RING_BYTES_MIN	 (64 * 1024)
#define RING_BYTES_MAX	 (1024 * 1024 * 1024)
#define STACK_BYTES_MIN	 (16 * 1024)
#define TP_TRANSFERS	 2 /* SLOT_SEND and SLOT_RECV of bpf/conn.bpf.h; their twins are next */

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

bool plan__waits(const char *name)
{
	return starts_with(name, "go_") || starts_with(name, "python_");
}

/* Does the kernel have the symbol @wanted?  /proc/kallsyms: "ADDRESS TYPE NAME". */
static bool has_symbol(const char *wanted)
{
	FILE *symbols = fopen("/proc/kallsyms", "re");
	char line[512], name[128];
	bool found = false;

	if (!symbols)
		return false;
	while (!found && fgets(line, sizeof(line), symbols))
		found = sscanf(line, "%*s %*s %127s", name) == 1 && strcmp(name, wanted) == 0;
	fclose(symbols);
	return found;
}

/* What of the kernel decides. */
struct traits {
	bool send_tracepoint; /* for the starts of TCP sends: 6.16, 0f08335ade71 */
	bool preempts;	      /* programs of tracepoints: 7.0, a46023d5616e */
	bool misses;	      /* programs of sockets may not run where they should */
	bool unix_ends;	      /* no end of a unix socket goes by unseen */
	bool allocates;	      /* whatever programs run in: 6.1, fba1a1c6c912 */
};

/* Can a thread be preempted in the kernel?  "none voluntary (full)"; where that cannot be read, the
 * kernel's version says what it was built for. */
static bool kernel_preempts(void)
{
	FILE *modes = fopen("/sys/kernel/debug/sched/preempt", "re");
	struct utsname name;
	char line[128];
	bool known;

	if (!modes)
		return uname(&name) || strstr(name.version, "PREEMPT");
	known = fgets(line, sizeof(line), modes);
	fclose(modes);
	return !known || strstr(line, "(full)") || strstr(line, "(lazy)");
}

/* Before 6.13 the symbol was there for something else, but not the tracepoint. */
static struct traits traits_of(const struct plan *plan, const struct btf *btf)
{
	struct traits traits = { .send_tracepoint =
					 target_exists(btf, "tp_btf/tcp_sendmsg_locked") };

	traits.allocates = btf__find_by_name_kind(btf, "bpf_mem_alloc", BTF_KIND_STRUCT) > 0;
	traits.preempts =
		plan->family == HOOKS_TP && traits.send_tracepoint && has_symbol("tracepoint_srcu");
	/* a program is not run where it is under way on that processor, a kretprobe not for more
	 * threads at a time than it was given room for */
	traits.misses = traits.preempts || plan->family == HOOKS_KPROBE ||
			(plan->family == HOOKS_FENTRY && kernel_preempts());
	traits.unix_ends =
		plan->extras && !kernel_preempts() && target_exists(btf, "fentry/unix_release");
	return traits;
}

/*
 * A program's name begins with its hook family; without one it is for every family.  "twin_":
 * for tp where that can be preempted.  "extra_": for fentry, and for tp where fentry works; of
 * these the starts of TCP sends only where there is no tracepoint for them.
 */
static bool plan__has(const struct plan *plan, const struct tracer_config *config, const char *name,
		      const struct traits *traits)
{
	bool tp = plan->family == HOOKS_TP;

	if (starts_with(name, "tp_"))
		return tp;
	if (starts_with(name, "twin_"))
		return traits->preempts;
	if (starts_with(name, "fentry_"))
		return plan->family == HOOKS_FENTRY;
	if (starts_with(name, "kprobe_"))
		return plan->family == HOOKS_KPROBE;
	if (starts_with(name, "inject_"))
		return config->inject;
	if (starts_with(name, "option_"))
		return config->tcp_option;
	if (starts_with(name, "python_"))
		return config->python;
	if (starts_with(name, "extra_inet"))
		return plan->extras && !(tp && traits->send_tracepoint);
	if (starts_with(name, "extra_"))
		return plan->extras;
	return true;
}

static int select_programs(struct spanloom_bpf *skel, const struct tracer_config *config,
			   const struct plan *plan, const struct btf *btf,
			   const struct traits *traits)
{
	struct bpf_program *prog;
	int err;

	bpf_object__for_each_program(prog, skel->obj)
	{
		const char *name = bpf_program__name(prog);
		const char *section = bpf_program__section_name(prog);
		bool wanted = plan__has(plan, config, name, traits);

		if (wanted && !plan__waits(name) && !target_exists(btf, section)) {
			log_debug("tracer", "%s: this kernel has no %s", name, section);
			wanted = false;
		}
		err = bpf_program__set_autoload(prog, wanted);
		if (err)
			return err;
		/* these are attached to more than a name says; injection.c, tcp_option.c */
		bpf_program__set_autoattach(prog, !starts_with(name, "inject_") &&
							  !starts_with(name, "option_"));
	}
	return 0;
}

static uint32_t power_of_two(uint32_t bytes)
{
	uint32_t size = RING_BYTES_MIN;

	while (size < bytes && size < RING_BYTES_MAX)
		size <<= 1;
	return size;
}

/* On arm64 stacks are a page where that is larger; on x86-64 no page is. */
static long kernel_stack_bytes(void)
{
	long page = sysconf(_SC_PAGESIZE);

	return page > STACK_BYTES_MIN ? page : STACK_BYTES_MIN;
}

static void set_knobs(struct spanloom_bpf *skel, const struct tracer_config *config,
		      const struct plan *plan, const struct traits *traits)
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
	skel->rodata->twins_wanted = traits->preempts;
	skel->rodata->misses_possible = traits->misses;
	skel->rodata->unix_ends_seen = traits->unix_ends;
	skel->rodata->contexts_wanted = config->contexts;
	skel->rodata->option_wanted = config->tcp_option;
	skel->rodata->inject_wanted = config->inject;
	skel->rodata->inject_blocking = config->inject_blocking;
	skel->rodata->inject_asks = config->inject_asks;
	skel->rodata->sampler_parent_based = config->parent_based;
	skel->rodata->root_state_len = (uint8_t)strnlen(config->root_state, ROOT_STATE_MAX);
	memcpy(skel->rodata->root_state, config->root_state, skel->rodata->root_state_len);
	skel->rodata->sampler_threshold = config->sampler_threshold;
	skel->rodata->id_key[0] = key.word[0];
	skel->rodata->id_key[1] = key.word[1];
	skel->rodata->stack_bytes = (uint32_t)kernel_stack_bytes();
	skel->rodata->wakeup_bytes =
		ring_bytes / 4 < WAKEUP_BYTES_MAX ? ring_bytes / 4 : WAKEUP_BYTES_MAX;
}

/*
 * Kprobes must not allocate before 6.1, and the kernel warns of maps that would (94dacdbd5d2d,
 * 34dd3bad1a6f).  All their memory is taken beforehand there, so they have room for less.
 */
static int preallocate(struct spanloom_bpf *skel)
{
	const struct {
		struct bpf_map *map;
		uint32_t entries;
	} maps[] = {
		{ skel->maps.conns_by_address, 8192 },
		{ skel->maps.scope, 2048 },
		{ skel->maps.loops, 512 },
		{ skel->maps.sdk_processes, 256 },
		{ skel->maps.unread, 1024 },
	};
	int err = 0;

	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]) && !err; i++) {
		err = bpf_map__set_map_flags(maps[i].map, 0);
		if (!err)
			err = bpf_map__set_max_entries(maps[i].map, maps[i].entries);
	}
	return err;
}

/* What the hooks of every family may let grow now: most hosts need little of it. */
static int allocate_late(struct spanloom_bpf *skel)
{
	int err = bpf_map__set_map_flags(skel->maps.runtimes, BPF_F_NO_PREALLOC);

	return err ? err : bpf_map__set_map_flags(skel->maps.workers, BPF_F_NO_PREALLOC);
}

static int set_sizes(struct spanloom_bpf *skel, const struct tracer_config *config,
		     const struct plan *plan, const struct traits *traits)
{
	bool twins = traits->preempts;
	int err;

	err = bpf_map__set_max_entries(skel->maps.events, power_of_two(config->ring_bytes));
	if (!err && plan->family == HOOKS_TP && !plan->extras)
		err = bpf_map__set_max_entries(skel->maps.transfers,
					       (twins ? 2 : 1) * TP_TRANSFERS);
	if (!err && !twins) /* the last one is the twin's */
		err = bpf_map__set_max_entries(skel->maps.heads,
					       bpf_map__max_entries(skel->maps.heads) - 1);
	if (!err && !twins)
		err = bpf_map__set_autocreate(skel->maps.twin_marks, false);
	if (!err && !plan->use_sk_storage)
		err = bpf_map__set_max_entries(skel->maps.conns_by_address, CONNS_BY_ADDRESS);
	if (!err && traits->allocates)
		err = allocate_late(skel);
	else if (!err && plan->family == HOOKS_KPROBE)
		err = preallocate(skel);
	if (!err && plan->family != HOOKS_KPROBE)
		err = bpf_map__set_max_entries(skel->maps.kprobe_calls, 1);
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
		err = bpf_map__set_max_entries(skel->maps.received, 1);
	if (!err && !config->inject)
		err = bpf_map__set_autocreate(skel->maps.sockets, false);
	if (!err && !config->tcp_option)
		err = bpf_map__set_autocreate(skel->maps.options, false);
	return err;
}

unsigned int plan__ports_max(void)
{
	return sizeof(((struct spanloom_bpf__rodata *)0)->ports) / sizeof(uint16_t);
}

int plan__apply(const struct plan *plan, const struct tracer_config *config,
		struct spanloom_bpf *skel)
{
	struct btf *btf = btf__load_vmlinux_btf();
	struct traits traits;
	int err;

	if (!btf)
		return -errno;
	traits = traits_of(plan, btf);
	set_knobs(skel, config, plan, &traits);
	err = set_sizes(skel, config, plan, &traits);
	if (!err)
		err = select_programs(skel, config, plan, btf, &traits);
	btf__free(btf);
	return err;
}
