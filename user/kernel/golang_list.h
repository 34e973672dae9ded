/* SPDX-License-Identifier: Apache-2.0 */
/* The Go programs that run on this host, and what can be known of their goroutines. */
#ifndef SPANLOOM_GOLANG_LIST_H
#define SPANLOOM_GOLANG_LIST_H

#include <stddef.h>
#include <stdint.h>

#define GOLANG_LIST_MAX 1024 /* more of them are not listed */

struct golang_listed {
	uint32_t pid;
	char exe[256];	      /* path of the program, printable; "" when unknown */
	unsigned int minor;   /* of Go 1.x */
	const char *obstacle; /* why its goroutines are not read: static; NULL: they are */
	unsigned int watched; /* functions of libraries that make calls */
};

struct golang_list {
	struct golang_listed *list; /* by pid */
	size_t count;
};

/* 0 or a negative errno; call golang_list__free() in either case. */
int golang_list__read(struct golang_list *list);
void golang_list__free(struct golang_list *list);

#endif
