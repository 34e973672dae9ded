// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/golang_list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "user/export/printable.h"
#include "user/kernel/golang.h"
#include "user/kernel/process_facts.h"

static int add(struct golang_list *list, uint32_t pid, const char *exe, const struct golang *go)
{
	struct golang_listed *entry;

	entry = reallocarray(list->list, list->count + 1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	list->list = entry;
	entry += list->count++;
	*entry = (struct golang_listed){ .pid = pid,
					 .minor = go->minor,
					 .obstacle = golang__obstacle(go),
					 .watched = go->probe_count };
	printable__copy(entry->exe, sizeof(entry->exe), slice__str(exe));
	return 0;
}

/* A process that ends meanwhile, or is no Go program, is no error. */
static int look(struct golang_list *list, int proc, uint32_t pid)
{
	char link[32], exe[PATH_MAX];
	struct golang go;
	int fd, err;

	snprintf(link, sizeof(link), "%u/exe", pid);
	fd = openat(proc, link, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return 0;
	err = golang__read(fd, &go);
	close(fd);
	if (err)
		return 0;
	process_facts__exe("/proc", pid, exe);
	return add(list, pid, exe, &go);
}

static int by_pid(const void *a, const void *b)
{
	const struct golang_listed *x = a, *y = b;

	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

int golang_list__read(struct golang_list *list)
{
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	int err = 0;

	*list = (struct golang_list){ 0 };
	if (!proc)
		return -errno;
	while (!err && list->count < GOLANG_LIST_MAX && (entry = readdir(proc))) {
		int64_t pid = slice__number(slice__str(entry->d_name));

		if (pid > 0 && pid <= INT_MAX)
			err = look(list, dirfd(proc), (uint32_t)pid);
	}
	closedir(proc);
	if (list->count)
		qsort(list->list, list->count, sizeof(*list->list), by_pid);
	return err;
}

void golang_list__free(struct golang_list *list)
{
	free(list->list);
	*list = (struct golang_list){ 0 };
}
