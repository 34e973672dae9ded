/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * All that spanloom knows of the kernel: the types it reads, and of these only the fields it
 * reads.  Offsets are those of the running kernel: CO-RE relocates every access, so neither
 * the order nor the gaps here matter.  Anonymous unions and structs are flattened; BTF finds
 * the members by name.
 */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

typedef signed char __s8;
typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef unsigned long size_t;
typedef _Bool bool;

#define NULL ((void *)0)
#define true 1
#define false 0
#define offsetof(t, m) __builtin_offsetof(t, m)

/* ---- what the bpf() system call calls things (uapi/linux/bpf.h) ------------------------- */

enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_SOCKHASH = 18,
	BPF_MAP_TYPE_SK_STORAGE = 24,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};

enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
	BPF_F_NO_PREALLOC = 1,
	BPF_SK_STORAGE_GET_F_CREATE = 1,
	BPF_LOCAL_STORAGE_GET_F_CREATE = 1,
	BPF_RB_NO_WAKEUP = 1,
	BPF_RB_FORCE_WAKEUP = 2,
	BPF_RB_AVAIL_DATA = 0,
};

/* Named for bpf_core_enum_value_exists(): does this kernel have the helper? */
enum bpf_func_id {
	BPF_FUNC_get_current_task_btf = 158,
	BPF_FUNC_task_pt_regs = 175,
	BPF_FUNC_skc_to_unix_sock = 178,
};

enum {
	SK_DROP = 0,
	SK_PASS = 1,
	BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB = 4,
	BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB = 5,
	BPF_SOCK_OPS_PARSE_HDR_OPT_CB = 13,
	BPF_SOCK_OPS_HDR_OPT_LEN_CB = 14,
	BPF_SOCK_OPS_WRITE_HDR_OPT_CB = 15,
	BPF_SOCK_OPS_PARSE_UNKNOWN_HDR_OPT_CB_FLAG = 1 << 5,
	BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG = 1 << 6,
	BPF_WRITE_HDR_TCP_CURRENT_MSS = 1, /* args[0]: no segment, only the size is asked for */
};

struct bpf_spin_lock {
	__u32 val;
};

/* Contexts of programs are no types of the kernel: their layout is fixed. */
struct bpf_sock;

struct sk_msg_md {
	void *data;
	void *data_end;
	__u32 family;
	__u32 remote_ip4; /* network byte order */
	__u32 local_ip4;
	__u32 remote_ip6[4];
	__u32 local_ip6[4];
	__u32 remote_port; /* network byte order */
	__u32 local_port;  /* host byte order */
	__u32 size;
	struct bpf_sock *sk;
};

struct bpf_sock_ops {
	__u32 op;
	__u32 args[4];
	__u32 family;
	__u32 remote_ip4;
	__u32 local_ip4;
	__u32 remote_ip6[4];
	__u32 local_ip6[4];
	__u32 remote_port;
	__u32 local_port;
	__u32 is_fullsock;
	__u32 unused1[2]; /* snd_cwnd, srtt_us */
	__u32 bpf_sock_ops_cb_flags;
	__u32 unused2[5]; /* state to snd_nxt */
	__u32 snd_una;
	__u32 unused3[14]; /* mss_cache to sk_txhash */
	__u64 bytes_received;
	__u64 bytes_acked;
	struct bpf_sock *sk;
	void *skb_data; /* of segments: the TCP header, as far as it is written */
	void *skb_data_end;
	__u32 skb_len; /* with the header */
	__u32 skb_tcp_flags;
};

/* On the wire, network byte order. */
struct tcphdr {
	__be16 source;
	__be16 dest;
	__be32 seq;
	__be32 ack_seq;
	__u8 offset; /* upper half: words of 4 bytes up to the data */
	__u8 flags;
	__be16 window;
	__be16 check;
	__be16 urg_ptr;
};

_Static_assert(offsetof(struct sk_msg_md, sk) == 72, "sk_msg_md is ABI");
_Static_assert(offsetof(struct bpf_sock_ops, snd_una) == 108, "bpf_sock_ops is ABI");
_Static_assert(offsetof(struct bpf_sock_ops, skb_len) == 208, "bpf_sock_ops is ABI");
_Static_assert(sizeof(struct tcphdr) == 20, "tcphdr is the wire's");

/* ---- numbers of the user space ABI ------------------------------------------------------- */

#define AF_UNIX	     1
#define AF_INET	     2
#define AF_INET6     10
#define SOCK_STREAM  1
#define IPPROTO_TCP  6
#define MSG_OOB	     0x1
#define MSG_PEEK     0x2
#define MSG_TRUNC    0x20
#define MSG_DONTWAIT 0x40
#define O_NONBLOCK   04000
#define S_IFMT	     0170000
#define S_IFSOCK     0140000
#define S_IFREG	     0100000
#define S_IFDIR	     0040000
#define S_IFCHR	     0020000
#define S_IFIFO	     0010000
#define MSG_ERRQUEUE 0x2000
#define EPIPE	     32
#define ENOSYS	     38
#define ECONNRESET   104
#define ETIMEDOUT    110
#define ECANCELED    125

/* ---- numbers of the kernel ---------------------------------------------------------------- */

enum {
	TCP_ESTABLISHED = 1,
	TCP_SYN_SENT = 2,
	TCP_SYN_RECV = 3,
	TCP_CLOSE = 7,
	TCP_LISTEN = 10,
	TCP_NEW_SYN_RECV = 12,
};

/* The kernel's number is asked for by name. */
enum sock_flags {
	SOCK_DONE = 1,
	SOCK_ZEROCOPY = 20,
};

#define RCV_SHUTDOWN 1 /* sock.sk_shutdown: the peer will send no more */

#define PF_IO_WORKER 0x00000010 /* task_struct.flags: a worker thread of io_uring */
#define PF_KTHREAD   0x00200000

#define TS_COMPAT    0x0002 /* x86 thread_info.status: in a 32-bit system call */
#define TIF_32BIT    22	    /* arm64 thread_info.flags: a 32-bit task */

/* ---- types -------------------------------------------------------------------------------- */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common {
	unsigned int inum;
};

struct netns_ipv4 {
	unsigned int sysctl_tcp_notsent_lowat;
};

struct net {
	struct ns_common ns;
	struct netns_ipv4 ipv4;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct task_struct;

struct in6_addr {
	union {
		__u8 u6_addr8[16];
	} in6_u;
};

struct proto {
	unsigned long *memory_pressure; /* not 0: its sockets have more than they should */
};

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	unsigned long skc_flags; /* bits by enum sock_flags */
	struct proto *skc_prot;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

typedef unsigned short umode_t;

struct inode {
	umode_t i_mode;
	unsigned int i_rdev;
};

struct file {
	unsigned int f_flags;
	unsigned int f_mode;
	struct inode *f_inode;
	void *private_data;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
	unsigned long *open_fds;
};

struct files_struct {
	struct fdtable *fdt;
};

struct socket;

struct list_head {
	struct list_head *next;
};

struct wait_queue_head {
	struct list_head head;
};

struct socket_wq {
	struct wait_queue_head wait;
};

struct sk_buff {
	char cb[48];
	unsigned int len;
};

struct sk_buff_head {
	struct sk_buff *next;
	__u32 qlen;
};

struct unix_skb_parms {
	__u32 consumed;
};

struct sock {
	struct sock_common __sk_common;
	struct sk_buff_head sk_receive_queue;
	struct socket *sk_socket;
	struct socket_wq *sk_wq;
	int sk_err;
	int sk_wmem_queued; /* bytes that wait to be sent and acknowledged, and their bookkeeping */
	int sk_sndbuf;
	__u16 sk_type;
	__u16 sk_protocol;
	__u8 sk_shutdown;
};

struct inet_sock {
	struct sock sk;
	__be16 inet_sport;
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
	const struct tcp_ulp_ops *icsk_ulp_ops; /* of what translates its bytes, such as TLS */
	__u8 icsk_retransmits;			/* timeouts since anything was acknowledged */
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u32 snd_una;	     /* sequence number of the first byte that is not acknowledged */
	__u32 write_seq;     /* of the next byte to be sent */
	__u32 rcv_nxt;	     /* of the next byte to come */
	__u32 copied_seq;    /* of the next byte that the program will read */
	__u32 snd_wnd;	     /* bytes that the peer takes */
	__u32 mss_cache;     /* bytes that go into a segment */
	__u32 notsent_lowat; /* bytes that may wait to be sent; 0: as the network namespace says */
};

struct sockaddr_un {
	char sun_path[108];
};

struct unix_address {
	int len;
	struct sockaddr_un name[0];
};

struct unix_sock {
	struct unix_address *addr;
	struct sock *peer;
};

struct socket {
	struct sock *sk;
	struct file *file;
	struct socket_wq wq;
};

struct iov_iter {
	unsigned long count; /* bytes that are left */
};

struct msghdr {
	struct iov_iter msg_iter;
};

struct task_struct;
struct seq_file;
struct bpf_map;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};

struct bpf_iter__sockmap {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	void *key;
	struct sock *sk;
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r15;
	unsigned long r14;
	unsigned long r13;
	unsigned long r12;
	unsigned long bp;
	unsigned long bx;
	unsigned long r11;
	unsigned long r10;
	unsigned long r9;
	unsigned long r8;
	unsigned long ax;
	unsigned long cx;
	unsigned long dx;
	unsigned long si;
	unsigned long di;
	unsigned long orig_ax;
	unsigned long ip;
	unsigned long sp;
};
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
	__u64 regs[31];
	__u64 sp;
	__u64 pc;
	__u64 pstate;
};

struct pt_regs {
	__u64 regs[31];
	__u64 sp;
	__u64 orig_x0;
	__s32 syscallno;
};
#else
#error "spanloom knows the system calls of x86-64 and arm64"
#endif

struct thread_info {
	unsigned long flags;
	__u32 status;
};

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live;
};

struct thread_struct {
	unsigned long fsbase; /* x86 */
};

struct mm_struct {
	unsigned long arg_start;
};

struct task_struct {
	struct thread_info thread_info;
	void *stack;
	unsigned int flags;
	int pid;
	int tgid;
	char comm[16];
	struct task_struct *real_parent;
	struct files_struct *files;
	struct mm_struct *mm;
	struct signal_struct *signal;
	struct thread_struct thread;
};

struct linux_binprm {
	const char *filename;
};

#pragma clang attribute pop

#endif
