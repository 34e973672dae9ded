// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/host.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "user/kernel/process_facts.h"

#define PASSWD_BYTES (256 * 1024)

/* The first line of "@root@path" in @out; "" when it cannot be read. */
static bool read_line(const char *root, const char *path, char *out, size_t size)
{
	char name[PATH_MAX];

	out[0] = '\0';
	if (snprintf(name, sizeof(name), "%s%s", root, path) >= (int)sizeof(name))
		return false;
	if (process_facts__file(AT_FDCWD, name, out, size) < 0)
		return false;
	out[strcspn(out, "\n")] = '\0';
	return out[0] != '\0';
}

/* Has process 1 a name for the host that is not ours?  Not where nobody can tell. */
static bool is_renamed(const char *proc_root)
{
	struct stat own, first;
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/self/ns/uts", proc_root) >= (int)sizeof(path) ||
	    stat(path, &own))
		return false;
	if (snprintf(path, sizeof(path), "%s/1/ns/uts", proc_root) >= (int)sizeof(path) ||
	    stat(path, &first))
		return false;
	return own.st_dev != first.st_dev || own.st_ino != first.st_ino;
}

/* A container has a name of its own, which is not the host's. */
static void host__read_name(struct host *host, const char *proc_root, const char *init_root)
{
	if (is_renamed(proc_root) &&
	    read_line(init_root, "/etc/hostname", host->name, sizeof(host->name)))
		return;
	if (!read_line(proc_root, "/sys/kernel/hostname", host->name, sizeof(host->name)))
		gethostname(host->name, sizeof(host->name) - 1);
}

static void host__read_arch(struct host *host, const struct utsname *uts)
{
	static const struct {
		const char *machine;
		const char *arch;
	} names[] = {
		{ "x86_64", "amd64" }, { "aarch64", "arm64" }, { "i686", "x86" },
		{ "i386", "x86" },     { "ppc64le", "ppc64" }, { "armv7l", "arm32" },
		{ "armv6l", "arm32" }, { "armv8l", "arm32" },
	};
	const char *arch = uts->machine;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i].machine, uts->machine) == 0)
			arch = names[i].arch;
	snprintf(host->arch, sizeof(host->arch), "%s", arch);
}

static int64_t read_boot_time(const char *proc_root)
{
	char path[PATH_MAX], line[256];
	int64_t boot = 0;
	FILE *file;

	/* by lines: the lines of the CPUs and interrupts before it may be very long */
	if (snprintf(path, sizeof(path), "%s/stat", proc_root) >= (int)sizeof(path))
		return 0;
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		struct slice text = slice__str(line);

		if (!slice__starts(text, SLICE("btime ")))
			continue;
		text = slice__skip(text, 6);
		boot = slice__number(slice__head(text, slice__find(text, '\n')));
		break;
	}
	fclose(file);
	return boot > 0 ? boot : 0;
}

static void host__read_passwd(struct host *host, const char *init_root)
{
	char path[PATH_MAX];
	ssize_t len = -1;

	host->passwd = malloc(PASSWD_BYTES);
	if (!host->passwd)
		return; /* process.owner is left out */
	if (snprintf(path, sizeof(path), "%s/etc/passwd", init_root) < (int)sizeof(path))
		len = process_facts__file(AT_FDCWD, path, host->passwd, PASSWD_BYTES);
	if (len < 0)
		len = process_facts__file(AT_FDCWD, "/etc/passwd", host->passwd, PASSWD_BYTES);
	host->passwd_len = len > 0 ? (size_t)len : 0;
}

void host__read(struct host *host, const char *proc_root)
{
	char init_root[PATH_MAX];
	struct utsname uts;
	long ticks = sysconf(_SC_CLK_TCK);

	*host = (struct host){ .ticks_per_s = ticks > 0 ? (uint64_t)ticks : 100 };
	if (uname(&uts) == 0)
		host__read_arch(host, &uts);
	read_line(proc_root, "/sys/kernel/random/boot_id", host->boot_id, sizeof(host->boot_id));
	host->boot_unix_s = read_boot_time(proc_root);
	if (snprintf(init_root, sizeof(init_root), "%s/1/root", proc_root) >=
	    (int)sizeof(init_root))
		init_root[0] = '\0';
	host__read_name(host, proc_root, init_root);
	if (!read_line(init_root, "/etc/machine-id", host->id, sizeof(host->id)) &&
	    !read_line("", "/etc/machine-id", host->id, sizeof(host->id)))
		read_line("", "/var/lib/dbus/machine-id", host->id, sizeof(host->id));
	host__read_passwd(host, init_root);
}

void host__free(struct host *host)
{
	free(host->passwd);
	*host = (struct host){ 0 };
}

/* "name:password:uid:..." */
struct slice host__user(const struct host *host, uint32_t uid)
{
	struct slice text = slice__of(host->passwd, host->passwd_len);

	while (text.len) {
		struct slice line = slice__head(text, slice__find(text, '\n'));
		struct slice name = slice__head(line, slice__find(line, ':'));
		struct slice rest = slice__skip(line, name.len + 1);

		rest = slice__skip(rest, slice__find(rest, ':') + 1);
		if (slice__number(slice__head(rest, slice__find(rest, ':'))) == uid)
			return name;
		text = slice__skip(text, line.len + 1);
	}
	return slice__of(NULL, 0);
}
