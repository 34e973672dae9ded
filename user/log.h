/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines on stderr: "level subsystem: what failed: why".  Lower case, no full stop.
 */
#ifndef SPANLOOM_LOG_H
#define SPANLOOM_LOG_H

enum log_level {
	LOG_ERROR,
	LOG_WARN,
	LOG_INFO,
	LOG_DEBUG,
};

void log__set_level(enum log_level level);
enum log_level log__level(void);

/* A line of one call site is printed at most ten times a second; the rest is counted and the
 * count is printed with the next line. */
void log__print(enum log_level level, const char *subsystem, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(subsystem, ...) log__print(LOG_ERROR, subsystem, __VA_ARGS__)
#define log_warn(subsystem, ...)  log__print(LOG_WARN, subsystem, __VA_ARGS__)
#define log_info(subsystem, ...)  log__print(LOG_INFO, subsystem, __VA_ARGS__)
#define log_debug(subsystem, ...) log__print(LOG_DEBUG, subsystem, __VA_ARGS__)

/* strerror() of a negative or positive errno; valid until the next call. */
const char *errstr(int err);

#endif
