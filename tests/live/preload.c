// SPDX-License-Identifier: Apache-2.0
/*
 * Loaded into the agent (LD_PRELOAD): memory that runs out and a clock that is set, as a test
 * writes them into the file SPANLOOM_TEST_FAULTS while the agent runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The file, in this order (tests/live/faults.py). */
struct faults {
	uint64_t allocations; /* so far */
	uint64_t failed;      /* of these */
	uint64_t fail_at;     /* the one of this number fails; 0: none */
	uint64_t fail_every;  /* one of so many fails; 0: none */
	int64_t real_time_ns; /* that CLOCK_REALTIME is ahead of the kernel's */
};

extern void *__libc_malloc(size_t len);
extern void *__libc_calloc(size_t count, size_t len);
extern void *__libc_realloc(void *old, size_t len);

static struct faults *faults;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("SPANLOOM_TEST_FAULTS");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *file;

	if (fd < 0)
		return;
	file = mmap(NULL, sizeof(*faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (file != MAP_FAILED)
		faults = file;
}

static bool fails(void)
{
	uint64_t number, every;

	if (!faults)
		return false;
	number = __atomic_add_fetch(&faults->allocations, 1, __ATOMIC_RELAXED);
	every = __atomic_load_n(&faults->fail_every, __ATOMIC_RELAXED);
	if (number != faults->fail_at && (!every || number % every))
		return false;
	__atomic_add_fetch(&faults->failed, 1, __ATOMIC_RELAXED);
	errno = ENOMEM;
	return true;
}

void *malloc(size_t len)
{
	return fails() ? NULL : __libc_malloc(len);
}

void *calloc(size_t count, size_t len)
{
	return fails() ? NULL : __libc_calloc(count, len);
}

void *realloc(void *old, size_t len)
{
	return fails() ? NULL : __libc_realloc(old, len);
}

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	int64_t ns;

	if (syscall(SYS_clock_gettime, clock, ts))
		return -1;
	if (clock != CLOCK_REALTIME || !faults)
		return 0;
	ns = ts->tv_nsec + __atomic_load_n(&faults->real_time_ns, __ATOMIC_RELAXED);
	ts->tv_sec += ns / 1000000000;
	ts->tv_nsec = ns % 1000000000;
	if (ts->tv_nsec < 0) {
		ts->tv_sec--;
		ts->tv_nsec += 1000000000;
	}
	return 0;
}
