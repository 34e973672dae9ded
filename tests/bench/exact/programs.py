# SPDX-License-Identifier: Apache-2.0
"""In the guest: how many instructions the programs of BPF take, by the kernel's own count of
their time (kernel.bpf_stats_enabled)."""

import ctypes
import json
import os
import re
import struct
from pathlib import Path

from harness import run

STATS = Path("/proc/sys/kernel/bpf_stats_enabled")
SYS_BPF = 321  # x86-64
PROG_LOAD, PROG_TEST_RUN = 5, 10
RAW_TRACEPOINT = 17
RUNS = 1000
# return 0
NOTHING = bytes([0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0])


class Counting:
    """While the kernel counts, which costs: in a run of its own."""

    def __enter__(self):
        STATS.write_text("1")

    def __exit__(self, *_):
        STATS.write_text("0")


def names():
    shown = json.loads(run("bpftool", "prog", "show", "--json"))
    return {program["id"]: program.get("name", "?") for program in shown}


def counts(fdinfo):
    """(id, runs, ns) of a program; None: it is something else."""
    found = [re.search(rf"^{name}:\s*(\d+)", fdinfo, re.MULTILINE)
             for name in ("prog_id", "run_cnt", "run_time_ns")]
    return tuple(int(match[1]) for match in found) if all(found) else None


def read(pid):
    """{id: (runs, ns)} of the programs that the process holds."""
    found = {}
    for entry in Path(f"/proc/{pid}/fdinfo").iterdir():
        if told := counts(entry.read_text()):
            found[told[0]] = told[1:]
    return found


def bpf(command, attributes):
    attributes = ctypes.create_string_buffer(attributes, 128)
    result = ctypes.CDLL(None, use_errno=True).syscall(SYS_BPF, command, attributes, 128)
    if result < 0:
        raise OSError(ctypes.get_errno(), "bpf")
    return result


def overhead():
    """What the kernel counts for a program that does nothing, in ns a run."""
    code, licence = ctypes.create_string_buffer(NOTHING), ctypes.create_string_buffer(b"GPL")
    fd = bpf(PROG_LOAD, struct.pack("=IIQQ", RAW_TRACEPOINT, len(NOTHING) // 8,
                                    ctypes.addressof(code), ctypes.addressof(licence)))
    with Counting():
        for _ in range(RUNS):
            bpf(PROG_TEST_RUN, struct.pack("=I", fd))
        _, runs, ns = counts(Path(f"/proc/self/fdinfo/{fd}").read_text())
    os.close(fd)
    return ns / runs


def measure(pid, play):
    """{name: (runs, instructions) for one operation} of the agent's programs while play() runs,
    which returns the number of operations."""
    each = overhead()
    with Counting():
        before = read(pid)
        operations = play()
        after = read(pid)
    known, found = names(), {}
    for number, (runs, ns) in after.items():
        runs, ns = runs - before[number][0], ns - before[number][1]
        if runs:
            found[known[number]] = (runs / operations, (ns - runs * each) / operations)
    return found
