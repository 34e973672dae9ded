/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes of a fake /proc in a temporary directory, and what is said of them.
 */
#ifndef SPANLOOM_PROCESS_SCENE_H
#define SPANLOOM_PROCESS_SCENE_H

#include <stdint.h>

#include "user/kernel/process.h"

extern char proc_root[64];

/* For cmocka, around each test: a /proc of a host without processes. */
int process_scene__setup(void **state);
int process_scene__teardown(void **state);
#define PROCESS_TEST(test)                                                                         \
	cmocka_unit_test_setup_teardown(test, process_scene__setup, process_scene__teardown)

/* Files of it; @name is a path within. */
void put_bytes(const char *name, const char *data, size_t len);
void put_text(const char *name, const char *text);
#define PUT(name, literal) put_bytes(name, literal, sizeof(literal) - 1)

/* What /proc shows of a process: all, and its single files; @start in ticks since boot. */
void put_process(unsigned int pid, const char *exe);
void put_exe(unsigned int pid, const char *target);
void put_stat(unsigned int pid, const char *comm, unsigned long long start);
void remove_process(unsigned int pid);

/* Of that /proc, for process 99. */
struct processes_config config_of(void);

/* ATTRIBUTE_NONE: there is none. */
struct attribute find_attribute(const struct resource *r, const char *key);
/* The one that must be there. */
struct attribute get_attribute(const struct resource *r, const char *key);
void assert_attr(const struct resource *r, const char *key, const char *value);
void assert_name(struct processes *p, uint32_t pid, const char *comm, const char *name);

#endif
