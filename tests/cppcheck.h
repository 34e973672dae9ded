/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What cppcheck has to know of macros whose headers it does not read (tests/lint).
 */
#ifndef SPANLOOM_CPPCHECK_H
#define SPANLOOM_CPPCHECK_H

#define HASH_ITER(hh, head, each, next)                                                            \
	for ((each) = (head), (next) = next_of(each); (each);                                      \
	     (each) = (next), (next) = next_of(each))
#define DL_FOREACH_SAFE(head, each, next)                                                          \
	for ((each) = (head), (next) = next_of(each); (each);                                      \
	     (each) = (next), (next) = next_of(each))
#define DL_FOREACH(head, each) for ((each) = (head); (each); (each) = next_of(each))
#define TAILQ_HEAD(name, type)                                                                     \
	struct name {                                                                              \
		struct type *first, **last;                                                        \
	}
#define TAILQ_ENTRY(type)                                                                          \
	struct {                                                                                   \
		struct type *next, **prev;                                                         \
	}
#define TAILQ_FOREACH(each, head, field)                                                           \
	for ((each) = (head)->first; (each); (each) = (each)->field.next)
#define LIBBPF_OPTS(type, name, ...) struct type name = { .sz = sizeof(name), __VA_ARGS__ }

#endif
