// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/probes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "user/base/slice.h"
#include "user/kernel/plan.h"

/* libbpf names the maps behind a skeleton's globals after the skeleton, and binds the constants
 * to every program of it: so these programs are ours, whatever the kernel left of their names. */
#define MARKER_MAP     "spanloom.rodata"
#define MAPS_MAX       64 /* the kernel's limit for one program */
#define MARKERS_MAX    16
#define BPF_STATS_FILE "/proc/sys/kernel/bpf_stats_enabled"
#define MAP_LINK       "anon_inode:bpf-map"
#define SECOND_NS      1000000000ull

/* What identifies spanloom while the kernel's lists are walked. */
struct walk {
	uint32_t markers[MARKERS_MAX];
	size_t marker_count;
	struct btf *btf; /* of the last program that was named: they share it */
	uint32_t btf_id;
};

/* The number after @key in a file of /proc (NULL: its first line), or -1. */
static int64_t proc_number(int dir_fd, const char *path, const char *key)
{
	int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
	char text[1024];
	struct slice rest;
	ssize_t len;

	if (fd < 0)
		return -1;
	len = read(fd, text, sizeof(text));
	close(fd);
	if (len <= 0)
		return -1;
	rest = slice__of(text, (size_t)len);
	if (key)
		rest = slice__skip(rest, slice__search(rest, slice__str(key)) + strlen(key));
	return slice__number(slice__trim(slice__head(rest, slice__find(rest, '\n'))));
}

static uint64_t memory_of(int fd)
{
	char path[40];
	int64_t bytes;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	bytes = proc_number(AT_FDCWD, path, "memlock:");
	return bytes < 0 ? 0 : (uint64_t)bytes;
}

static bool contains(const uint32_t *list, size_t count, uint32_t id)
{
	for (size_t i = 0; i < count; i++) {
		if (list[i] == id)
			return true;
	}
	return false;
}

/* Room for one more: @list has room for a power of two, or for none.  NULL: no memory. */
static void *grown(void *list, size_t count, size_t size)
{
	if (count & (count - 1))
		return list;
	return reallocarray(list, count ? count * 2 : 1, size);
}

/* An object that vanishes while we look is no error: 1 tells to go on without it. */
static int open_map(uint32_t id, struct bpf_map_info *info)
{
	uint32_t len = sizeof(*info);
	int fd = bpf_map_get_fd_by_id(id);
	int err;

	if (fd < 0)
		return fd;
	memset(info, 0, sizeof(*info));
	err = bpf_obj_get_info_by_fd(fd, info, &len);
	if (!err)
		return fd;
	close(fd);
	return err;
}

static int find_markers(struct walk *walk)
{
	struct bpf_map_info info;
	uint32_t id = 0;
	int err;

	while (!(err = bpf_map_get_next_id(id, &id)) && walk->marker_count < MARKERS_MAX) {
		int fd = open_map(id, &info);

		if (fd == -ENOENT)
			continue;
		if (fd < 0)
			return fd;
		close(fd);
		if (strcmp(info.name, MARKER_MAP) == 0)
			walk->markers[walk->marker_count++] = id;
	}
	return err == -ENOENT ? 0 : err;
}

static int add_map(struct probes *p, uint32_t id)
{
	struct bpf_map_info info;
	struct probe_map *map;
	const char *type;
	int fd, err;

	for (size_t i = 0; i < p->map_count; i++) {
		if (p->maps[i].id == id)
			return 0;
	}
	map = grown(p->maps, p->map_count, sizeof(*map));
	if (!map)
		return -ENOMEM;
	p->maps = map;
	fd = open_map(id, &info);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	type = libbpf_bpf_map_type_str(info.type);
	map = &p->maps[p->map_count++];
	*map = (struct probe_map){ .id = id,
				   .type = type ? type : "map",
				   .max_entries = info.max_entries,
				   .memory_bytes = memory_of(fd) };
	snprintf(map->name, sizeof(map->name), "%s", info.name);
	err = strcmp(info.name, SDK_LIST_MAP) ? 0 : sdk_list__read(&p->sdk, fd);
	close(fd);
	return err;
}

/* The kernel keeps 15 characters of a program's name; its BTF has all of them. */
static void name_program(struct walk *walk, struct probe *probe, const struct bpf_prog_info *info,
			 const struct bpf_func_info *func)
{
	const struct btf_type *type;
	const char *name;

	snprintf(probe->name, sizeof(probe->name), "%s", info->name);
	if (!info->btf_id || !info->nr_func_info)
		return;
	if (walk->btf_id != info->btf_id) {
		btf__free(walk->btf);
		walk->btf = btf__load_from_kernel_by_id(info->btf_id);
		walk->btf_id = info->btf_id;
	}
	type = walk->btf ? btf__type_by_id(walk->btf, func->type_id) : NULL;
	name = type ? btf__name_by_offset(walk->btf, type->name_off) : NULL;
	if (name && strncmp(name, info->name, strlen(info->name)) == 0)
		snprintf(probe->name, sizeof(probe->name), "%s", name);
}

static int add_program(struct probes *p, struct walk *walk, int fd,
		       const struct bpf_prog_info *info, const struct bpf_func_info *func)
{
	struct probe *probe = grown(p->programs, p->program_count, sizeof(*probe));
	const char *type = libbpf_bpf_prog_type_str(info->type);

	if (!probe)
		return -ENOMEM;
	p->programs = probe;
	probe = &p->programs[p->program_count++];
	*probe = (struct probe){ .id = info->id,
				 .prog_type = type ? type : "program",
				 .hits = info->run_cnt,
				 .run_ns = info->run_time_ns,
				 .missed = info->recursion_misses,
				 .memory_bytes = memory_of(fd) };
	name_program(walk, probe, info, func);
	return 0;
}

static bool is_ours(const struct walk *walk, const uint32_t *map_ids, size_t count)
{
	for (size_t i = 0; i < walk->marker_count; i++) {
		if (contains(map_ids, count, walk->markers[i]))
			return true;
	}
	return false;
}

static int read_program(struct probes *p, struct walk *walk, int fd)
{
	struct bpf_func_info func = { 0 };
	uint32_t map_ids[MAPS_MAX];
	struct bpf_prog_info info = { .nr_map_ids = MAPS_MAX,
				      .map_ids = (uintptr_t)map_ids,
				      .nr_func_info = 1,
				      .func_info_rec_size = sizeof(func),
				      .func_info = (uintptr_t)&func };
	uint32_t len = sizeof(info);
	int err = bpf_obj_get_info_by_fd(fd, &info, &len);
	size_t count = info.nr_map_ids < MAPS_MAX ? info.nr_map_ids : MAPS_MAX;

	if (err || !is_ours(walk, map_ids, count))
		return err;
	for (size_t i = 0; i < count && !err; i++)
		err = add_map(p, map_ids[i]);
	return err ? err : add_program(p, walk, fd, &info, &func);
}

static int find_programs(struct probes *p, struct walk *walk)
{
	uint32_t id = 0;
	int err;

	while (!(err = bpf_prog_get_next_id(id, &id))) {
		int fd = bpf_prog_get_fd_by_id(id);

		if (fd == -ENOENT)
			continue;
		if (fd < 0)
			return fd;
		err = read_program(p, walk, fd);
		close(fd);
		if (err)
			return err;
	}
	return err == -ENOENT ? 0 : err;
}

/* Does the process behind /proc/PID/fd hold one of our marker maps? */
static bool holds_marker(const struct walk *walk, int fd_dir_fd, uint32_t pid)
{
	DIR *dir = fdopendir(fd_dir_fd);
	struct dirent *entry;
	bool found = false;

	if (!dir) {
		close(fd_dir_fd);
		return false;
	}
	while (!found && (entry = readdir(dir))) {
		char link[sizeof(MAP_LINK)], path[64];
		ssize_t len = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link));
		int64_t id;

		if (len != (ssize_t)strlen(MAP_LINK) || memcmp(link, MAP_LINK, (size_t)len) != 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%u/fdinfo/%.20s", pid, entry->d_name);
		id = proc_number(AT_FDCWD, path, "map_id:");
		found = id > 0 && contains(walk->markers, walk->marker_count, (uint32_t)id);
	}
	closedir(dir);
	return found;
}

static void find_agents(struct probes *p, const struct walk *walk)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	if (!proc)
		return;
	while (p->agent_count < PROBES_AGENTS_MAX && (entry = readdir(proc))) {
		int64_t pid = slice__number(slice__str(entry->d_name));
		char path[32];
		int fd;

		if (pid <= 0 || pid > INT32_MAX || pid == getpid())
			continue;
		snprintf(path, sizeof(path), "%u/fd", (uint32_t)pid);
		fd = openat(dirfd(proc), path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 && holds_marker(walk, fd, (uint32_t)pid))
			p->agents[p->agent_count++] = (uint32_t)pid;
	}
	closedir(proc);
}

/* Leaves the attachments of the programs in @p alone. */
static void keep_ours(struct probes *p)
{
	struct attachments *a = &p->attached;
	size_t kept = 0;

	for (size_t i = 0; i < a->count; i++) {
		for (size_t k = 0; k < p->program_count; k++) {
			if (p->programs[k].id == a->list[i].prog_id) {
				a->list[kept++] = a->list[i];
				break;
			}
		}
	}
	a->count = kept;
}

static int read_maps(struct probes *p)
{
	int err = 0;

	for (size_t i = 0; i < p->map_count && !err; i++)
		if (strncmp(p->maps[i].type, "sock", 4) == 0)
			err = attachments__add_map(&p->attached, p->maps[i].id, p->maps[i].name);
	return err;
}

static bool is_attached(const struct probes *p, const struct probe *probe)
{
	for (size_t i = 0; i < p->attached.count; i++)
		if (p->attached.list[i].prog_id == probe->id)
			return true;
	return false;
}

/* Header injection may end before the agent does. */
static bool is_unsettled(const struct probes *p)
{
	for (size_t i = 0; i < p->program_count; i++) {
		const struct probe *probe = &p->programs[i];

		if (!plan__waits(probe->name) && strncmp(probe->name, "inject_", 7) != 0 &&
		    !is_attached(p, probe))
			return true;
	}
	return false;
}

int probes__read(struct probes *p)
{
	struct walk walk = { 0 };
	int err;

	memset(p, 0, sizeof(*p));
	p->counting = proc_number(AT_FDCWD, BPF_STATS_FILE, NULL) > 0;
	err = find_markers(&walk);
	if (!err && walk.marker_count)
		err = find_programs(p, &walk);
	btf__free(walk.btf);
	if (err || !p->program_count)
		return err;
	find_agents(p, &walk);
	err = attachments__read(&p->attached, p->agents, p->agent_count);
	if (!err)
		err = read_maps(p);
	keep_ours(p);
	p->unsettled = is_unsettled(p);
	return err ? err : golang_list__read(&p->golang);
}

/* A program that began or ended in between counts from, or until, what is known of it. */
static void subtract(struct probes *after, const struct probes *before)
{
	for (size_t i = 0; i < after->program_count; i++) {
		struct probe *probe = &after->programs[i];

		for (size_t k = 0; k < before->program_count; k++) {
			if (before->programs[k].id != probe->id)
				continue;
			probe->hits -= before->programs[k].hits;
			probe->run_ns -= before->programs[k].run_ns;
			probe->missed -= before->programs[k].missed;
		}
	}
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SECOND_NS + (uint64_t)ts.tv_nsec;
}

int probes__measure(struct probes *p, unsigned int seconds)
{
	struct timespec pause = { .tv_sec = (time_t)seconds };
	struct probes before;
	uint64_t since_ns;
	int stats_fd, err;

	memset(p, 0, sizeof(*p));
	stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME); /* until it is closed */
	if (stats_fd < 0)
		return stats_fd;
	err = probes__read(&before);
	since_ns = now_ns();
	if (!err && before.program_count) {
		nanosleep(&pause, NULL);
		err = probes__read(p);
		p->measured_ns = now_ns() - since_ns;
		subtract(p, &before);
	}
	close(stats_fd);
	probes__free(&before);
	return err;
}

void probes__free(struct probes *p)
{
	free(p->programs);
	free(p->maps);
	sdk_list__free(&p->sdk);
	golang_list__free(&p->golang);
	attachments__free(&p->attached);
	memset(p, 0, sizeof(*p));
}
