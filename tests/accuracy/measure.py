# SPDX-License-Identifier: Apache-2.0
"""Numbered requests to a program, and what spanloom made of them."""

import contextlib
import http.client
import itertools
import os
import time
from pathlib import Path

from agent import Agent
from harness import in_threads, wait_until
from judge import CACHE, HTTP, SQL, Judgement, judge, number_of, process_of

LOSSES = ("kernel.ring.full", "kernel.conn.no_memory")  # as the ledger names them
FIRST = 8  # requests that are not judged: loops are silent behind them, see bpf/loop.bpf.h
SILENCE = 1.2  # seconds
_numbers = itertools.count(1)


class Result:
    """A program at so many connections; several rounds are added up."""

    def __init__(self, program, connections, links):
        self.program, self.connections, self.links = program, connections, links
        self.judgement = Judgement()
        self.missing, self.notes, self.lost = [], [], False

    @property
    def calls(self):
        """Part of the calls that is right."""
        return self.judgement.right((SQL, CACHE, HTTP))

    def add(self, spans, requests, ledger):
        judged = judge(spans, os.getpid())
        self.judgement.counts += judged.counts
        self.judgement.links += judged.links
        self.judgement.wrong += judged.wrong
        if judged.total(("alien",)):
            self.notes.append(f"{judged.total(('alien',))} have a header of another tracer")
        lost = {name: ledger[name] for name in LOSSES if ledger[name]}
        self.lost |= bool(lost)
        for kind, each in self.program.spans.items():
            seen = judged.total(kinds=(kind,))
            if lost and seen < each * requests:
                self.notes.append(f"{seen} of {each * requests} spans of {kind}: {lost}")
            elif seen != each * requests:
                self.missing.append(f"{seen} spans of {kind}, not {each * requests}")

    def faults(self, least):
        """What must not be.  @least: the part of the calls that must be right; where the agent was
        too busy to see them all it says nothing."""
        found = list(self.missing)
        if self.judgement.wrong:
            found.append(f"{len(self.judgement.wrong)} wrong parents")
        if self.calls < least and not self.lost:
            found.append(f"{self.calls:.2%} of the calls right, not {least:.2%}")
        return found


class Client:
    """Of the connections every second one stays open; the others are made for each request."""

    def __init__(self, port, keep):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.keep = keep

    def ask(self, path):
        headers = {} if self.keep else {"Connection": "close"}
        self.connection.request("GET", path, headers=headers)
        answer = self.connection.getresponse()
        body = answer.read()
        assert answer.status == 200, f"{path}: status {answer.status}: {body[:200]}"
        if not self.keep:
            self.connection.close()


def load(chosen, port, connections, requests):
    """@requests in all, so many at once as there are @connections.  Their numbers."""
    def work(index):
        client = Client(port, chosen.keep and index % 2 == 0)
        for number in numbers[index::connections]:
            client.ask(f"{chosen.path}/c{number}")
        client.connection.close()
    numbers = list(itertools.islice(_numbers, requests))
    in_threads(work, connections)
    return set(numbers)


def family():
    """This process and all that come of it: the agent sees the whole host."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rsplit(") ", 1)[1].split()[1])
    ours, more = set(), {os.getpid()}
    while more:
        ours |= more
        more = {pid for pid, parent in parents.items() if parent in ours} - ours
    return ours


def load_and_wait(world, chosen, port, connections, requests):
    """Likewise; returns when all that they cause has been done."""
    wanted = world.commands() + chosen.spans[CACHE] * requests
    numbers = load(chosen, port, connections, requests)
    wait_until(lambda: world.commands() >= wanted, "what follows the responses")
    return numbers


def without(spans, numbers):
    """The spans but those of the traces of requests with these numbers."""
    traces = {span.trace_id for span in spans if number_of(span) in numbers}
    return [span for span in spans if span.trace_id not in traces]


def program(world, chosen, connections, requests, rounds=1, links="certain"):
    """A Result for each of @connections."""
    running = chosen.start(world)
    ports = ",".join(map(str, world.ports + running.ports))  # what else there is does not matter
    try:
        load(chosen, running.port, 1, 1)  # what is loaded late is loaded now
        for number in connections:
            result = Result(chosen, number, links)
            for _ in range(rounds):
                agent = Agent("--links", links, "--port", ports)
                first = load_and_wait(world, chosen, running.port, 1, FIRST)
                time.sleep(SILENCE)
                load_and_wait(world, chosen, running.port, number, requests)
                ours = family()
                spans = [span for span in agent.stop() if process_of(span) in ours]
                result.add(without(spans, first), requests, agent.ledger)
            yield result
    finally:
        running.end()
