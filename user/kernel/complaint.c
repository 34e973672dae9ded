// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/complaint.h"

#include <errno.h>
#include <unistd.h>

#include "user/log.h"

/* libbpf's print function has no context: what it said of the load that is under way. */
static struct {
	char first[160];   /* its first complaint */
	char verdict[160]; /* last line of the verifier's log */
} complaint;

static void copy_line(char *out, size_t out_len, const char *line, size_t len)
{
	if (len >= out_len)
		len = out_len - 1;
	memcpy(out, line, len);
	out[len] = '\0';
}

/* The verifier's reason is the line before its statistics. */
static void keep_verdict(const char *log)
{
	const char *line = log, *last = log;
	size_t last_len = 0;

	while (*line && strncmp(line, "processed ", 10) != 0 && strncmp(line, "-- END", 6) != 0) {
		size_t len = strcspn(line, "\n");

		if (len) {
			last = line;
			last_len = len;
		}
		line += len + (line[len] == '\n');
	}
	copy_line(complaint.verdict, sizeof(complaint.verdict), last, last_len);
}

int complaint__listen(enum libbpf_print_level level, const char *format, va_list args)
{
	static char text[1 << 20]; /* the end of the log is what matters */
	const char *log;
	size_t line;

	if (level == LIBBPF_DEBUG)
		return 0;
	vsnprintf(text, sizeof(text), format, args);
	log_debug("libbpf", "%s", text);
	log = strstr(text, "-- BEGIN PROG LOAD LOG --\n");
	if (log)
		keep_verdict(strchr(log, '\n') + 1);
	line = strcspn(text, "\n");
	if (level == LIBBPF_WARN && !complaint.first[0] && !log)
		copy_line(complaint.first, sizeof(complaint.first), text, line);
	return 0;
}

void complaint__forget(void)
{
	memset(&complaint, 0, sizeof(complaint));
}

void complaint__explain(char *why, size_t len, const char *what, int err)
{
	const char *said = complaint.verdict[0] ? complaint.verdict : complaint.first;

	switch (-err) {
	case EPERM:
	case EACCES:
		if (!complaint.verdict[0]) {
			snprintf(why, len,
				 "cannot %s the kernel programs: %s; run as root, or with CAP_BPF, "
				 "CAP_PERFMON and CAP_NET_ADMIN (see \"spanloom check\")",
				 what, errstr(err));
			return;
		}
		break;
	case ENOMEM:
		snprintf(why, len, "cannot %s the kernel programs: %s; try a smaller --ring-size",
			 what, errstr(err));
		return;
	case ESRCH:
	case ENOENT:
		if (access("/sys/kernel/btf/vmlinux", R_OK) != 0) {
			snprintf(why, len,
				 "cannot %s the kernel programs: this kernel has no BTF; use one "
				 "built with CONFIG_DEBUG_INFO_BTF=y",
				 what);
			return;
		}
		break;
	}
	snprintf(why, len, "cannot %s the kernel programs: %s (%s); see \"spanloom check\"", what,
		 errstr(err), said[0] ? said : "no reason given");
}
