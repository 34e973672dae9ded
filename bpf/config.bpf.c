// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/config.bpf.h"

const volatile __u32 self_tgid = 0;
const volatile __u32 capture_bytes = 4096;
const volatile __u32 port_count = 0;
const volatile __u16 ports[PORTS_MAX] = {};
const volatile bool scope_default_skip = false;
const volatile bool likely_links = false;
const volatile bool db_server_spans = false;
const volatile bool use_sk_storage = true;
const volatile bool twins_wanted = false;
const volatile bool misses_possible = false;
const volatile bool unix_ends_seen = false;
const volatile __u64 sampler_threshold = 0;
const volatile bool sampler_parent_based = true;
const volatile __u8 root_state_len = 0;
const volatile __u8 root_state[ROOT_STATE_MAX] = {};
const volatile bool inject_wanted = false;
const volatile bool inject_blocking = false;
const volatile bool inject_asks = false;
const volatile bool contexts_wanted = false;
const volatile bool option_wanted = false;
const volatile __u64 id_key[2] = {};
const volatile __u32 wakeup_bytes = 1 << 18;
const volatile __u32 stack_bytes = 16384;

volatile __u32 verdict_epoch = 0;
volatile __u32 scope_epoch = 0;
volatile __u32 runtime_epoch = 0;
volatile __u32 sdks_adopted = 0;
volatile __u32 inventory_done = 0;
volatile __u32 inventory_failed = 0;
volatile __u32 heirs_made = 0;
volatile __u32 loops_made = 0;
volatile __u32 unread_full = 0;
volatile __u32 workers_made = 0;
volatile __u64 ring_full_ns = 0;
volatile __u64 counts[COUNT_ROWS][COUNT_ROW] __attribute__((aligned(64))) = {};

volatile __u64 bystanders[BYSTANDERS][BYSTANDER] __attribute__((aligned(64))) = {};

char LICENSE[] SEC("license") = "Dual BSD/GPL";
