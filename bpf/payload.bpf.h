/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The bytes that a system call moved, from the user's memory into records.
 *
 *	|<------------- size --------------->|
 *	|<-- want -->|<-- skip -->|<- tail ->|
 *	 data ... data      one data record: length, and only the tail's bytes
 *
 * A piece is one buffer of the user: the only one, or one of an iovec list.  What lies in one
 * piece is copied straight into the ring, and so is what little lies in two; what lies in several
 * is put together first, so that a record ends where it is full and not where the program happened
 * to cut its message.
 *
 * The loops are functions of their own with the number of a slot for argument, and all state
 * is in per-CPU memory: the verifier checks a global function once, whatever its callers know
 * of the argument, and a value loaded from memory is to it just some number.  Inlined, with
 * the state in registers, the same code went past its million of instructions (6.18).  They
 * are weak because several objects have them; the linker keeps one.
 */
#ifndef SPANLOOM_PAYLOAD_BPF_H
#define SPANLOOM_PAYLOAD_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/classify.bpf.h"
#include "bpf/conn.bpf.h"
#include "bpf/count.bpf.h"
#include "bpf/event.h"
#include "bpf/output.bpf.h"
#include "bpf/traceparent.h"

#define PIECES_MAX   64	  /* of an iovec list that are followed */
#define PIECES_AHEAD 4	  /* of these are read at once; a power of two */
#define CHUNKS_MAX   16	  /* records per system call: 64 KiB */
#define JOIN_BYTES   256  /* of each of two pieces that are put together in the ring itself */
#define JOIN_SMALL   64	  /* of the second, where the first has so much less */
#define GATHER_BYTES 2048 /* put together: a record ends when it has this much or more */
#define GATHER_STEPS (PIECES_MAX + CHUNKS_MAX * EVENT_PAYLOAD_MAX / GATHER_BYTES)

struct piece {
	__u64 base; /* address in user memory */
	__u64 len;
};

struct transfer {
	struct piece piece; /* what is left of the current piece */
	__u64 next_piece;   /* address of the next struct iovec of the user */
	__u32 pieces;	    /* how many there are */
	__u32 left;	    /* bytes of the system call that no record stands for yet */
	__u32 want;	    /* of these, to be copied now */
	__u32 skip;	    /* to be passed over before */
	__u32 filled;	    /* bytes that were put together behind @data */
	__u32 fault;	    /* user memory could not be read */
	__u32 fresh;	    /* for the classifiers */
	__u32 head;	    /* enum head_slot, for what is received */
	__u32 pad;
	__u32 has_context; /* a message at @context_pos came with one, see option.bpf.h */
	__u64 context_pos;
	struct traceparent context;
	__u64 ahead_at; /* where in user memory the list in @ahead stands, and ends */
	__u64 ahead_end;
	struct piece ahead[PIECES_AHEAD];
	union {
		struct event_data data; /* the next record */
		__u8 record[sizeof(struct event_data) + 2 * GATHER_BYTES];
	};
};

/* enum slot -> the transfer at work; SLOT_STATE has none. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SLOT_STATE);
	__type(key, __u32);
	__type(value, struct transfer);
} transfers __weak SEC(".maps");

static __always_inline struct transfer *payload__transfer(__u32 slot)
{
	return bpf_map_lookup_elem(&transfers, &slot);
}

/* A system call moved @left bytes; the first @want of them are to be copied. */
static __always_inline void payload__start(struct transfer *t, __u32 left, __u32 want)
{
	t->left = left;
	t->want = want;
	t->skip = 0;
	t->filled = 0;
	t->fault = 0;
}

/* The record is out, or lost and counted: the next one goes on behind it. */
static __always_inline void payload__advance(struct transfer *t)
{
	t->data.pos += t->data.size;
	t->left -= t->data.size;
	t->data.flags &= ~(DATA_TURN | DATA_SAMPLED);
	t->data.flags |= DATA_CONTINUED;
	t->data.match = 0;
}

/*
 * One record that stands for data.size bytes, the first @len of them copied from the current
 * piece.  @room: constant, at least @len.
 *
 * The ring gives out constant sizes only, hence the classes below.  Where clang keeps @len in
 * a 32-bit register and compares a copy of it, the verifier (6.18) forgets the bound at the
 * call: the barrier makes it compare the very register that it passes.
 */
static __always_inline void payload__record_of(struct transfer *t, __u32 len, const __u32 room)
{
	const __u32 total = sizeof(struct event_data) + room;
	struct event_data *record = output__reserve(total, t->data.size);

	if (!record)
		return;
	*record = t->data;
	barrier_var(len);
	if (len > room)
		len = room;
	if (room && bpf_probe_read_user(record->payload, len, (void *)t->piece.base)) {
		count__one(COUNT_COPY_FAULT);
		record->flags |= DATA_FAULT;
		len = 0;
	}
	record->captured = len;
	record->hdr.len = sizeof(*record) + len;
	output__submit(record, total);
}

/* The next record: @len bytes of the current piece.  Not inline: the loop that calls it keeps
 * its counter in a register.  Spilled as 32 bits next to a map key, clang's usual choice, the
 * counter is lost to the verifier (6.18). */
static __noinline int payload__record(struct transfer *t, __u32 len)
{
	t->data.size = len;
	if (len > 1536)
		payload__record_of(t, len, EVENT_PAYLOAD_MAX);
	else if (len > 512)
		payload__record_of(t, len, 1536);
	else if (len > 128)
		payload__record_of(t, len, 512);
	else if (len)
		payload__record_of(t, len, 128);
	else
		payload__record_of(t, 0, 0);
	payload__advance(t);
	t->piece.base += len;
	t->piece.len -= len;
	t->want -= len;
	return 0;
}

/* Copies @want bytes that lie in the current piece. */
__weak int payload__copy(__u32 slot)
{
	struct transfer *t = payload__transfer(slot);

	if (!t)
		return 0;
	for (int i = 0; i < CHUNKS_MAX; i++) {
		__u32 len = t->want;

		if (!len)
			break;
		if (len > EVENT_PAYLOAD_MAX)
			len = EVENT_PAYLOAD_MAX;
		payload__record(t, len);
	}
	return 0;
}

/* The record of what was put together; it stands for @size bytes of traffic.  A function of its
 * own, or the verifier would go through it in each round of the loop that calls it. */
__weak int payload__flush(__u32 slot, __u32 size)
{
	struct transfer *t = payload__transfer(slot);
	__u32 len;

	if (!t)
		return 0;
	len = t->filled & (2 * GATHER_BYTES - 1);
	t->data.size = size;
	t->data.captured = len;
	t->data.hdr.len = sizeof(t->data) + len;
	output__copy(&t->data, sizeof(t->data) + len, size);
	payload__advance(t);
	t->filled = 0;
	return 0;
}

/* Lists are short: one helper call brings most of them whole. */
static __always_inline void payload__look_ahead(struct transfer *t, __u64 list, __u64 count)
{
	__u32 len = (count < PIECES_AHEAD ? count : PIECES_AHEAD) * sizeof(struct piece);

	barrier_var(len); /* as above */
	if (len > sizeof(t->ahead))
		len = sizeof(t->ahead);
	t->ahead_at = list;
	t->ahead_end = bpf_probe_read_user(t->ahead, len, (void *)list) ? list : list + len;
}

static __always_inline bool payload__next_piece(struct transfer *t)
{
	if (!t->pieces)
		return false;
	if (t->next_piece < t->ahead_end)
		t->piece = t->ahead[(t->next_piece - t->ahead_at) / sizeof(t->piece) &
				    (PIECES_AHEAD - 1)];
	else if (bpf_probe_read_user(&t->piece, sizeof(t->piece), (void *)t->next_piece)) {
		t->fault = 1;
		return false;
	}
	t->next_piece += sizeof(t->piece);
	t->pieces--;
	return true;
}

/* Reads as much of @want as the current piece has, and the record room for.  False: fault. */
static __always_inline bool payload__take(struct transfer *t)
{
	__u32 at = t->filled & (GATHER_BYTES - 1);
	__u32 len = t->want;

	if (len > t->piece.len)
		len = t->piece.len;
	barrier_var(len); /* as above */
	if (len > GATHER_BYTES)
		len = GATHER_BYTES;
	if (bpf_probe_read_user(t->record + sizeof(t->data) + at, len, (void *)t->piece.base)) {
		t->fault = 1;
		return false;
	}
	t->piece.base += len;
	t->piece.len -= len;
	t->want -= len;
	t->filled = at + len;
	return true;
}

/* Are the wanted bytes in this piece and the next one, and in both not many?  So are most
 * responses: a head, and a short body. */
static __always_inline bool payload__joins(const struct transfer *t)
{
	return t->piece.len <= JOIN_BYTES && t->want - t->piece.len <= JOIN_BYTES && t->pieces &&
	       t->next_piece == t->ahead_at + sizeof(t->piece) &&
	       t->next_piece + sizeof(t->piece) <= t->ahead_end &&
	       t->want - t->piece.len <= t->ahead[1].len;
}

/* One record of @first bytes of the current piece and @second of the next one.  @most, @more:
 * constant, at least as much. */
static __always_inline void payload__join_of(struct transfer *t, __u32 first, __u32 second,
					     const __u32 most, const __u32 more)
{
	const __u32 total = sizeof(struct event_data) + most + more;
	struct event_data *record = output__reserve(total, t->data.size);

	if (!record)
		return;
	*record = t->data;
	barrier_var(first); /* as above */
	if (first > most)
		first = most;
	barrier_var(second);
	if (second > more)
		second = more;
	record->captured = first + second;
	if (bpf_probe_read_user(record->payload, first, (void *)t->piece.base) ||
	    bpf_probe_read_user(record->payload + first, second, (void *)t->ahead[1].base)) {
		count__one(COUNT_COPY_FAULT);
		record->flags |= DATA_FAULT;
		record->captured = 0;
	}
	record->hdr.len = sizeof(*record) + record->captured;
	output__submit(record, total);
}

/* Copies @want bytes for which payload__joins().  No loop, so it may be given what it works on. */
static __noinline int payload__join(struct transfer *t)
{
	__u32 first = t->piece.len, second = t->want - first;

	t->data.size = t->want;
	if (first <= JOIN_BYTES - JOIN_SMALL && second <= JOIN_SMALL)
		payload__join_of(t, first, second, JOIN_BYTES - JOIN_SMALL, JOIN_SMALL);
	else
		payload__join_of(t, first, second, JOIN_BYTES, JOIN_BYTES);
	payload__advance(t);
	payload__next_piece(t);
	t->piece.base += second;
	t->piece.len -= second;
	t->want = 0;
	return 0;
}

/*
 * Skips @skip bytes, then puts @want bytes together, in records of GATHER_BYTES and more; the
 * last bytes wait in the record.  Stops early at a fault, and at the last piece or step that we
 * follow: @want is not 0 then.
 */
__weak int payload__gather(__u32 slot)
{
	struct transfer *t = payload__transfer(slot);

	if (!t)
		return 0;
	for (int i = 0; i < GATHER_STEPS; i++) {
		__u64 skip;

		if (!t->want || (!t->piece.len && !payload__next_piece(t)))
			break;
		skip = t->skip < t->piece.len ? t->skip : t->piece.len;
		t->piece.base += skip;
		t->piece.len -= skip;
		t->skip -= skip;
		if (!t->piece.len)
			continue;
		if (!payload__take(t))
			break;
		if (t->filled >= GATHER_BYTES)
			payload__flush(slot, t->filled);
	}
	return 0;
}

/*
 * What each classifier of protocols.def says of the bytes that were put together: payload__NAME().
 * One function each, or the verifier would try the paths of one times the paths of the next.
 */
#define PROTOCOL(ID, name, depth)                                                                  \
	__weak int payload__##name(__u32 slot)                                                     \
	{                                                                                          \
		const struct transfer *t = payload__transfer(slot);                                \
                                                                                                   \
		return t ? classify_##name(t->record + sizeof(t->data), t->filled, t->left,        \
					   t->fresh)                                               \
			 : MATCH_NONE;                                                             \
	}
#include "bpf/protocols.def"
#undef PROTOCOL

/*
 * Whose is the message that begins where @t stands, @size bytes of it?  @fresh: nothing went
 * before it in this direction of the connection.  Leaves @t where it stands.
 */
static __always_inline struct guess payload__classify(struct transfer *t, __u32 slot, __u32 size,
						      __u8 fresh)
{
	const struct piece piece = t->piece;
	const __u64 next_piece = t->next_piece;
	const __u32 pieces = t->pieces;
	struct guess best = {};

	__builtin_memset(t->record + sizeof(t->data), 0, CLASSIFY_HEAD);
	payload__start(t, size, size < CLASSIFY_HEAD ? size : CLASSIFY_HEAD);
	payload__gather(slot);
	t->fresh = fresh;
#define PROTOCOL(ID, name, depth) classify__weigh(&best, PROTO_##ID, payload__##name(slot));
#include "bpf/protocols.def"
#undef PROTOCOL
	t->piece = piece;
	t->next_piece = next_piece;
	t->pieces = pieces;
	return best;
}

/* One record for all that is left, with its last bytes when they can be had. */
static __always_inline void payload__rest(struct transfer *t, __u32 slot)
{
	__u32 tail = t->left < EVENT_TAIL_BYTES ? t->left : EVENT_TAIL_BYTES;

	if (!t->fault) {
		t->skip = t->left - tail;
		t->want = tail;
		payload__gather(slot);
	}
	if (t->fault) {
		count__one(COUNT_COPY_FAULT);
		t->data.flags |= DATA_FAULT;
	} else if (t->want) {
		count__one(COUNT_IOVEC_LIMIT);
	}
	if (t->fault || t->want)
		tail = t->filled = 0;
	else if (tail < t->left)
		t->data.flags |= DATA_TAIL;
	count__add(COUNT_CUT_BYTES, t->left - tail);
	payload__flush(slot, t->left);
}

/*
 * Emits the records of a system call that moved @size bytes, copying the first @budget of
 * them.  The caller has filled in t->data and where the bytes are.
 */
static __always_inline void payload__emit(struct transfer *t, __u32 slot, __u32 size, __u32 budget)
{
	__u32 want = size < budget ? size : budget;

	if (want > CHUNKS_MAX * EVENT_PAYLOAD_MAX)
		want = CHUNKS_MAX * EVENT_PAYLOAD_MAX;
	payload__start(t, size, want);
	if (t->piece.len >= want && want && want <= EVENT_PAYLOAD_MAX) {
		payload__record(t, want);
	} else if (t->piece.len >= want) {
		payload__copy(slot);
	} else if (payload__joins(t)) {
		payload__join(t);
	} else {
		payload__gather(slot);
		if (t->filled)
			payload__flush(slot, t->filled);
	}
	if (t->left)
		payload__rest(t, slot);
}

/* Emits the one record of a system call whose buffer is out of reach. */
static __always_inline void payload__emit_length(struct transfer *t, __u32 slot, __u32 size)
{
	payload__start(t, size, 0);
	t->data.flags |= DATA_NO_BUFFER;
	payload__flush(slot, size);
}

#endif
