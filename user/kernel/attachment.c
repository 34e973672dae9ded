// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/attachment.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "user/base/slice.h"
#include "user/export/printable.h"
#include "user/kernel/functions.h"

#define PERF_EVENT_LINK "anon_inode:[perf_event]"
#define ROOT_CGROUP	1

/* The next free entry, or NULL when the memory is short. */
static struct attachment *add(struct attachments *a, uint32_t prog_id, const char *type)
{
	size_t capacity = a->capacity ? a->capacity * 2 : 32;
	struct attachment *entry;

	if (a->count == a->capacity) {
		struct attachment *list = reallocarray(a->list, capacity, sizeof(*list));

		if (!list)
			return NULL;
		a->list = list;
		a->capacity = capacity;
	}
	entry = &a->list[a->count++];
	entry->prog_id = prog_id;
	snprintf(entry->type, sizeof(entry->type), "%s", type);
	snprintf(entry->target, sizeof(entry->target), "-");
	return entry;
}

static void name_function(struct attachment *entry, const struct btf *btf, uint32_t btf_id)
{
	const struct btf_type *type = btf ? btf__type_by_id(btf, btf_id) : NULL;
	const char *name = type ? btf__name_by_offset(btf, type->name_off) : NULL;

	if (name && name[0])
		snprintf(entry->target, sizeof(entry->target), "%s", name);
}

static const char *tracing_type(uint32_t attach_type)
{
	switch (attach_type) {
	case BPF_TRACE_FENTRY:
		return "fentry";
	case BPF_TRACE_FEXIT:
		return "fexit";
	case BPF_TRACE_RAW_TP:
		return "tp_btf";
	case BPF_TRACE_ITER:
		return "iter";
	default:
		return "tracing";
	}
}

/* A raw tracepoint link carries a typed program (tp_btf) or a bare one (raw_tp). */
static const char *raw_tracepoint_type(uint32_t prog_id)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);
	const char *type = "raw_tp";
	int fd = bpf_prog_get_fd_by_id(prog_id);

	if (fd < 0)
		return type;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && info.type == BPF_PROG_TYPE_TRACING)
		type = "tp_btf";
	close(fd);
	return type;
}

static void name_cgroup(struct attachment *entry, uint64_t id)
{
	if (id == ROOT_CGROUP)
		snprintf(entry->target, sizeof(entry->target), "all cgroups");
	else
		snprintf(entry->target, sizeof(entry->target), "cgroup %" PRIu64 " alone", id);
}

/* @name: of a raw tracepoint, or of what an iterator goes through. */
static int add_link(struct attachments *a, const struct bpf_link_info *info, const char *name,
		    struct btf **btf)
{
	struct attachment *entry;
	const char *type = libbpf_bpf_link_type_str(info->type);

	switch (info->type) {
	case BPF_LINK_TYPE_PERF_EVENT: /* told by the event itself */
		return 0;
	case BPF_LINK_TYPE_RAW_TRACEPOINT:
		entry = add(a, info->prog_id, raw_tracepoint_type(info->prog_id));
		if (entry)
			snprintf(entry->target, sizeof(entry->target), "%s", name);
		return entry ? 0 : -ENOMEM;
	case BPF_LINK_TYPE_ITER:
		entry = add(a, info->prog_id, "iter");
		if (entry)
			snprintf(entry->target, sizeof(entry->target), "%s", name);
		return entry ? 0 : -ENOMEM;
	case BPF_LINK_TYPE_TRACING:
		entry = add(a, info->prog_id, tracing_type(info->tracing.attach_type));
		if (!*btf)
			*btf = btf__load_vmlinux_btf();
		if (entry)
			name_function(entry, *btf, info->tracing.target_btf_id);
		return entry ? 0 : -ENOMEM;
	case BPF_LINK_TYPE_CGROUP:
		entry = add(a, info->prog_id, type ? type : "cgroup");
		if (entry)
			name_cgroup(entry, info->cgroup.cgroup_id);
		return entry ? 0 : -ENOMEM;
	default:
		return add(a, info->prog_id, type ? type : "link") ? 0 : -ENOMEM;
	}
}

/* A link that vanishes while we look is no error: 0. */
static int read_link(struct attachments *a, uint32_t id, struct btf **btf)
{
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);
	char name[128] = "";
	int fd = bpf_link_get_fd_by_id(id);
	int err;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	err = bpf_obj_get_info_by_fd(fd, &info, &len);
	/* Asked again, now that the room for the name can be given. */
	if (!err && info.type == BPF_LINK_TYPE_RAW_TRACEPOINT) {
		info.raw_tracepoint.tp_name = (uintptr_t)name;
		info.raw_tracepoint.tp_name_len = sizeof(name);
		err = bpf_obj_get_info_by_fd(fd, &info, &len);
	} else if (!err && info.type == BPF_LINK_TYPE_ITER) {
		info.iter.target_name = (uintptr_t)name;
		info.iter.target_name_len = sizeof(name);
		err = bpf_obj_get_info_by_fd(fd, &info, &len);
	}
	close(fd);
	return err ? err : add_link(a, &info, name, btf);
}

static int read_links(struct attachments *a)
{
	struct btf *btf = NULL; /* read when the first function must be named */
	uint32_t id = 0;
	int err;

	for (;;) {
		err = bpf_link_get_next_id(id, &id);
		if (err)
			break;
		err = read_link(a, id, &btf);
		if (err)
			break;
	}
	btf__free(btf);
	return err == -ENOENT ? 0 : err;
}

static const char *event_type(uint32_t fd_type)
{
	static const char *const names[] = {
		[BPF_FD_TYPE_RAW_TRACEPOINT] = "raw_tp", [BPF_FD_TYPE_TRACEPOINT] = "tracepoint",
		[BPF_FD_TYPE_KPROBE] = "kprobe",	 [BPF_FD_TYPE_KRETPROBE] = "kretprobe",
		[BPF_FD_TYPE_UPROBE] = "uprobe",	 [BPF_FD_TYPE_URETPROBE] = "uretprobe",
	};

	return fd_type < sizeof(names) / sizeof(names[0]) ? names[fd_type] : "perf_event";
}

/* "FILE:FUNCTION", or "FILE:0xOFFSET".  The agent has attached to files by descriptors of its own,
 * which @name is one of. */
static void name_uprobe(struct attachment *entry, struct functions *functions, uint32_t pid,
			const char *name, uint64_t offset)
{
	static const char own[] = "/proc/self/";
	char path[220], file[200], function[FUNCTION_BYTES], target[400];
	ssize_t len;

	snprintf(path, sizeof(path), "%s", name);
	if (strncmp(name, own, strlen(own)) == 0)
		snprintf(path, sizeof(path), "/proc/%u/%s", pid, name + strlen(own));
	len = readlink(path, file, sizeof(file) - 1);
	if (len > 0)
		name = file;
	file[len > 0 ? len : 0] = '\0';
	if (!functions__at(functions, path, offset, function))
		snprintf(function, sizeof(function), "0x%" PRIx64, offset);
	snprintf(target, sizeof(target), "%s:%s", name, function);
	printable__copy(entry->target, sizeof(entry->target), slice__str(target));
}

/* An event that has no program, or is closed meanwhile, is no error. */
static int read_event(struct attachments *a, struct functions *functions, uint32_t pid, uint32_t fd)
{
	char name[200] = "";
	uint32_t len = sizeof(name);
	uint32_t prog_id, fd_type;
	__u64 offset, address;
	struct attachment *entry;
	bool uprobe;

	if (bpf_task_fd_query((int)pid, (int)fd, 0, name, &len, &prog_id, &fd_type, &offset,
			      &address))
		return 0;
	uprobe = fd_type == BPF_FD_TYPE_UPROBE || fd_type == BPF_FD_TYPE_URETPROBE;
	entry = add(a, prog_id, event_type(fd_type));
	if (!entry)
		return -ENOMEM;
	if (uprobe) {
		name_uprobe(entry, functions, pid, name, offset);
	} else if (name[0] && offset) {
		snprintf(entry->target, sizeof(entry->target), "%s+0x%llx", name, offset);
	} else if (name[0]) {
		snprintf(entry->target, sizeof(entry->target), "%s", name);
	}
	return 0;
}

/* Is the file descriptor behind @dir/@name a perf event? */
static bool is_event(int dir_fd, const char *name)
{
	char link[sizeof(PERF_EVENT_LINK)];
	ssize_t len = readlinkat(dir_fd, name, link, sizeof(link));

	return len == (ssize_t)strlen(PERF_EVENT_LINK) &&
	       memcmp(link, PERF_EVENT_LINK, (size_t)len) == 0;
}

static int read_events(struct attachments *a, uint32_t pid)
{
	char path[32];
	struct functions functions = { 0 };
	struct dirent *entry;
	int err = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%u/fd", pid);
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? 0 : -errno; /* it has ended */
	while (!err && (entry = readdir(dir))) {
		int64_t fd = slice__number(slice__str(entry->d_name));

		if (fd >= 0 && is_event(dirfd(dir), entry->d_name))
			err = read_event(a, &functions, pid, (uint32_t)fd);
	}
	closedir(dir);
	functions__close(&functions);
	return err;
}

int attachments__read(struct attachments *a, const uint32_t *pids, size_t count)
{
	int err;

	memset(a, 0, sizeof(*a));
	err = read_links(a);
	for (size_t i = 0; i < count && !err; i++)
		err = read_events(a, pids[i]);
	return err;
}

int attachments__add_map(struct attachments *a, uint32_t map_id, const char *map_name)
{
	int fd = bpf_map_get_fd_by_id(map_id);
	uint32_t prog_id = 0, flags, count = 1;
	struct attachment *entry;
	int err;

	if (fd < 0)
		return 0;
	err = bpf_prog_query(fd, BPF_SK_MSG_VERDICT, 0, &flags, &prog_id, &count);
	close(fd);
	if (err || !count)
		return 0;
	entry = add(a, prog_id, "sk_msg");
	if (entry)
		snprintf(entry->target, sizeof(entry->target), "sends of the map %s", map_name);
	return entry ? 0 : -ENOMEM;
}

void attachments__free(struct attachments *a)
{
	free(a->list);
	memset(a, 0, sizeof(*a));
}
