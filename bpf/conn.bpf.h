/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is remembered of a socket: the only functions that create, find and free it.
 *
 *	UNKNOWN --some turns without a match--> IGNORED <--user space's verdict--+
 *	   |                                                                     |
 *	   +--either side could have sent this--> CANDIDATE --> BOUND -----------+
 *	   +--only one side could have sent this-----------------^
 */
#ifndef SPANLOOM_CONN_BPF_H
#define SPANLOOM_CONN_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/bystander.bpf.h"
#include "bpf/config.bpf.h"
#include "bpf/core.bpf.h"
#include "bpf/count.bpf.h"
#include "bpf/event.h"
#include "bpf/scope.bpf.h"

enum conn_state {
	CONN_UNKNOWN,	/* no match yet: nothing is emitted */
	CONN_CANDIDATE, /* a weak match: emitted, and each turn is classified again */
	CONN_BOUND,	/* emitted */
	CONN_IGNORED,	/* one lookup and return */
};

enum conn_mark {
	CONN_ANNOUNCED = 1 << 0, /* EVENT_CONN is in the ring */
	CONN_NGINX = 1 << 1,	 /* the process that was adopted is called so */
	CONN_PORT_SEEN = 1 << 2, /* passed the filter of ports */
	CONN_EOF = 1 << 3,	 /* these three were told to user space */
	CONN_RESET = 1 << 4,
	CONN_DONE = 1 << 5,
	CONN_OVERTAKEN = 1 << 6, /* the answer was received before the send was done */
	CONN_PEEKED = 1 << 7,	 /* Go: of the request one byte was read, see go.bpf.h */
	CONN_PAIRED = 1 << 8,	 /* unix: @peer_base is known */
	CONN_CALLING = 1 << 9,	 /* an event loop's call is unanswered, see loop.bpf.h */
	CONN_CALLED = 1 << 10,	 /* a client's: of the send under way the context is known */
};

#define CONN_NO_DIR	    0xff

#define UNMATCHED_TURNS_MAX 6

/* What serves a request, see activity.bpf.h. */
enum activity_kind {
	ACTIVITY_NONE,
	ACTIVITY_THREAD,  /* id: pid of the thread */
	ACTIVITY_PROCESS, /* id: 0 */
	ACTIVITY_GOROUTINE,
	ACTIVITY_PYCONTEXT,
};

struct activity_key {
	__u64 id;
	__u32 tgid;
	__u32 kind; /* enum activity_kind */
};

struct conn {
	__u64 id; /* 0: not in use */
	__u64 start_ns;
	__u64 send_start_ns; /* 0: no send under way, or its start was not seen */
	__u64 send_end;	     /* where the one that was begun last ends, see pair__end() */
	__u64 pos[2];	     /* bytes so far, by enum event_dir; lost records count too */
	__u64 cgroup_id;
	union {
		struct activity_key served_by; /* a server's: who serves its open request */
		__u64 idle; /* others': activity__idle_key() of a thread that serves nothing */
	};
	__u64 request_pos; /* and where that begins; a client's: its last one */
	__u64 ref_conn;	   /* a client's: on whose behalf it connected, see struct event_data */
	__u64 ref_pos;
	union {
		/* Unix: what pos[DIR_SEND] is ahead of the peer's pos[DIR_RECV], idle. */
		__u64 peer_base;
		/* TCP: the sequence numbers at pos 0, see pair__catch_up(); 0: not known. */
		__u32 base[2];
	};
	__u64 mmsg_vector; /* sendmmsg, recvmmsg: the user's vector, and what comes next */
	__u64 scope;	   /* scope__key() that was judged last, or CONN_SCOPE_OUT with it */
	__u32 tgid;	   /* that connected or first moved data; 0: not known yet */
	__u32 tid;
	__u32 verdict_seen; /* verdict_epoch at the last look */
	__u32 budget;	    /* bytes that may yet be copied in this turn */
	__u16 mmsg_next;
	__u16 marks; /* enum conn_mark */
	__u8 state;  /* enum conn_state */
	__u8 proto;  /* enum proto_id */
	__u8 role;   /* enum conn_role */
	__u8 flags;  /* enum conn_flag */
	__u8 last_dir;
	__u8 turns;	   /* without a match */
	__u8 side;	   /* enum conn_role: as @role, or as the first message told */
	__u8 ref;	   /* enum ref_kind, of ref_conn */
	__u8 head;	   /* a server's: enum context_how of the newest request */
	__u8 mute;	   /* no records until the next request: the trace is not sampled */
	__u8 context_sent; /* a client's: with the send under way, see option.bpf.h */
	__u8 context_ref;  /* enum ref_kind, how the parent of that one's context is known */
	char comm[EVENT_COMM_LEN];
} __attribute__((aligned(8)));

_Static_assert(sizeof(struct conn) <= 168, "a host has many sockets");

#define CONN_SCOPE_OUT (1ULL << 63) /* of a scope key: not traced.  No tgid is so large */

/* Freed with the socket. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct conn);
} conns __weak SEC(".maps");

/* Address of the socket -> its state, where programs may not use socket storage.  User space
 * sets the bound, what is beyond is counted; the hooks on the end of a socket delete. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct conn);
} conns_by_address __weak SEC(".maps");

/* conn_id -> enum verdict.  User space adds; an entry that is pushed out by newer ones before
 * the connection moved data is given again when it does. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, __u32);
} verdicts __weak SEC(".maps");

/*
 * One per program that may open connections or copy data at the same time on one CPU.  The
 * kernel does not let a program interrupt itself on a CPU, so per-CPU memory that belongs to
 * one program needs no lock, not even where programs can be preempted.
 */
enum slot {
	SLOT_SEND,
	SLOT_RECV,
	SLOT_SEND_TWIN, /* see twin.bpf.h */
	SLOT_RECV_TWIN,
	SLOT_SEND6,
	SLOT_RECV6,
	SLOT_SEND_UNIX,
	SLOT_RECV_UNIX,
	SLOT_SEND_PAGE,
	SLOT_STATE,
	SLOT_STATE_TWIN,
	SLOT_INVENTORY,
	SLOTS,
};

/* enum slot -> connections opened by that program on that CPU; never deleted. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, __u64);
} conns_opened __weak SEC(".maps");

static __always_inline __u64 conn__new_id(enum slot slot)
{
	__u32 key = slot;
	__u64 *opened = bpf_map_lookup_elem(&conns_opened, &key);

	if (!opened)
		return 0;
	*opened += 1;
	return (__u64)slot << 60 | (__u64)(bpf_get_smp_processor_id() + 1) << 40 | *opened;
}

/* NULL: none. */
static __always_inline struct conn *conn__find(struct sock *sk)
{
	__u64 key = (__u64)sk;

	if (use_sk_storage)
		return bpf_sk_storage_get(&conns, sk, NULL, 0);
	return bpf_map_lookup_elem(&conns_by_address, &key);
}

/* A copy of @first, or what another processor has made of the socket meanwhile. */
static __always_inline struct conn *conn__allocate(struct sock *sk, struct conn *first)
{
	struct conn *conn = NULL;
	__u64 key = (__u64)sk;

	if (!use_sk_storage) {
		bpf_map_update_elem(&conns_by_address, &key, first, BPF_NOEXIST);
		return bpf_map_lookup_elem(&conns_by_address, &key);
	}
	/* Where two make it at once, one gets nothing (bpf_local_storage_update()): once more. */
	for (int i = 0; i < 2 && !conn; i++)
		conn = bpf_sk_storage_get(&conns, sk, first, BPF_SK_STORAGE_GET_F_CREATE);
	return conn;
}

/* Socket storage needs no help: it goes with the socket. */
static __always_inline void conn__free(struct sock *sk)
{
	__u64 key = (__u64)sk;

	bystander__free(sk);
	if (!use_sk_storage)
		bpf_map_delete_elem(&conns_by_address, &key);
}

/* A new life begins. */
static __always_inline void conn__reset(struct conn *conn, enum slot slot, __u64 now)
{
	__builtin_memset(conn, 0, sizeof(*conn));
	conn->id = conn__new_id(slot);
	conn->start_ns = now;
	conn->last_dir = CONN_NO_DIR;
	conn->verdict_seen = verdict_epoch;
	count__one(COUNT_CONNECTIONS);
}

/* State of @sk, which has none.  NULL: no memory, counted.  Not inline: it needs a third of the
 * stack. */
static inline __noinline struct conn *conn__open(struct sock *sk, enum slot slot, __u64 now)
{
	struct conn first, *conn;

	bystander__free(sk);
	conn__reset(&first, slot, now);
	if (inventory_done && BPF_CORE_READ(sk, __sk_common.skc_family) == AF_UNIX)
		first.flags = CONN_FRESH;
	conn = conn__allocate(sk, &first);
	if (!conn)
		count__one(COUNT_NO_STATE);
	return conn;
}

static __always_inline bool conn__is_named_nginx(const struct conn *conn)
{
	const char *c = conn->comm;

	return c[0] == 'n' && c[1] == 'g' && c[2] == 'i' && c[3] == 'n' && c[4] == 'x' && !c[5];
}

static __always_inline bool conn__is_nginx(const struct conn *conn)
{
	return conn->marks & CONN_NGINX;
}

/* The current process is the one to name. */
static __always_inline void conn__adopt(struct conn *conn)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();

	conn->tgid = pid_tgid >> 32;
	conn->tid = pid_tgid;
	conn->cgroup_id = bpf_get_current_cgroup_id();
	bpf_get_current_comm(conn->comm, sizeof(conn->comm));
	conn->marks &= ~CONN_NGINX;
	if (conn__is_named_nginx(conn))
		conn->marks |= CONN_NGINX;
	if (conn->tgid == self_tgid || core__task_flags() & PF_KTHREAD)
		conn->state = CONN_IGNORED;
}

/*
 * Does the direction of the traffic turn with these bytes?  Where one thread sends and another
 * receives, the answer may come while the send is still under way: both are turns then, and
 * what follows of the answer is none.
 */
static __always_inline bool conn__turns(struct conn *conn, enum event_dir dir)
{
	bool turns = conn->last_dir != dir;

	if (dir == DIR_SEND && conn->marks & CONN_OVERTAKEN) {
		conn->marks &= ~CONN_OVERTAKEN;
		return true;
	}
	if (dir == DIR_RECV && conn->send_start_ns && conn->last_dir != DIR_SEND &&
	    !(conn->marks & CONN_OVERTAKEN)) {
		conn->marks |= CONN_OVERTAKEN;
		turns = true;
	}
	conn->last_dir = dir;
	return turns;
}

/* A message that did not look like anything we know. */
static __always_inline void conn__unmatched(struct conn *conn)
{
	conn->turns++;
	if (conn->turns < UNMATCHED_TURNS_MAX)
		return;
	conn->state = CONN_IGNORED;
	count__one(COUNT_UNINTERESTING);
}

/* Is @tgid traced?  The answer is kept until another process or verdict comes. */
static __always_inline bool conn__in_scope(struct conn *conn, __u32 tgid)
{
	__u64 key = scope__key(tgid);
	bool traced;

	if ((conn->scope & ~CONN_SCOPE_OUT) == key)
		return !(conn->scope & CONN_SCOPE_OUT);
	traced = scope__traced(tgid);
	conn->scope = traced ? key : key | CONN_SCOPE_OUT;
	return traced;
}

/* Is it known that the process of @key, scope__key(), is not traced? */
static __always_inline bool conn__is_out(const struct conn *conn, __u64 key)
{
	return conn->scope == (key | CONN_SCOPE_OUT);
}

/* @size bytes were moved of which nothing is told. */
static __always_inline void conn__count(struct conn *conn, enum event_dir dir, __u64 size)
{
	conn->pos[dir] += size;
	if (dir == DIR_SEND) {
		conn->send_start_ns = 0;
		conn->marks &= ~CONN_OVERTAKEN;
	}
}

/* And they are the newest. */
static __always_inline void conn__pass(struct conn *conn, enum event_dir dir, __u32 size)
{
	conn__count(conn, dir, size);
	conn->last_dir = dir;
	conn->mmsg_vector = 0;
}

/*
 * Counts what bystanders moved in direction @dir on @sk, which has @place.  Only who sends
 * settles DIR_SEND, and only who receives DIR_RECV, as only they count: others look, see
 * conn__pos().  Which direction was the newest is settled by both.
 */
static __always_inline void conn__settle(struct conn *conn, const struct sock *sk,
					 volatile struct bystander *place, enum event_dir dir)
{
	__u32 newest;
	__u64 ahead;

	if (!bystander__sums(place, sk, conn->id))
		return;
	ahead = bystander__ahead(place, dir);
	if (ahead) {
		place->settled[dir] += ahead;
		conn__count(conn, dir, ahead);
	}
	newest = place->newest;
	if (!newest)
		return;
	place->newest = 0; /* what is moved from here on is newer */
	conn->last_dir = newest - 1;
	conn->mmsg_vector = 0;
}

/* How many bytes of @sk were moved, by whomever. */
static __always_inline __u64 conn__pos(const struct sock *sk, const struct conn *conn,
				       enum event_dir dir)
{
	const volatile struct bystander *place = bystander__place(sk);
	bool ahead = bystander__sums(place, sk, conn->id);

	return conn->pos[dir] + (ahead ? bystander__ahead(place, dir) : 0);
}

/* In which direction the newest of them were. */
static __always_inline __u8 conn__last_dir(const struct sock *sk, const struct conn *conn)
{
	const volatile struct bystander *place = bystander__place(sk);
	__u32 newest = bystander__sums(place, sk, conn->id) ? place->newest : 0;

	return newest ? newest - 1 : conn->last_dir;
}

/* Has user space given this connection up?  Then it is ignored from now on. */
static __always_inline bool conn__given_up(struct conn *conn)
{
	__u32 epoch = verdict_epoch;
	__u64 id = conn->id;
	__u32 *verdict;

	if (conn->verdict_seen == epoch)
		return false;
	conn->verdict_seen = epoch;
	verdict = bpf_map_lookup_elem(&verdicts, &id);
	if (!verdict || *verdict != VERDICT_IGNORE)
		return false;
	conn->state = CONN_IGNORED;
	count__one(COUNT_IGNORED);
	return true;
}

#endif
