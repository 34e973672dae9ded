# SPDX-License-Identifier: Apache-2.0
"""What a kernel prints when something is wrong with it."""

import re

COMPLAINT = re.compile(r"WARNING: |BUG: |Oops|Kernel panic|general protection fault|"
                       r"unregister_netdevice: waiting")
LINES = 30  # from there on that are shown

# As kernels have printed it, and whether it is a complaint.
SAMPLES = [
    ("[    9.1] WARNING: CPU: 0 PID: 139 at kernel/bpf/verifier.c:9939 bpf_check.cold+0x5f/0xc2",
     True),
    ("[   12.7] ------------[ cut here ]------------\n"
     "[   12.7] WARNING: kernel/trace/trace_kprobe.c:1112 at 0x0, CPU#0: spanloom/171", True),
    ("[    8.3] BUG: kernel NULL pointer dereference, address: 0000000000000008", True),
    ("[    8.4] BUG: sleeping function called from invalid context at mm/slab.h:494", True),
    ("[    8.5] general protection fault, probably for non-canonical address: 0000 [#1] SMP", True),
    ("[    8.6] Oops: 0002 [#1] PREEMPT SMP NOPTI", True),
    ("[    8.7] Kernel panic - not syncing: sysrq triggered crash", True),
    ("[   60.0] unregister_netdevice: waiting for veth0 to become free. Usage count = 2", True),
    ("[    2.1] overlayfs: upper fs does not support tmpfile.\n"
     "[    2.2] process 'busybox' started with executable stack", False),
    ("", False),
]


def find(console):
    """The first complaint with the lines behind it; "": none."""
    lines = console.splitlines()
    for number, line in enumerate(lines):
        if COMPLAINT.search(line):
            return "\n".join(lines[number:number + LINES])
    return ""


def check():
    """Which samples are taken for what they are not; "": none."""
    return "\n".join(text for text, bad in SAMPLES if bool(find(text)) != bad)
