# SPDX-License-Identifier: Apache-2.0
"""What the fault tests share: traffic that checks itself, agents with faults, and what must hold.

SPANLOOM_TEST_LONG=1 runs them at length: 30,000 forks where there are 3,000 else.
"""

import mmap
import os
import struct
import subprocess
import sys
from pathlib import Path

import kernel
from harness import PATIENCE, ROOT, defer, equal, folder, once, run, spawn, wait_until
from spans import CLIENT, SERVER, at_port

LONG = os.environ.get("SPANLOOM_TEST_LONG") == "1"
LIVE = ROOT / "tests" / "live"
ECHO = 'location /echo/ { return 200 "$request_uri\\n"; }'
# Counters that tell of records or spans that were lost, of the kernel and of the agent.
LOSSES = ("kernel.ring.full", "otlp.queue_full", "otlp.no_memory", "otlp.failed", "otlp.refused",
          "otlp.shutdown", "flow.spans.no_memory", "flow.requests.refused",
          "flow.connections.no_memory", "flow.connections.evicted", "kernel.conn.no_memory",
          "kernel.programs.missed")


def count(short, long):
    """How often, here."""
    return long if LONG else short


# ---- traffic ----------------------------------------------------------------------------


class Steady:
    """Clients that go on until stop(), each answer checked: steady.py against nginx."""

    def __init__(self, nginx, connections, each=0, pause_ms=0):
        self.process = spawn([sys.executable, LIVE / "steady.py", nginx.port, connections, each,
                              pause_ms], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def stop(self):
        """How many requests there were: all were answered right."""
        output, _ = self.process.communicate(timeout=60 * PATIENCE)
        equal(self.process.returncode, 0, f"exit status of the client: {output}")
        requests = int(output.splitlines()[-1].split()[0])
        assert requests, "no request was made"
        return requests


@once
def storm():
    binary = folder() / "storm"
    run("cc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-pthread", LIVE / "storm.c", "-o", binary)
    return binary


def counted(agent, spans, port, requests, kind=SERVER):
    """Of @requests at @port as many are missing among the spans of one side as were lost by name,
    at most; of those that are there each one is once.  The spans."""
    found = at_port(spans, port, kind)
    lost = sum(agent.ledger[name] for name in LOSSES)
    assert requests - lost <= len(found) <= requests, \
        f"{len(found)} spans of {requests} requests, {lost} lost by name: {agent.ledger}"
    return found


def parents_are_right(spans, port):
    """A server's span hangs below the call of the same target; how many do."""
    clients = {span.span_id: span for span in at_port(spans, port, CLIENT)}
    right = 0
    for span in at_port(spans, port, SERVER):
        if span["spanloom.link"] != "peer":
            continue
        parent = clients.get(span.parent_id)
        if parent:
            assert parent["url.full"].endswith(span["url.path"]), (span, parent)
            right += 1
    return right


# ---- agents -----------------------------------------------------------------------------


def kill(process):
    """By SIGKILL; nothing of it stays in the kernel."""
    objects, pins = kernel.held_by(process.pid), kernel.pins()
    process.kill()
    process.wait()
    gone(objects)
    equal(kernel.pins() - pins, set(), "pins")
    return objects


def gone(objects):
    """The kernel frees in its own time what nobody holds."""
    wait_until(lambda: not kernel.left_of(objects), f"the kernel to free {objects}")


def resident(pid, what="VmRSS"):
    """In MiB; VmHWM: at most so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what + ":"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"no {what} of process {pid}")


class Preload:
    """Faults in the agent that is started with env(): see preload.c for the fields."""

    FIELDS = ("allocations", "failed", "fail_at", "fail_every", "real_time_ns")

    def __init__(self):
        self.path, self.library = folder() / "faults", preload()
        self.path.write_bytes(bytes(mmap.PAGESIZE))
        with open(self.path, "r+b") as file:
            self.file = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        defer(self.file.close)

    def env(self):
        return {"LD_PRELOAD": str(self.library), "SPANLOOM_TEST_FAULTS": str(self.path)}

    def __getitem__(self, field):
        return struct.unpack_from("q", self.file, 8 * self.FIELDS.index(field))[0]

    def __setitem__(self, field, value):
        struct.pack_into("q", self.file, 8 * self.FIELDS.index(field), value)


@once
def preload():
    library = folder() / "preload.so"
    run("cc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-shared", "-fPIC", LIVE / "preload.c", "-o",
        library)
    return library
