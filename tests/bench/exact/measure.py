# SPDX-License-Identifier: Apache-2.0
"""In the guest: what one operation of a load costs, in instructions.

    measure.py LOAD

Time is instructions here (see guest.py), so the busy time of the processor is their number, and
the processor time of a control group is its share.  A load is played with different numbers of
operations: the difference has no start, no end, and none of what goes on anyway.  All of that is
done twice; how far the two totals are apart is told beside their mean.
The last line is {column: {"total": ..., "server": ..., ..., "spread": ...}}.
"""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import loads  # first: it says where the next ones are
import harness
import programs
from agent import parse_ledger, start
from harness import SPANLOOM, end, folder, spawn

GROUPS = Path("/sys/fs/cgroup")
ROLES = ("client", "server", "agent", "sink")
TIMES = 2
SETTLE_S = 8  # what is under way when a load ends reaches the sink meanwhile


def children(pid):
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def enrol(role, process):
    for pid in [process.pid, *children(process.pid)]:
        (GROUPS / role / "cgroup.procs").write_text(str(pid))


def figure(pattern, text):
    return int(re.search(pattern, text)[1])


def snapshot():
    """Instructions so far: in all, and of each role."""
    timers = Path("/proc/timer_list").read_text()
    taken = {"total": figure(r"now at (\d+)", timers) - figure(r"\.idle_sleeptime\s*: (\d+)", timers)}
    for role in ROLES:
        used = (GROUPS / role / "cpu.stat").read_text()
        taken[role] = figure(r"usage_usec (\d+)", used) * 1000
    return taken


class Player:
    """A load and its server; counts the operations."""

    def __init__(self, load):
        self.load, self.done = load, 0
        started = load.start()
        self.server = started[0] if started else None
        for server in started:
            enrol("server", server.process)

    def play(self, amount):
        operations = self.load.play(self.server, amount)
        time.sleep(SETTLE_S)
        self.done += operations
        return operations

    def difference(self):
        """What an operation takes, of the processor and of each role."""
        measured = []
        for amount in self.load.amounts:
            before = snapshot()
            operations = self.play(amount)
            after = snapshot()
            measured.append((operations, {name: after[name] - before[name] for name in after}))
        (fewer, less), (more, took) = measured
        return {name: (took[name] - less[name]) / (more - fewer) for name in took}

    def cost(self):
        """The mean of all times, and how far they are apart, as a share of it."""
        self.play(self.load.amounts[0])  # warm
        taken = [self.difference() for _ in range(TIMES)]
        mean = {name: sum(one[name] for one in taken) / TIMES for name in taken[0]}
        totals = [one["total"] for one in taken]
        return {**mean, "spread": (max(totals) - min(totals)) / mean["total"]}


class Agent:
    """spanloom with a collector that costs next to nothing."""

    def __init__(self, options):
        self.sink = spawn([loads.OUT / "sink"], stdout=subprocess.PIPE, text=True)
        port = int(self.sink.stdout.readline())
        self.log = folder() / "agent.err"
        command = [SPANLOOM, "run", "--exporter", "otlp", "--endpoint", f"http://127.0.0.1:{port}",
                   *options]
        self.process = start(command, None, folder() / "agent.out", self.log)
        enrol("agent", self.process)
        enrol("sink", self.sink)

    def stop(self):
        """Its ledger."""
        assert end(self.process, signal.SIGINT, 60) == 0, self.log.read_text()
        end(self.sink)
        return parse_ledger(self.log.read_text())


def traced(player, column):
    agent = Agent([*loads.OPTIONS[column], *player.load.options])
    player.done = 0
    told = player.cost()
    told["programs"] = programs.measure(agent.process.pid,
                                        lambda: player.play(player.load.amounts[0]))
    ledger = agent.stop()
    told["spans"] = ledger["otlp.exported"] / player.done
    told["ledger"] = ledger
    return told


def main():
    for role in ROLES:
        (GROUPS / role).mkdir()
    load = loads.find(sys.argv[1])
    player = Player(load)
    told = {}
    for column in load.columns:
        told[column] = player.cost() if column == loads.BARE else traced(player, column)
    print(json.dumps(told))
    harness.close()


if __name__ == "__main__":
    main()
