// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/features.h"

#include <cap-ng.h>
#include <errno.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "user/base/slice.h"
#include "user/kernel/attempt.h"
#include "user/kernel/cpython.h"
#include "user/kernel/tcp_option.h"

#define BTF_FILE	"/sys/kernel/btf/vmlinux"
#define LOCKDOWN_FILE	"/sys/kernel/security/lockdown"
#define BPF_STATS_FILE	"/proc/sys/kernel/bpf_stats_enabled"
#define PID_NS_FILE	"/proc/self/ns/pid"
#define INITIAL_PID_NS	0xEFFFFFFCu /* PROC_PID_INIT_INO: fixed in every kernel */
#define KERNEL_ENOTSUPP 524	    /* not in the C library: arm64 before 6.4 has no trampolines */
#define PROBED_FUNCTION "inet_sendmsg"

static const struct {
	unsigned int number;
	const char *name;
} needed_capabilities[] = {
	{ CAP_BPF, "CAP_BPF" },				/* load programs, create maps */
	{ CAP_PERFMON, "CAP_PERFMON" },			/* tracing programs */
	{ CAP_SYS_PTRACE, "CAP_SYS_PTRACE" },		/* /proc/PID/exe, cwd of other users */
	{ CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH" }, /* /proc/PID/environ of other users */
	{ CAP_NET_ADMIN, "CAP_NET_ADMIN" },		/* header injection, TCP options */
};

static const struct {
	const char *name;
	bool required;
	const char *consequence;
	const char *remedy;
} texts[FEATURES] = {
	[FEATURE_ROOT] = { "privileges", true, "no program can be loaded, nothing can be traced",
			   "run as root (sudo), or grant the missing capabilities" },
	[FEATURE_BTF] = { "kernel types (BTF)", true,
			  "programs cannot be fitted to this kernel, nothing can be traced",
			  "use a kernel built with CONFIG_DEBUG_INFO_BTF=y (Debian, Ubuntu, Fedora "
			  "and RHEL kernels are)" },
	[FEATURE_RING_BUFFER] = { "ring buffer", true, "records cannot reach user space",
				  "use Linux 5.8 or newer" },
	[FEATURE_TP_SOCK_LENGTH] = { "socket tracepoints", false,
				     "another way to see sends and receives is used",
				     "Linux 6.3 or newer has them" },
	[FEATURE_TP_SEND_START] = { "send-start tracepoint", false,
				    "a send is timed when it is done, not when it begins",
				    "Linux 6.16 or newer has it" },
	[FEATURE_FENTRY] = { "fentry", false, "sends and receives cannot be seen at functions",
			     "lift the kernel's lockdown, or use a kernel with "
			     "CONFIG_FUNCTION_TRACER=y, on arm64 Linux 6.4 or newer" },
	[FEATURE_KPROBE] = { "kprobes", false, "no last resort when tracepoints and fentry fail",
			     "use a kernel built with CONFIG_KPROBES=y and CONFIG_PERF_EVENTS=y" },
	[FEATURE_SK_STORAGE] = { "socket storage", false,
				 "connection state is kept in a hash: slower, and bounded",
				 "Linux 5.11 or newer has it for fentry programs" },
	[FEATURE_INJECTION] = { "header injection", false,
				"--inject auto is off: other hosts see a traceparent only from "
				"programs that send one",
				"--inject on, where no client relies on FIONREAD (nginx, Java)" },
	[FEATURE_TCP_OPTION] = { "TCP option", false,
				 "--tcp-option on is refused: calls of other protocols than HTTP "
				 "are linked on this host only",
				 "mount cgroup v2; Linux 5.11 or newer" },
	[FEATURE_PYTHON] = { "contexts of Python", false,
			     "calls of asyncio and uvloop programs have no parent; others of "
			     "Python are not concerned",
			     NULL },
	[FEATURE_PID_NAMESPACE] = { "host pid namespace", true,
				    "the kernel's process ids would name other processes here",
				    "run on the host: docker run --pid=host, or hostPID: true" },
	[FEATURE_BPF_STATS] = { "BPF run times", false, "spanloom probes shows no hits and times",
				"spanloom probes --measure 1, or sysctl "
				"kernel.bpf_stats_enabled=1" },
};

const char *hook_family__name(enum hook_family family)
{
	static const char *const names[] = {
		[HOOKS_NONE] = "none",
		[HOOKS_TP] = "tp_btf",
		[HOOKS_FENTRY] = "fentry",
		[HOOKS_KPROBE] = "kprobe",
	};

	return names[family];
}

static const char *error_name(int err)
{
	const char *name = strerrorname_np(-err);

	if (err == -KERNEL_ENOTSUPP)
		return "ENOTSUPP";
	return name ? name : "unknown error";
}

/* Why a privileged process meets EPERM, as far as it can be known. */
static void refusal_hint(const struct features *f, char *out, size_t len)
{
	if (strcmp(f->lockdown, "none") == 0)
		snprintf(out, len, " though privileged: kernel policy");
	else if (strcmp(f->lockdown, "unknown") == 0)
		snprintf(out, len, " though privileged: locked down?");
	else
		snprintf(out, len, " by lockdown=%s", f->lockdown);
}

/* What an attempt found: @on_detail when it went well, else the step that was refused. */
static void record(struct features *f, enum feature_id id, const struct attempt *a, int err,
		   const char *on_detail)
{
	struct feature *feature = &f->feature[id];
	char hint[64] = "";

	feature->on = err == 0;
	feature->tried = true;
	if (!err) {
		snprintf(feature->detail, sizeof(feature->detail), "%s", on_detail);
		return;
	}
	if (err == -EPERM && id != FEATURE_ROOT)
		refusal_hint(f, hint, sizeof(hint));
	snprintf(feature->detail, sizeof(feature->detail), "%s: %s%s", a->step, error_name(err),
		 hint);
}

static void note(struct features *f, enum feature_id id, bool on, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static void note(struct features *f, enum feature_id id, bool on, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(f->feature[id].detail, sizeof(f->feature[id].detail), format, args);
	va_end(args);
	f->feature[id].on = on;
	f->feature[id].tried = true;
}

/* The first line of @path without its end; false when there is none. */
static bool read_line(const char *path, char *out, size_t len)
{
	FILE *file = fopen(path, "re");
	bool ok;

	if (!file)
		return false;
	ok = fgets(out, (int)len, file) != NULL;
	fclose(file);
	if (ok)
		out[strcspn(out, "\n")] = '\0';
	return ok;
}

/* "none [integrity] confidentiality": the word in brackets is in force. */
static void read_lockdown(struct features *f)
{
	char line[64];
	struct slice mode;

	snprintf(f->lockdown, sizeof(f->lockdown), "unknown");
	if (!read_line(LOCKDOWN_FILE, line, sizeof(line)))
		return;
	mode = slice__skip(slice__str(line), slice__find(slice__str(line), '[') + 1);
	mode = slice__head(mode, slice__find(mode, ']'));
	if (mode.len)
		snprintf(f->lockdown, sizeof(f->lockdown), "%.*s", (int)mode.len, mode.data);
}

static void read_capabilities(struct features *f)
{
	size_t used = 0;

	f->capabilities[0] = '\0';
	if (capng_get_caps_process()) {
		snprintf(f->capabilities, sizeof(f->capabilities), "unknown");
		return;
	}
	for (size_t i = 0; i < sizeof(needed_capabilities) / sizeof(needed_capabilities[0]); i++) {
		if (capng_have_capability(CAPNG_EFFECTIVE, needed_capabilities[i].number))
			continue;
		used += (size_t)snprintf(f->capabilities + used, sizeof(f->capabilities) - used,
					 "%s%s", used ? ", " : "", needed_capabilities[i].name);
	}
}

static void read_kernel(struct features *f)
{
	struct utsname name;

	if (uname(&name))
		snprintf(f->kernel, sizeof(f->kernel), "unknown");
	else
		snprintf(f->kernel, sizeof(f->kernel), "%.100s %.20s", name.release, name.machine);
}

/* All that can be read without bpf(). */
static void look(struct features *f)
{
	struct stat st;
	char line[16];

	if (access(BTF_FILE, R_OK) == 0)
		note(f, FEATURE_BTF, true, "%s", BTF_FILE);
	else
		note(f, FEATURE_BTF, false, "%s: %s", BTF_FILE, error_name(-errno));
	if (cpython__supported())
		note(f, FEATURE_PYTHON, true, "CPython 3.8 to 3.13");
	else
		note(f, FEATURE_PYTHON, false, "known on x86-64 only");
	if (stat(PID_NS_FILE, &st))
		note(f, FEATURE_PID_NAMESPACE, false, "%s: %s", PID_NS_FILE, error_name(-errno));
	else if (st.st_ino != INITIAL_PID_NS)
		note(f, FEATURE_PID_NAMESPACE, false, "this is a pid namespace of its own");
	else
		note(f, FEATURE_PID_NAMESPACE, true, "all processes of the host are visible");
	if (!read_line(BPF_STATS_FILE, line, sizeof(line)))
		note(f, FEATURE_BPF_STATS, false, "%s: not there", BPF_STATS_FILE);
	else
		note(f, FEATURE_BPF_STATS, slice__number(slice__str(line)) > 0,
		     "kernel.bpf_stats_enabled=%s", line);
}

static int try_sock_length(struct attempt *a)
{
	int err = attempt__tracepoint_attach(a, "sock_send_length");

	return err ? err : attempt__tracepoint(a, "sock_recv_length");
}

static void choose_family(struct features *f)
{
	const struct feature *feature = f->feature;

	if (feature[FEATURE_TP_SOCK_LENGTH].on && feature[FEATURE_TP_SEND_START].on) {
		f->family = HOOKS_TP;
		f->family_reason = "tracepoints see sends begin and end, and receives end";
	} else if (feature[FEATURE_FENTRY].on) {
		f->family = HOOKS_FENTRY;
		f->family_reason = "no tracepoint for the begin of a send; fentry sees it";
	} else if (feature[FEATURE_TP_SOCK_LENGTH].on) {
		f->family = HOOKS_TP;
		f->family_reason = "fentry is refused; tracepoints see the end of sends and "
				   "receives";
	} else if (feature[FEATURE_KPROBE].on) {
		f->family = HOOKS_KPROBE;
		f->family_reason = "the last resort: neither tracepoints nor fentry";
	} else {
		f->family = HOOKS_NONE;
		f->family_reason = "neither tracepoints nor fentry nor kprobes can be used";
	}
}

/* Is the cgroup that is mounted here the root of all?  In a cgroup namespace it is the container's
 * own, and no other program would be in it. */
static bool sees_all_cgroups(void)
{
	int fd = injection__open_cgroups();
	struct stat st;
	bool all;

	if (fd < 0)
		return true; /* not mounted: what is tried next tells */
	all = fstat(fd, &st) == 0 && st.st_ino == ROOT_CGROUP_INO;
	close(fd);
	return all;
}

/* What header injection and TCP options need alike; false: @detail and a remedy tell. */
static bool may_send(struct features *f, char *detail, size_t len)
{
	f->sending_remedy = NULL;
	if (!f->feature[FEATURE_SK_STORAGE].on) {
		snprintf(detail, len, "needs socket storage");
		return false;
	}
	if (strstr(f->capabilities, "CAP_NET_ADMIN")) {
		snprintf(detail, len, "needs CAP_NET_ADMIN");
		f->sending_remedy = "run as root (sudo), or grant CAP_NET_ADMIN";
		return false;
	}
	if (!sees_all_cgroups()) {
		snprintf(detail, len, "the cgroup mounted here is that of this container alone");
		f->sending_remedy = "docker run --cgroupns=host, or mount the host's "
				    "/sys/fs/cgroup in its place";
		return false;
	}
	return true;
}

static void try_sending(struct features *f)
{
	char detail[128];
	bool may = may_send(f, detail, sizeof(detail));

	f->injection = INJECTION_IMPOSSIBLE;
	if (may)
		f->injection = injection__probe(detail, sizeof(detail));
	note(f, FEATURE_INJECTION, f->injection == INJECTION_SAFE, "%s", detail);
	note(f, FEATURE_TCP_OPTION, may && tcp_option__probe(detail, sizeof(detail)) == 0, "%s",
	     detail);
}

static void try_all(struct features *f, struct attempt *a)
{
	char detail[64];

	record(f, FEATURE_RING_BUFFER, a, attempt__ring_buffer(a), "created");
	record(f, FEATURE_TP_SOCK_LENGTH, a, try_sock_length(a),
	       "sock_send_length, sock_recv_length");
	record(f, FEATURE_TP_SEND_START, a, attempt__tracepoint(a, "tcp_sendmsg_locked"),
	       "tcp_sendmsg_locked");
	record(f, FEATURE_FENTRY, a, attempt__function(a, PROBED_FUNCTION), PROBED_FUNCTION);
	record(f, FEATURE_KPROBE, a, attempt__kprobe(a, PROBED_FUNCTION), PROBED_FUNCTION);
	choose_family(f);
	if (f->family == HOOKS_NONE) {
		note(f, FEATURE_SK_STORAGE, false, "no program could use it");
	} else {
		snprintf(detail, sizeof(detail), "in %s programs", hook_family__name(f->family));
		record(f, FEATURE_SK_STORAGE, a, attempt__sk_storage(a, f->family), detail);
	}
	try_sending(f);
}

static void try_nothing(struct features *f)
{
	for (int id = 0; id < FEATURES; id++) {
		if (!f->feature[id].tried)
			snprintf(f->feature[id].detail, sizeof(f->feature[id].detail), "not tried");
	}
	f->injection = INJECTION_IMPOSSIBLE;
	f->family = HOOKS_NONE;
	f->family_reason = "not tried, bpf() is refused";
}

/* Is @id a way to see sockets that the chosen family has no need of? */
static bool spared(const struct features *f, enum feature_id id)
{
	switch (id) {
	case FEATURE_TP_SOCK_LENGTH:
	case FEATURE_TP_SEND_START:
		return f->family == HOOKS_FENTRY;
	case FEATURE_FENTRY:
		return f->family == HOOKS_TP && f->feature[FEATURE_TP_SEND_START].on;
	case FEATURE_KPROBE:
		return f->family == HOOKS_TP || f->family == HOOKS_FENTRY;
	default:
		return false;
	}
}

static void explain(struct features *f)
{
	for (int id = 0; id < FEATURES; id++) {
		struct feature *feature = &f->feature[id];

		if (feature->on || !feature->tried)
			continue;
		if (spared(f, id)) {
			feature->consequence = "none, another way is used";
			continue;
		}
		feature->consequence = texts[id].consequence;
		feature->remedy = texts[id].remedy;
		if (id == FEATURE_INJECTION && f->injection == INJECTION_IMPOSSIBLE)
			feature->remedy = "mount cgroup v2, use Linux 5.11 or newer, stop "
					  "other programs that take sockets";
		if (f->sending_remedy && (id == FEATURE_INJECTION || id == FEATURE_TCP_OPTION))
			feature->remedy = f->sending_remedy;
	}
}

void features__probe(struct features *f)
{
	struct attempt a;
	int err;

	memset(f, 0, sizeof(*f));
	for (int id = 0; id < FEATURES; id++) {
		f->feature[id].name = texts[id].name;
		f->feature[id].required = texts[id].required;
	}
	read_kernel(f);
	read_lockdown(f);
	read_capabilities(f);
	look(f);
	attempt__init(&a);
	err = attempt__privilege(&a);
	record(f, FEATURE_ROOT, &a, err, "tracing programs load");
	if (err)
		try_nothing(f);
	else
		try_all(f, &a);
	explain(f);
	attempt__reset(&a);
}

void features__force(struct features *f, enum hook_family family)
{
	static const enum feature_id stored[] = {
		FEATURE_SK_STORAGE,
		FEATURE_INJECTION,
		FEATURE_TCP_OPTION,
	};

	f->family = family;
	f->family_reason = "as --hooks says";
	if (family != HOOKS_KPROBE)
		return;
	f->injection = INJECTION_IMPOSSIBLE;
	for (size_t i = 0; i < sizeof(stored) / sizeof(stored[0]); i++) {
		note(f, stored[i], false, "kprobes have no socket storage");
		f->feature[stored[i]].consequence = texts[stored[i]].consequence;
		f->feature[stored[i]].remedy = "use other hooks (--hooks)";
	}
}

bool features__blocker(const struct features *f, char *line, size_t len)
{
	for (int id = 0; id < FEATURES; id++) {
		const struct feature *feature = &f->feature[id];
		bool caps = id == FEATURE_ROOT && f->capabilities[0];

		if (feature->on || !feature->required)
			continue;
		snprintf(line, len, "%s: %s%s%s: %s; %s", feature->name, feature->detail,
			 caps ? ", missing " : "", caps ? f->capabilities : "",
			 feature->consequence, feature->remedy);
		return true;
	}
	if (f->family != HOOKS_NONE)
		return false;
	snprintf(line, len,
		 "hooks: %s (fentry %s; kprobes %s): sockets cannot be seen; use Linux "
		 "6.3 or newer, or a kernel that is not locked down",
		 f->family_reason, f->feature[FEATURE_FENTRY].detail,
		 f->feature[FEATURE_KPROBE].detail);
	return true;
}
