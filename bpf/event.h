/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The whole ABI between the kernel programs and user space: the records in the ring buffer,
 * the names of the kernel's counters and the verdicts that user space sends back.
 *
 * Records are a wire format: fixed-width integers, explicit padding, a multiple of 8 bytes,
 * the variable tail last.  The producer writes every byte before the tail; the consumer
 * checks hdr.len before it looks at anything else.
 */
#ifndef SPANLOOM_EVENT_H
#define SPANLOOM_EVENT_H

#ifndef __bpf__
#include <linux/types.h>
#include <stddef.h>
#endif

#define EVENT_PAYLOAD_MAX 4096 /* bytes of payload in one record */
#define EVENT_TAIL_BYTES  64   /* last bytes of a range whose middle was not copied */
#define ROOT_STATE_MAX	  24   /* tracestate of a new trace: "ot=th:" and 14 digits */
#define EVENT_COMM_LEN	  16
#define EVENT_PATH_LEN	  128
#define SDK_TO_LEN	  56

enum proto_id {
	PROTO_UNKNOWN,
#define PROTOCOL(ID, name, depth) PROTO_##ID,
#include "bpf/protocols.def"
#undef PROTOCOL
	PROTO_COUNT,
};

enum event_type {
	EVENT_CONN = 1,	   /* struct event_conn: a connection is announced, before its first data */
	EVENT_CONN_FAILED, /* struct event_conn: a connect() that failed; no state follows */
	EVENT_DATA,	   /* struct event_data: bytes sent or received */
	EVENT_CLOSE,	   /* struct event_close: end of one direction or of the connection */
	EVENT_PROCESS,	   /* struct event_process: exec or exit of a process */
	EVENT_CONTEXT,	   /* struct event_context: a trace context was sent, or has come */
	EVENT_HEAD,	   /* struct event_head: a request is taken to begin here */
	EVENT_LEAVE,	   /* struct event_leave: no more headers for this connection */
	EVENT_UNREAD,	   /* struct event_unread: a process receives what nobody here can read */
};

struct event_hdr {
	__u32 type;    /* enum event_type */
	__u32 len;     /* bytes of the record that are valid, header included */
	__u64 ts_ns;   /* CLOCK_MONOTONIC, when the moment that the record tells of was over */
	__u64 conn_id; /* unique for the life of the agent; 0 in records without a connection */
};

enum conn_role {
	ROLE_UNKNOWN,
	ROLE_CLIENT, /* this socket called connect() */
	ROLE_SERVER, /* this socket came from accept() */
};

enum conn_flag {
	/* Seen from its beginning on: the first byte of the stream is position 0.  Without it the
	 * connection was open before the agent, or may have been: first message unknown. */
	CONN_FRESH = 1 << 0,
};

struct event_conn {
	struct event_hdr hdr;
	__u64 start_ns;	 /* connect() began, or state was created */
	__u64 cgroup_id; /* of the process, cgroup v2; 0 when unknown */
	__u64 pos[2];	 /* by enum event_dir: where the first record of each direction begins */
	__u32 tgid;	 /* process in the initial pid namespace */
	__u32 tid;
	__u32 netns;	  /* inode number of the network namespace */
	__s32 error;	  /* EVENT_CONN_FAILED: positive errno; else 0 */
	__u16 family;	  /* AF_INET, AF_INET6, AF_UNIX */
	__u16 local_port; /* host byte order, 0 for unix sockets */
	__u16 peer_port;
	__u8 role;	     /* enum conn_role */
	__u8 flags;	     /* enum conn_flag */
	__u8 local_addr[16]; /* network byte order; IPv4 in the first 4 bytes, rest zero */
	__u8 peer_addr[16];
	char comm[EVENT_COMM_LEN];
	char path[EVENT_PATH_LEN]; /* AF_UNIX: path of the listening side, "@..." when abstract */
	/* EVENT_CONN_FAILED: on whose behalf connect() was called, as in struct event_data. */
	__u64 ref_conn;
	__u64 ref_pos;
	__u8 ref; /* enum ref_kind */
	__u8 pad[7];
};

enum event_dir {
	DIR_SEND, /* this process -> peer */
	DIR_RECV, /* peer -> this process */
};

enum data_flag {
	DATA_TURN = 1 << 0,	   /* first bytes after the direction of the traffic turned */
	DATA_TAIL = 1 << 1,	   /* the payload is the end of the range, not its beginning */
	DATA_NO_BUFFER = 1 << 2,   /* sendfile, splice, io_uring, 32-bit caller: length only */
	DATA_FAULT = 1 << 3,	   /* the buffer could not be read: length only */
	DATA_EXACT_START = 1 << 4, /* start_ns was taken before the data could be received */
	DATA_SAMPLED = 1 << 5,	   /* a trace that starts at @pos is sampled */
	DATA_CONTINUED = 1 << 6,   /* same system call as the record before it */
	/* Receive: a send of this socket had begun and its record is not out yet.  It comes
	 * later in the ring buffer, though its bytes may be what these bytes answer. */
	DATA_SEND_PENDING = 1 << 7,
	/* Before this, whole requests of traces that are not sampled went by with their
	 * responses, without a record: in both directions. */
	DATA_RESUMED = 1 << 8,
	DATA_UNSAMPLED =
		1 << 9, /* the trace that these bytes belong to is known, and not sampled */
};

/* How the kernel knows on whose behalf bytes were sent or received. */
enum ref_kind {
	REF_NONE,
	REF_THREAD,    /* the thread that sends serves this one request */
	REF_TURN,      /* the loop serves only this one, and calls for nobody: bpf/loop.bpf.h */
	REF_LIKELY,    /* likewise, but it may have work of its own (--links likely) */
	REF_GOROUTINE, /* the goroutine that sends serves this one */
	REF_PYCONTEXT, /* likewise the contextvars context of Python */
	REF_PROCESS,   /* the process that sends was started for it, see bpf/heir.bpf.h */
	REF_CONTEXT, /* the call was given a context.Context of Go that is derived from this one's */
	REF_PEER,    /* these bytes are this client's send, on the same host */
	REF_OPTION,  /* the client has said it in a TCP option (struct event_context only) */
	REF_HEADER,  /* it was sent with the header of one of its process's requests (likewise) */
};

/* With REF_NONE: why a call is nobody's.  The last that was found. */
enum refusal {
	REFUSED_NOT,	  /* who calls serves nothing that is seen, nor comes of who does */
	REFUSED_SEVERAL,  /* it serves several requests, or has since it served none */
	REFUSED_BEHIND,	  /* it serves no request now: that one has its response */
	REFUSED_APART,	  /* another thread or goroutine has received the request */
	REFUSED_UNSEEN,	  /* the loop may serve more: its process receives what cannot be read */
	REFUSED_RESTLESS, /* the loop calls for nobody, too: it was not silent for long enough */
	REFUSED_CHILD,	  /* a process that a request has started may have another's job by now */
	REFUSALS,
};

/*
 * Bytes [pos, pos + size) of one direction of a connection.  @captured of them stand in
 * @payload: the first ones, or the last ones with DATA_TAIL.  One system call makes one or
 * more such records, with rising positions.
 */
struct event_data {
	struct event_hdr hdr; /* ts_ns: the send was done, or the bytes were with the reader */
	__u64 start_ns;	      /* send: when it began; receive: as ts_ns */
	__u64 pos;	      /* of the first byte, counted from the first byte ever seen */
	__u32 size;	      /* bytes that the record stands for */
	__u32 captured;	      /* bytes of payload; hdr.len - offsetof(payload) */
	__u32 tgid;
	__u32 tid;
	__u16 flags; /* enum data_flag */
	__u8 dir;    /* enum event_dir */
	__u8 proto;  /* enum proto_id, the classifier's candidate */
	__u8 match;  /* enum match of the classifier on this record, or 0 */
	__u8 ref;    /* enum ref_kind */
	__u8 pad[2];
	/* The message that this one was caused by: begins at @ref_pos of the connection
	 * @ref_conn, in the direction from its client to its server.  REF_NONE: enum refusal in
	 * @ref_pos, and no connection. */
	__u64 ref_conn;
	__u64 ref_pos;
	__u8 payload[];
};

/* What a trace context went with. */
enum context_carrier {
	CARRIER_HEADER,
	CARRIER_OPTION, /* of TCP: counts unless the request has a traceparent header */
};

/*
 * The request that begins at @pos of what this connection sends went out with this trace
 * context: what its span must be, whatever else is found out of it.  Or it came with it, and
 * this is whom its client named.  Comes before the data of the request.
 */
struct event_context {
	struct event_hdr hdr;
	__u64 pos;
	__u8 trace_id[16];
	__u8 span_id[8];   /* of the request's own span; received: all zero */
	__u8 parent_id[8]; /* all zero: it is a root */
	__u8 flags;	   /* W3C: 0x01 sampled, 0x02 random */
	__u8 ref;	   /* enum ref_kind: how the parent is known */
	__u8 dir;	   /* enum event_dir */
	__u8 carrier;	   /* enum context_carrier */
	__u8 pad[4];
	__u64 ref_conn; /* the parent's request; of a call without one as in struct event_data */
	__u64 ref_pos;
};

/*
 * A connection that is followed for header injection from its middle on: what is sent at @pos
 * looks like a request.  When a request does begin there, the next ones get headers.
 */
struct event_head {
	struct event_hdr hdr;
	__u64 pos;
};

/* A socket whose requests get headers and that has bytes under way, or is to leave: what the
 * iterator "inject_watch" writes. */
struct inject_socket_state {
	__u64 conn_id;
	__u32 unsent[2]; /* sequence numbers of the first byte that is not acknowledged, ... */
	__u32 unread[2]; /* ... not read, and behind the last */
	__u32 tgid;	 /* who has connected it */
	__u32 rests;	 /* 1: no socket of that one is to get headers now */
};

/* Why requests on a connection get no more headers. */
enum leave_reason {
	LEAVE_NOT_HTTP,	   /* its first bytes are no HTTP/1 request */
	LEAVE_BULK,	   /* a large body: to pass it by a program is dear */
	LEAVE_UNKNOWN_END, /* where the current request ends is not known: chunked, or upgraded */
	LEAVE_LOST,	   /* positions do not agree: the next boundary is not known */
	LEAVE_ZEROCOPY,	   /* the program counts completions of MSG_ZEROCOPY */
	LEAVE_NOT_TRACED,  /* its process is none that is traced */
	LEAVE_REASONS,
};

struct event_leave {
	struct event_hdr hdr;
	__u32 reason; /* enum leave_reason */
	__u32 pad;
};

enum close_kind {
	CLOSE_PEER_EOF = 1, /* the peer has shut its sending side */
	CLOSE_RESET,	    /* RST, or an error that ends the connection */
	CLOSE_DONE,	    /* the socket is gone */
};

struct event_close {
	struct event_hdr hdr;
	__u32 kind;  /* enum close_kind */
	__s32 error; /* positive errno of the socket, or 0 */
};

enum process_kind {
	PROCESS_EXEC = 1,
	PROCESS_EXIT,
};

struct event_process {
	struct event_hdr hdr;
	__u64 cgroup_id;
	__u32 tgid;
	__u32 kind; /* enum process_kind */
	char comm[EVENT_COMM_LEN];
	char path[EVENT_PATH_LEN]; /* exec: the file as given to execve(), cut if longer */
};

/* There may be requests in it, now and as long as the process lives. */
struct event_unread {
	struct event_hdr hdr;
	__u32 tgid;
	__u32 pad;
};

/* What a classifier says of the first bytes of a message. */
enum match {
	MATCH_NONE,
	MATCH_REQUEST,	/* only a client sends this */
	MATCH_RESPONSE, /* only a server sends this */
	MATCH_EITHER,	/* this protocol, but either side may send it */
};

/* User space's word on a connection, in the map "verdicts" (conn_id -> __u32). */
enum verdict {
	VERDICT_NONE,
	VERDICT_IGNORE, /* no record of this connection any more */
	VERDICT_PROVEN, /* a request did begin where EVENT_HEAD said */
};

/* What user space has found out about a process, in the map "runtimes" (tgid -> struct process_runtime):
 * how to read from its memory what it works on.  Meaning of @at: bpf/go.bpf.h, bpf/python.bpf.h. */
enum runtime_kind {
	RUNTIME_OTHER,
	RUNTIME_GO,
	RUNTIME_PYTHON,
};

#define RUNTIME_ATS 12

struct process_runtime {
	__u32 kind; /* enum runtime_kind */
	__u32 pad;
	__u64 at[RUNTIME_ATS];
};

/* What tells that a process makes spans itself.  The later in this list outweighs the earlier. */
enum sdk_evidence {
	SDK_NONE,
	SDK_EXPORTS,   /* it sends traces by OTLP, ... */
	SDK_RELAYS,    /* ... but it receives such, too: they need not be its own */
	SDK_CONTINUES, /* it sends the trace of a request on under a span of its own */
};

/* A process that makes spans itself, in the map "sdk_processes" (tgid -> struct sdk_process): kept
 * there for "spanloom probes" to list. */
struct sdk_process {
	__u32 evidence;	     /* enum sdk_evidence */
	__u32 adopted;	     /* 1: its calls are left to its SDK; 0: they are traced all the same */
	char to[SDK_TO_LEN]; /* where it exports to, "ADDRESS PORT"; "": not known */
};

/* User space's word on a process, in the map "scope" (tgid -> __u32). */
enum scope_verdict {
	SCOPE_UNDECIDED, /* no entry: the knob scope_default decides */
	SCOPE_TRACE,
	SCOPE_SKIP,
	SCOPE_MASK = 3,
	SCOPE_INJECT = 1 << 2, /* beside one of these: its requests may get headers */
};

/* Kernel counters: index into each row of "counts". */
enum counter {
	COUNT_RECORDS,		  /* records handed to the ring buffer */
	COUNT_RING_FULL,	  /* records lost: no room in the ring buffer */
	COUNT_RING_FULL_BYTES,	  /* bytes of traffic those records stood for */
	COUNT_SENDS,		  /* sends on traced connections */
	COUNT_RECEIVES,		  /* receives on traced connections */
	COUNT_NO_STATE,		  /* messages not seen: no memory for connection state */
	COUNT_RETURN_MISSED,	  /* likewise: kprobes only, the kernel did not tell their end */
	COUNT_PROGRAMS_MISSED,	  /* likewise: runs that the kernel left out; user space asks it */
	COUNT_NO_BUFFER_SENDFILE, /* messages of which only the length is known, by cause */
	COUNT_NO_BUFFER_SPLICE,
	COUNT_NO_BUFFER_IO_URING,
	COUNT_NO_BUFFER_COMPAT, /* 32-bit caller */
	COUNT_NO_BUFFER_OTHER,
	COUNT_COPY_FAULT,     /* the buffer could not be read */
	COUNT_CUT_BYTES,      /* bytes past --capture-bytes, length only */
	COUNT_IOVEC_LIMIT,    /* messages with more pieces than we follow */
	COUNT_CONNECTIONS,    /* connections that got state */
	COUNT_BOUND,	      /* of these, taken for a known protocol */
	COUNT_UNINTERESTING,  /* of these, given up as no known protocol */
	COUNT_IGNORED,	      /* of these, given up on user space's verdict */
	COUNT_CONNECT_FAILED, /* connect() calls that failed */
	COUNT_SERVER_SIDE,    /* connections left alone: the server's side of a database */
	COUNT_ACTIVITY_FULL,  /* requests whose thread is not remembered: no room in "workers" */
	COUNT_ACTIVITY_PUSHED_OUT, /* open requests whose goroutine or context made room for others */
	COUNT_SCOPE_FULL,	   /* child processes without a verdict: no room in "scope" */
	COUNT_RUNTIME_FULL,	   /* child processes of unknown runtime: no room in "runtimes" */
	COUNT_UNSAMPLED,	   /* requests without a record, for their trace is not sampled */
	COUNT_UNSAMPLED_BYTES, /* of these, their responses, and what may be pipelined behind them */
	COUNT_INJECTED,	       /* requests that got a traceparent header */
	COUNT_INJECT_UPDATED,  /* requests whose forwarded header got our span's id */
	COUNT_INJECT_ADOPTED,  /* requests left alone: they bring another tracer's header */
	COUNT_INJECT_NO_CONTEXT, /* likewise: the context that they belong to is not known */
	COUNT_INJECT_SPLIT,	 /* likewise: the end of the head was sent in pieces */
	COUNT_INJECT_NO_ROOM, /* likewise: the socket's buffer is too full, or a helper refused */
	COUNT_INJECT_NOT_WANTED, /* likewise: the process is not to be touched */
	COUNT_INJECT_UNFIT, /* likewise: a thread waits in the socket, or it is for MSG_ZEROCOPY */
	COUNT_INJECT_APART, /* likewise: the connection is older than the agent, or has left */
	COUNT_INJECT_FULL,  /* connections that get no header: no room in "sockets" */
	COUNT_LEFT,	    /* likewise, from here on: they have left, by enum leave_reason */
	COUNT_LEFT_LAST = COUNT_LEFT + LEAVE_REASONS - 1,
	COUNT_OPTION_CALLS,	 /* calls whose context was to go out in a TCP option */
	COUNT_OPTION_NO_CONTEXT, /* calls without: the context that they belong to is not known */
	COUNT_OPTION_NO_MEMORY,	 /* connections without: no memory for what they carry */
	COUNT_OPTION_NO_ROOM,	 /* segments that had no room for it */
	COUNT_OPTION_WRITTEN,	 /* segments that went out with one */
	COUNT_OPTION_READ,	 /* contexts that came in one */
	COUNT_OPTION_TAKEN,	 /* of these, those whose message was read */
	COUNTERS,
};

#define COUNT_ROWS 64 /* a power of two; a CPU counts in the row of its number, modulo this */

#define COUNT_ROW  ((COUNTERS + 7) / 8 * 8) /* whole lines of the cache, of 64 bytes */

_Static_assert(sizeof(struct event_hdr) == 24, "event_hdr is ABI");
_Static_assert(sizeof(struct event_conn) == 280, "event_conn is ABI");
_Static_assert(sizeof(struct event_data) == 80, "event_data is ABI");
_Static_assert(offsetof(struct event_data, payload) == 80, "event_data is ABI");
_Static_assert(sizeof(struct event_context) == 88, "event_context is ABI");
_Static_assert(sizeof(struct event_head) == 32, "event_head is ABI");
_Static_assert(sizeof(struct inject_socket_state) == 32, "inject_socket_state is ABI");
_Static_assert(sizeof(struct event_leave) == 32, "event_leave is ABI");
_Static_assert(sizeof(struct event_close) == 32, "event_close is ABI");
_Static_assert(sizeof(struct process_runtime) == 104, "process_runtime is ABI");
_Static_assert(sizeof(struct sdk_process) == 64, "sdk_process is ABI");
_Static_assert(sizeof(struct event_process) == 184, "event_process is ABI");
_Static_assert(sizeof(struct event_unread) == 32, "event_unread is ABI");

#endif
