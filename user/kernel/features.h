/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this kernel and these privileges allow, found by trying, never by version number.
 */
#ifndef SPANLOOM_FEATURES_H
#define SPANLOOM_FEATURES_H

#include <stdbool.h>
#include <stddef.h>

#include "user/kernel/injection_probe.h"

/* How the moments S, D and R of a socket are seen (design: hooks). */
enum hook_family {
	HOOKS_NONE,
	HOOKS_TP, /* tp_btf: tcp_sendmsg_locked (when there), sock_send_length, sock_recv_length */
	HOOKS_FENTRY, /* fentry and fexit on inet_sendmsg, inet_recvmsg and kin */
	HOOKS_KPROBE, /* kprobe and kretprobe on the same */
};

enum feature_id {
	FEATURE_ROOT, /* privileges enough for bpf() */
	FEATURE_BTF,
	FEATURE_RING_BUFFER,
	FEATURE_TP_SOCK_LENGTH, /* tp_btf/sock_send_length and sock_recv_length load and attach */
	FEATURE_TP_SEND_START,	/* tp_btf/tcp_sendmsg_locked */
	FEATURE_FENTRY,
	FEATURE_KPROBE,
	FEATURE_SK_STORAGE,    /* in the programs of the family that would be used */
	FEATURE_INJECTION,     /* sockets work as ever in a map of sockets */
	FEATURE_TCP_OPTION,    /* programs may write TCP options */
	FEATURE_PYTHON,	       /* CPython's contexts are known on this processor */
	FEATURE_PID_NAMESPACE, /* we see the host's processes */
	FEATURE_BPF_STATS,     /* run times of programs are counted; off is no fault */
	FEATURES,
};

struct feature {
	const char *name; /* "ring buffer" */
	bool on;
	bool required;		 /* spanloom cannot run without */
	bool tried;		 /* false: bpf() is refused, so nobody knows; @on is false then */
	char detail[160];	 /* cause or finding: "bpf(): EPERM" */
	const char *consequence; /* tried and off; else NULL */
	const char *remedy;	 /* likewise, when there is one */
};

struct features {
	char kernel[128];	/* uname release and machine */
	char lockdown[32];	/* none, integrity, confidentiality, unknown */
	char capabilities[256]; /* those we need and lack: "CAP_BPF, CAP_PERFMON"; "" when none */
	enum hook_family family;
	const char *family_reason;
	enum injection_state injection; /* what FEATURE_INJECTION found */
	const char *sending_remedy;	/* what lacks to both ways to send contexts, or NULL */
	struct feature feature[FEATURES];
};

/* Probes all; cheap enough for every start (tens of ms).  Leaves nothing behind. */
void features__probe(struct features *f);

/* Uses @family, whatever the kernel is better at. */
void features__force(struct features *f, enum hook_family family);

/* One line (cause, consequence, remedy) for the first required feature that is missing;
 * false when nothing is. */
bool features__blocker(const struct features *f, char *line, size_t len);

const char *hook_family__name(enum hook_family family);

#endif
