// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/attempt.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "user/base/slice.h"

#define ATTEMPT_NAME	 "spanloom_try"
#define ATTEMPT_LICENSE	 "GPL"
#define RING_BYTES	 65536 /* a multiple of every page size there is */
#define KPROBE_TYPE_FILE "/sys/bus/event_source/devices/kprobe/type"

/* return 0 */
static const struct bpf_insn return_zero[] = {
	{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0 },
	{ .code = BPF_JMP | BPF_EXIT },
};

#define RETURN_ZERO_COUNT (sizeof(return_zero) / sizeof(return_zero[0]))

struct program {
	enum bpf_prog_type type;
	enum bpf_attach_type attach_type;
	int btf_id; /* what a tracing program is for; 0 for other types */
	const struct bpf_insn *insns;
	size_t count;
};

void attempt__init(struct attempt *a)
{
	a->step = "";
	a->print = (void *)libbpf_set_print(NULL);
	a->btf = btf__load_vmlinux_btf();
	a->btf_err = a->btf ? 0 : -errno;
}

void attempt__reset(struct attempt *a)
{
	btf__free(a->btf);
	a->btf = NULL;
	libbpf_set_print((libbpf_print_fn_t)a->print);
}

static int load(struct attempt *a, const struct program *p)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = p->attach_type,
		    .attach_btf_id = (uint32_t)p->btf_id);

	a->step = "load";
	return bpf_prog_load(p->type, ATTEMPT_NAME, ATTEMPT_LICENSE, p->insns, p->count, &opts);
}

/* The id of the kernel type @name, or a negative errno. */
static int type_id(struct attempt *a, const char *name, unsigned int kind)
{
	a->step = "find in BTF";
	if (!a->btf)
		return a->btf_err;
	return btf__find_by_name_kind(a->btf, name, kind);
}

/* Tracing programs only: the kernel knows from the load where they belong. */
static int load_and_attach(struct attempt *a, const struct program *p)
{
	int prog_fd = load(a, p);
	int link_fd;

	if (prog_fd < 0)
		return prog_fd;
	a->step = "attach";
	link_fd = bpf_raw_tracepoint_open(NULL, prog_fd);
	close(prog_fd);
	if (link_fd < 0)
		return link_fd;
	close(link_fd);
	return 0;
}

static int load_only(struct attempt *a, const struct program *p)
{
	int fd = load(a, p);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

int attempt__privilege(struct attempt *a)
{
	struct program p = { .type = BPF_PROG_TYPE_RAW_TRACEPOINT,
			     .insns = return_zero,
			     .count = RETURN_ZERO_COUNT };

	return load_only(a, &p);
}

int attempt__ring_buffer(struct attempt *a)
{
	int fd;

	a->step = "create";
	fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, ATTEMPT_NAME, 0, 0, RING_BYTES, NULL);
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static int tracepoint_type(struct attempt *a, const char *name)
{
	char type[64];

	snprintf(type, sizeof(type), "btf_trace_%s", name);
	return type_id(a, type, BTF_KIND_TYPEDEF);
}

static struct program tracepoint_program(struct attempt *a, const char *name)
{
	return (struct program){ .type = BPF_PROG_TYPE_TRACING,
				 .attach_type = BPF_TRACE_RAW_TP,
				 .btf_id = tracepoint_type(a, name),
				 .insns = return_zero,
				 .count = RETURN_ZERO_COUNT };
}

int attempt__tracepoint(struct attempt *a, const char *name)
{
	struct program p = tracepoint_program(a, name);

	return p.btf_id < 0 ? p.btf_id : load_only(a, &p);
}

int attempt__tracepoint_attach(struct attempt *a, const char *name)
{
	struct program p = tracepoint_program(a, name);

	return p.btf_id < 0 ? p.btf_id : load_and_attach(a, &p);
}

int attempt__function(struct attempt *a, const char *name)
{
	struct program p = { .type = BPF_PROG_TYPE_TRACING,
			     .attach_type = BPF_TRACE_FENTRY,
			     .btf_id = type_id(a, name, BTF_KIND_FUNC),
			     .insns = return_zero,
			     .count = RETURN_ZERO_COUNT };

	return p.btf_id < 0 ? p.btf_id : load_and_attach(a, &p);
}

/* The number of the kprobe event source, or a negative errno: -ENOENT without kprobes. */
static int kprobe_type(struct attempt *a)
{
	char text[16];
	int64_t type;
	ssize_t len;
	int fd;

	a->step = "event source";
	fd = open(KPROBE_TYPE_FILE, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	len = read(fd, text, sizeof(text));
	close(fd);
	if (len < 1)
		return -EIO;
	type = slice__number(slice__of(text, (size_t)len - 1)); /* without the newline */
	return type < 0 || type > INT32_MAX ? -EBADMSG : (int)type;
}

static int kprobe_open(struct attempt *a, const char *function)
{
	struct perf_event_attr attr = { .size = sizeof(attr), .config1 = (uintptr_t)function };
	int type = kprobe_type(a);
	int fd;

	if (type < 0)
		return type;
	attr.type = (uint32_t)type;
	a->step = "perf_event_open";
	fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int attempt__kprobe(struct attempt *a, const char *name)
{
	struct program p = { .type = BPF_PROG_TYPE_KPROBE,
			     .insns = return_zero,
			     .count = RETURN_ZERO_COUNT };
	int event_fd = kprobe_open(a, name);
	int prog_fd = -1;
	int err = 0;

	if (event_fd < 0)
		return event_fd;
	prog_fd = load(a, &p);
	if (prog_fd < 0) {
		err = prog_fd;
		goto out;
	}
	a->step = "attach";
	if (ioctl(event_fd, PERF_EVENT_IOC_SET_BPF, prog_fd))
		err = -errno;
out:
	if (prog_fd >= 0)
		close(prog_fd);
	close(event_fd);
	return err;
}

/* A socket storage map of one number per socket; such a map must describe its types. */
static int sk_storage_map(struct attempt *a)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC, .btf_key_type_id = 1,
		    .btf_value_type_id = 1);
	struct btf *btf;
	int err;

	a->step = "describe map";
	btf = btf__new_empty();
	if (!btf)
		return -errno;
	err = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	if (err > 0)
		err = btf__load_into_kernel(btf);
	if (err)
		goto out;
	a->step = "create map";
	opts.btf_fd = (uint32_t)btf__fd(btf);
	err = bpf_map_create(BPF_MAP_TYPE_SK_STORAGE, ATTEMPT_NAME, 4, 4, 0, &opts);
out:
	btf__free(btf);
	return err;
}

/* Loads a program that looks up the storage of its first argument, a struct sock *. */
static int load_sk_storage(struct attempt *a, const struct program *p, int map_fd)
{
	const struct bpf_insn lookup[] = {
		/* r2 = ctx[0]; r1 = map (two slots); r3 = r4 = 0 */
		{ .code = BPF_LDX | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_2, .src_reg = BPF_REG_1 },
		{ .code = BPF_LD | BPF_DW | BPF_IMM,
		  .dst_reg = BPF_REG_1,
		  .src_reg = BPF_PSEUDO_MAP_FD,
		  .imm = map_fd },
		{ .code = 0 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_4 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_sk_storage_get },
		return_zero[0],
		return_zero[1],
	};
	struct program whole = *p;

	whole.insns = lookup;
	whole.count = sizeof(lookup) / sizeof(lookup[0]);
	return load_only(a, &whole);
}

int attempt__sk_storage(struct attempt *a, enum hook_family family)
{
	struct program p = { .type = BPF_PROG_TYPE_TRACING };
	int map_fd, err;

	if (family == HOOKS_TP) {
		p.attach_type = BPF_TRACE_RAW_TP;
		p.btf_id = tracepoint_type(a, "sock_send_length");
	} else if (family == HOOKS_FENTRY) {
		p.attach_type = BPF_TRACE_FENTRY;
		p.btf_id = type_id(a, "tcp_sendmsg", BTF_KIND_FUNC);
	} else {
		a->step = "helper";
		return -EOPNOTSUPP; /* no kernel gives it to kprobes */
	}
	if (p.btf_id < 0)
		return p.btf_id;
	map_fd = sk_storage_map(a);
	if (map_fd < 0)
		return map_fd;
	err = load_sk_storage(a, &p, map_fd);
	close(map_fd);
	return err;
}
