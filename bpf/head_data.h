/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The head of an HTTP/1.x request while it comes: what is known of it, and the bytes at hand.
 * Pure: compiles for the kernel and for the host.  bpf/head.h has the functions to call.
 *
 * A head comes in pieces that are cut anywhere.  The last bytes of a piece are kept in front of
 * the place where the next piece goes, so that the beginning of a line (HEAD_VIEW bytes) and its
 * end are in one place whatever the cuts, and nobody has to match a name half by half:
 *
 *	| head ... tail | bytes ...............................|
 *	     |<- line, cut ->|<- its rest ->|<- line ->|<- ...
 *	     ^          ^ HEAD_VIEW is here
 *	     unfinished
 *
 * For the sake of the verifier each access is clamped where it happens (head__place), positions
 * are loaded from this memory and not carried along in registers, and what was found on the way
 * through the lines waits in @spot for the loops that read it.
 */
#ifndef SPANLOOM_HEAD_DATA_H
#define SPANLOOM_HEAD_DATA_H

#ifndef __bpf__
#include <linux/types.h>
#include <stddef.h>
#endif

#include "bpf/traceparent.h"

#define HEAD_MAX	 65536 /* bytes of a head; more is no request that we follow */
#define HEAD_LINES_MAX	 256   /* likewise */
#define HEAD_WINDOW	 4096  /* bytes that one call reads at most */
#define HEAD_VIEW	 128   /* bytes of a line that are looked at, but for a tracestate */
#define HEAD_METHOD_MAX	 20
#define HEAD_PARENT_MAX	 64  /* bytes of the traceparent that are kept */
#define HEAD_STATE_MAX	 512 /* bytes of the tracestate: what W3C demands to be carried on */
#define HEAD_STATE_LINES 32  /* tracestate lines; as many as it may have members */
#define HEAD_BLANKS	 32  /* before a value that are told from it */
#define HEAD_TRIM	 64  /* likewise behind it, with the line's end */
#define HEAD_NEAR_MAX	 64  /* of these, such that begin like one that matters; a power of 2 */
#define HEAD_FRAMES	 2   /* Content-Length and Transfer-Encoding lines, of each */

/* What a line is. */
enum head_kind {
	HEAD_NONE,
	HEAD_REQUEST, /* the request line */
	HEAD_PARENT,  /* traceparent */
	HEAD_STATE,   /* tracestate */
	HEAD_LENGTH,  /* Content-Length */
	HEAD_CODING,  /* Transfer-Encoding */
	HEAD_AGENT,   /* User-Agent */
	HEAD_UPGRADE,
	HEAD_KINDS, /* a power of two; of the others no more is known */
	HEAD_OTHER = HEAD_KINDS,
	HEAD_FOLD, /* begins with a blank: continues the line before */
};

/* Zeroed before the first byte of a request.  Once @broken is set nothing else holds. */
struct head {
	__u64 content_length;
	__u32 size;	  /* bytes so far, empty lines in front of the request line included */
	__u32 end_at;	  /* once done: where the empty line begins, and a line can be put in */
	__u32 parent_at;  /* where the value of the first traceparent begins */
	__u16 parent_len; /* of that value; past HEAD_VIEW it is only known to be too long */
	__u16 state_len;  /* of tracestate */
	__u16 lines;
	__u16 near_lines; /* that begin like one that matters */
	__u8 done;	  /* the empty line was read */
	__u8 broken;	  /* no HTTP/1.x request, or one that no server should take */
	__u8 has_length;  /* content_length counts; never together with chunked */
	__u8 chunked;
	__u8 upgrade;	/* afterwards the connection may be HTTP no more */
	__u8 telemetry; /* the user agent exports telemetry */
	__u8 state_cut; /* there was more tracestate than fits */
	__u8 last;	/* enum head_kind of the last line */
	__u8 folded;	/* bit (1 << kind): such a line was continued */
	__u8 open; /* of a line that has no end yet, but HEAD_VIEW bytes or more; or HEAD_NONE */
	__u8 unfinished;	/* bytes of such a line that is shorter */
	__u8 begun;		/* there was a line that is not empty */
	__u8 count[HEAD_KINDS]; /* lines by kind */
	char traceparent[HEAD_PARENT_MAX];
	/* the values of all lines joined by ","; with room for blanks and for copying by words */
	char tracestate[HEAD_STATE_MAX + HEAD_TRIM + 8];
	__u8 tail[HEAD_VIEW]; /* the last bytes before the next piece */
};

/* A line, or what there is of it: from..end as places in (tail, bytes). */
struct head_spot {
	__u16 from;
	__u16 end; /* behind the LF */
};

struct head_member {
	__u64 key; /* hash of it */
	__u16 from;
	__u16 end;
	__u32 key_len;
};

/* The tracestate as it is taken apart; head_state.h. */
struct head_members {
	__u64 key;    /* of the member at work */
	__u16 from;   /* where it begins: 0 outside of members, else counted from 1 */
	__u16 equals; /* likewise where its "=" is */
	__u16 end;    /* behind its last byte that is no blank */
	__u16 count;
	__u8 tab; /* there was one in it */
	__u8 bad;
	__u8 changed; /* the normal form is not what came */
	__u8 pad;
	__u16 next; /* member to be copied */
	__u16 out_at;
	__u16 out_len;
	struct head_member member[HEAD_STATE_LINES];
	__u8 out[HEAD_STATE_MAX + 8];
};

/* One map value: a head, the bytes to scan, and room to work. */
struct head_work {
	__u32 pad;
	__u32 len; /* of bytes */
	struct head head;
	__u8 bytes[HEAD_WINDOW + 64];			      /* behind @len anything */
	struct head_spot spot[HEAD_KINDS * HEAD_STATE_LINES]; /* lines of this piece, by kind */
	__u8 found[HEAD_KINDS];				      /* how many of each */
	__u32 rest_kind; /* of the open line that goes on in this piece; or HEAD_NONE */
	__u32 rest_end;
	__u32 rest_over; /* it ends there */
	__u32 end;	 /* of the bytes */
	__u32 used;
	__u32 sorted; /* end of the last line that was */
	__u32 near_lines;
	struct head_spot near[HEAD_NEAR_MAX];
	__u32 kind;
	__u32 at, from; /* where the search for the next LF goes on, and its line begins */
	__u32 to, out;	/* from..to are still to be copied */
	__u32 line, last, over;
	__u32 bad;	   /* of the value at work */
	__u32 digits, gap; /* of a Content-Length */
	__u64 number;
	struct head_members members;
	__u8 beyond[2048]; /* a place that is anywhere is still in here */
};

#define HEAD_PLACES 8192 /* a power of two, above HEAD_VIEW + HEAD_WINDOW */

_Static_assert(offsetof(struct head, tail) + HEAD_VIEW == sizeof(struct head) &&
		       offsetof(struct head_work, head) + sizeof(struct head) ==
			       offsetof(struct head_work, bytes),
	       "the next piece follows the tail");
_Static_assert(sizeof(struct head_work) >=
		       offsetof(struct head_work, head.tail) + HEAD_PLACES + HEAD_PARENT_MAX,
	       "no place is outside");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first byte of a word is its lowest");

/* ---- access ------------------------------------------------------------------------------- */

/* The byte at @place in (tail, bytes), and HEAD_PARENT_MAX behind it. */
static __always_inline __u8 *head__place(struct head_work *w, __u64 place)
{
	return (__u8 *)w + offsetof(struct head_work, head.tail) + (place & (HEAD_PLACES - 1));
}

/* Loaded each time: of a register the verifier remembers what it was compared with. */
static __always_inline __u32 head__fresh(const __u32 *number)
{
	return *(const volatile __u32 *)number;
}

/* The same @place, and the verifier knows of it what head__place() will make sure of, no more:
 * however it was come to, the steps from here on are the same. */
static __always_inline __u32 head__any(__u32 place)
{
	place &= HEAD_PLACES - 1;
	asm volatile("" : "+r"(place));
	return place;
}

static __always_inline char *head__state_place(struct head *h, __u64 at)
{
	asm volatile("" : "+r"(at)); /* or clang may compare a copy of it */
	if (at > HEAD_STATE_MAX + HEAD_TRIM)
		at = HEAD_STATE_MAX + HEAD_TRIM;
	return h->tracestate + at;
}

/* Clang is to load again what it has from memory: to the verifier that is just some number, and
 * two ways that differ in nothing else are one. */
static __always_inline void head__forget(void)
{
	asm volatile("" ::: "memory");
}

/* Of a byte array clang would load byte by byte, which is what kernels without fast unaligned
 * access demand; those that we run on have it. */
static __always_inline __u64 head__load(const void *from)
{
#ifdef __bpf__
	return *(const __u64 *)from;
#else
	__u64 word;

	__builtin_memcpy(&word, from, sizeof(word));
	return word;
#endif
}

static __always_inline void head__store(void *to, __u64 word)
{
#ifdef __bpf__
	*(__u64 *)to = word;
#else
	__builtin_memcpy(to, &word, sizeof(word));
#endif
}

static __always_inline __u64 head__word(struct head_work *w, __u64 place)
{
	return head__load(head__place(w, place));
}

#define HEAD_ONES  0x0101010101010101ULL
#define HEAD_HIGHS 0x8080808080808080ULL

/* Bytes through the first one that has 0x80 in @found, which is not 0. */
static __always_inline __u32 head__through_first(__u64 found)
{
	return ((found - 1) & ~found & HEAD_ONES) * HEAD_ONES >> 56;
}

/*
 * Does @word begin with @text, constant and of one to eight bytes?  @any_case: what is a lower-case
 * letter there may be a capital here.
 */
static __always_inline int head__begins(__u64 word, const char *text, const int any_case)
{
	__u64 want = 0, fold = 0, mask = 0;

	for (unsigned int i = 0; i < 8 && i < __builtin_strlen(text); i++) {
		want |= (__u64)text[i] << (8 * i);
		mask |= 0xffULL << (8 * i);
		if (any_case && text[i] >= 'a' && text[i] <= 'z')
			fold |= 0x20ULL << (8 * i);
	}
	return ((word | fold) & mask) == want;
}

static __always_inline int head__is(__u64 word, const char *text)
{
	return head__begins(word, text, 0);
}

static __always_inline int head__is_name(__u64 word, const char *text)
{
	return head__begins(word, text, 1);
}

static __always_inline int head__is_blank(__u8 c)
{
	return c == ' ' || c == '\t';
}

#endif
