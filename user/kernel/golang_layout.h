/* SPDX-License-Identifier: Apache-2.0 */
/* Where Go's structures have the fields that bpf/go.bpf.h reads: a matter of Go's version. */
#ifndef SPANLOOM_GOLANG_LAYOUT_H
#define SPANLOOM_GOLANG_LAYOUT_H

#include <stdbool.h>

/* Offsets on 64-bit machines; 0: there is no such field, or it is not known. */
struct golang_layout {
	unsigned int goid;    /* runtime.g */
	unsigned int parent;  /* likewise, parentGoid, since 1.21 */
	unsigned int batch;   /* runtime.p.goidcache, which goidcacheend follows */
	unsigned int conn;    /* net/http.persistConn */
	unsigned int shared;  /* likewise, isClientConn, since 1.26 */
	unsigned int fd;      /* net.netFD.pfd.Sysfd */
	unsigned int family;  /* net.netFD, which sotype follows */
	unsigned int context; /* net/http.Request.ctx */
};

/* What is known of Go 1.@minor; false: nothing. */
bool golang_layout__of_version(unsigned int minor, struct golang_layout *layout);

#endif
