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
 * The shape of the code is the verifier's: it takes every way through a step of a loop, for each
 * step again, unless two ways come to the same.  So state is in this memory, of which it knows
 * nothing, and not in registers; what one loop finds waits here for the next one (@near, @spot),
 * for loops add up where nested ones multiply; each place is masked where it is used; and what
 * may go on for long is a function that does a stretch of it, for that is looked at once.
 */
#ifndef SPANLOOM_HEAD_DATA_H
#define SPANLOOM_HEAD_DATA_H

#ifndef __bpf__
#include <linux/types.h>
#include <stddef.h>
#endif

#include "bpf/traceparent.h"
#include "bpf/word.h"

#define HEAD_MAX	     65536 /* bytes of a head that we follow; longer ones are broken */
#define HEAD_LINES_MAX	     128   /* likewise lines; servers take about a hundred */
#define HEAD_NEAR_MAX	     64 /* likewise lines that begin like one that matters; a power of two */
#define HEAD_WINDOW	     4096 /* bytes that one call reads at most */
#define HEAD_VIEW	     128  /* bytes of a line that are looked at, but for a tracestate */
#define HEAD_METHOD_MAX	     20
#define HEAD_PARENT_MAX	     64	 /* bytes of the traceparent that are kept */
#define HEAD_STATE_MAX	     512 /* bytes of the tracestate: what W3C demands to be carried on */
#define HEAD_STATE_ROOM	     576 /* of it with the blanks that will go */
#define HEAD_STATE_LINES     32	 /* tracestate lines; as many as it may have members */
#define HEAD_STRETCH	     32	 /* steps of the search for lines; and of a tracestate: */
#define HEAD_STATE_STRETCH   24
#define HEAD_STATE_STRETCHES (HEAD_STATE_ROOM / HEAD_STATE_STRETCH)
#define HEAD_BLANKS	     32 /* before a value that are told from it */
#define HEAD_TRIM	     64 /* likewise behind it, with the line's end */
#define HEAD_FRAMES	     2	/* Content-Length lines, and Transfer-Encoding lines */

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

/* Once @broken is set nothing else holds. */
struct head {
	__u64 content_length;
	__u32 size;	  /* bytes so far, empty lines in front of the request line included */
	__u32 end_at;	  /* once done: where the empty line begins, and a line can be put in */
	__u32 parent_at;  /* where the value of the first traceparent begins */
	__u16 parent_len; /* of that value; where its line is longer than HEAD_VIEW, of a part */
	__u16 state_len;  /* of tracestate */
	__u16 lines;
	__u16 near_lines; /* that begin like one that matters */
	__u8 done;	  /* the empty line was read */
	__u8 broken;	  /* no HTTP/1.x request, or one that no server should take */
	__u8 has_length;  /* content_length counts; never together with chunked */
	__u8 chunked;
	__u8 upgrade;	 /* afterwards the connection may be HTTP no more */
	__u8 telemetry;	 /* the user agent exports telemetry */
	__u8 state_cut;	 /* the tracestate is longer than we carry on: it is dropped */
	__u8 last;	 /* enum head_kind of the last line */
	__u8 folded;	 /* bit (1 << kind): such a line was continued */
	__u8 open;	 /* of the line at the end, once it has HEAD_VIEW bytes; else HEAD_NONE */
	__u8 unfinished; /* bytes of that line as long as it has less */
	__u8 begun;	 /* there was a line that is not empty */
	__u8 count[HEAD_KINDS]; /* lines by kind */
	char traceparent[HEAD_PARENT_MAX];
	/* the values of all lines joined by ","; with room for blanks and for copying by words */
	char tracestate[HEAD_STATE_ROOM + 8];
	__u8 tail[HEAD_VIEW]; /* the last bytes before the next piece */
};

/* A line, or what there is of it: places in (tail, bytes). */
struct head_spot {
	__u16 from;
	__u16 end; /* behind its LF, where it has one */
};

/* A member of the tracestate: places in it, counted from 1. */
struct head_member {
	__u64 key;    /* hash of it */
	__u16 from;   /* 0: there is none */
	__u16 equals; /* of the first "=" */
	__u16 end;    /* the last byte that is no blank */
	__u8 first;
	__u8 pad;
};

/* The tracestate as it is taken apart; head_state.h. */
struct head_members {
	struct head_member now; /* being read */
	__u16 count;
	__u8 tab; /* there is one in it */
	__u8 bad;
	__u8 changed; /* the normal form is not what came */
	__u8 pad;
	__u16 next;			  /* member to be copied */
	__u32 from, end, out_at, out_len; /* from..end is still to be copied */
	__u32 at;			  /* how far it is taken apart */
	__u32 pad_at;
	struct head_member member[HEAD_STATE_LINES];
	__u8 out[HEAD_STATE_ROOM + 8];
};

/* One map value: a head, the bytes to read, and room to work. */
struct head_work {
	__u32 pad;
	__u32 len; /* of bytes */
	struct head head;
	__u8 bytes[HEAD_WINDOW + 64]; /* behind @len anything */
	__u32 end;		      /* of the bytes, as a place */
	__u32 at, from; /* where the search for LF goes on, and the line at work begins */
	__u32 over;	/* there is none any more */
	__u32 pad_over;
	struct head_spot near[HEAD_NEAR_MAX]; /* lines of these bytes that may matter, in order */
	__u32 near_lines;
	__u32 rest_kind; /* the line that was open before; or HEAD_NONE */
	__u32 rest_end;
	__u32 rest_over;				      /* it ends there */
	struct head_spot spot[HEAD_KINDS * HEAD_STATE_LINES]; /* lines that matter, by kind */
	__u8 found[HEAD_KINDS];				      /* how many of each */
	__u32 sorted;					      /* end of the last one */
	__u32 kind;					      /* of the one at work */
	__u32 used;
	__u32 bad;	   /* a value is malformed */
	__u32 digits, gap; /* of a Content-Length: how many, and are there blanks behind them? */
	__u32 pad_number;
	__u64 number;
	__u32 line, last, to, out; /* tracestate: from..to is still to be copied */
	struct head_members members;
	__u8 beyond[2048]; /* whatever a place is, it is in here */
};

#define HEAD_PLACES 8192 /* a power of two, above HEAD_VIEW + HEAD_WINDOW */

_Static_assert(offsetof(struct head, tail) + HEAD_VIEW == sizeof(struct head) &&
		       offsetof(struct head_work, head) + sizeof(struct head) ==
			       offsetof(struct head_work, bytes),
	       "the next piece follows the tail");
_Static_assert(sizeof(struct head_work) >=
		       offsetof(struct head_work, head.tail) + HEAD_PLACES + HEAD_PARENT_MAX,
	       "no place is outside");

/* ---- access ------------------------------------------------------------------------------- */

/* The byte at @place of (tail, bytes), and HEAD_PARENT_MAX behind it. */
static __always_inline __u8 *head__place(struct head_work *w, __u64 place)
{
	return (__u8 *)w + offsetof(struct head_work, head.tail) + (place & (HEAD_PLACES - 1));
}

/* Loaded each time: of a register the verifier (6.18) remembers what it was compared with. */
static __always_inline __u32 head__fresh(const __u32 *number)
{
	return *(const volatile __u32 *)number;
}

/* The same @place; of its bounds the verifier forgets all but the mask, so that the steps from
 * here on are the same however it was come to.  Clang must not move the mask elsewhere. */
static __always_inline __u32 head__any(__u32 place)
{
	place &= HEAD_PLACES - 1;
	asm volatile("" : "+r"(place));
	return place;
}

static __always_inline char *head__state_place(struct head *h, __u64 at)
{
	asm volatile(""
		     : "+r"(at)); /* clang would compare a copy: the verifier then knows no bound */
	if (at > HEAD_STATE_ROOM)
		at = HEAD_STATE_ROOM;
	return h->tracestate + at;
}

/* Clang is to load again what it has of memory: to the verifier that is then just some number. */
static __always_inline void head__forget(void)
{
	asm volatile("" ::: "memory");
}

static __always_inline __u64 head__word(struct head_work *w, __u64 place)
{
	return word__load(head__place(w, place));
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
