// SPDX-License-Identifier: Apache-2.0
#include "user/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define LINES_PER_SECOND 10
#define SITES		 256 /* of the format string's address; a collision shares the limit */
#define LINE_BYTES	 1024
#define SECOND_NS	 1000000000ull

/* One call site, known by its format string. */
struct site {
	const char *format;
	uint64_t since_ns; /* start of the current second */
	uint32_t printed;  /* in the current second */
	uint64_t held;	   /* not printed since the last line */
};

static const char *const level_names[] = {
	[LOG_ERROR] = "error",
	[LOG_WARN] = "warn",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

static enum log_level max_level = LOG_INFO;
static struct site sites[SITES];

void log__set_level(enum log_level level)
{
	max_level = level;
}

enum log_level log__level(void)
{
	return max_level;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SECOND_NS + (uint64_t)ts.tv_nsec;
}

/* The site of @format: its own, a free one, or the one that a full table makes it share. */
static struct site *site_of(const char *format)
{
	size_t start = ((uintptr_t)format * 0x9e3779b97f4a7c15ull) >> 32;

	for (size_t i = 0; i < SITES; i++) {
		struct site *site = &sites[(start + i) % SITES];

		if (site->format == format)
			return site;
		if (!site->format) {
			site->format = format;
			return site;
		}
	}
	return &sites[start % SITES];
}

/* May a line of this site be printed now?  Counts it as printed or as held back. */
static bool site__admit(struct site *site)
{
	uint64_t now = now_ns();

	if (site->since_ns == 0 || now - site->since_ns >= SECOND_NS) {
		site->since_ns = now;
		site->printed = 0;
	}
	if (site->printed >= LINES_PER_SECOND) {
		site->held++;
		return false;
	}
	site->printed++;
	return true;
}

/* One line stays one line: names of processes and files may hold any byte. */
static void blank_control_bytes(char *line)
{
	for (; *line; line++) {
		if ((unsigned char)*line < ' ' || *line == 0x7f)
			*line = '?';
	}
}

void log__print(enum log_level level, const char *subsystem, const char *format, ...)
{
	char line[LINE_BYTES];
	struct site *site;
	va_list args;

	if (level > max_level)
		return;
	site = site_of(format);
	if (!site__admit(site))
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	blank_control_bytes(line);
	if (site->held)
		fprintf(stderr, "%s %s: %s (%llu like it not shown)\n", level_names[level],
			subsystem, line, (unsigned long long)site->held);
	else
		fprintf(stderr, "%s %s: %s\n", level_names[level], subsystem, line);
	site->held = 0;
}

const char *errstr(int err)
{
	static char text[128];

	/* GNU strerror_r: the result may be a constant instead of @text. */
	return strerror_r(err < 0 ? -err : err, text, sizeof(text));
}
