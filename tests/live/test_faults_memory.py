# SPDX-License-Identifier: Apache-2.0
"""Memory runs out: in the agent, in its cgroup, by the collector's fault.  It goes on, counting what
it loses, or ends with one line that says why; nothing of it stays in the kernel."""

import resource
import signal
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

import kernel
import load
import servers
from agent import Agent, Sink, check_ledger, check_spans, parse_ledger, processor_seconds
from faults import ECHO, LONG, Preload, Steady, count, gone, parents_are_right, resident
from harness import (SPANLOOM, Skip, defer, equal, folder, in_threads, run, spawn, takes,
                     wait_until)
from spans import CLIENT, SERVER, at_port

MIB = 1 << 20

# ---- the agent's own --------------------------------------------------------------------


def start_with(environ, log, limit=None):
    """An agent that may not come to run; it has one second to say that it does."""
    def restrict():
        if limit:
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    with open(log, "wb") as err:
        return spawn([SPANLOOM, "run", "--exporter", "none", "--port", "9",
                      "--duration", "100ms"], stderr=err,
                     env=environ, preexec_fn=restrict)


def ends_well(process, log):
    """It has run, or has said in one line why it cannot; did it run?"""
    status, text = process.wait(60), log.read_text()
    if status == 0:
        check_ledger(text, parse_ledger(text))
        return True
    lines = text.strip().splitlines()
    if status == 127 and "error while loading shared libraries" in text: # not ours to say
        return False
    equal(status, 1, f"exit status: {text}")
    assert lines and lines[-1].startswith("error "), f"the last line tells no cause: {text}"
    equal(sum(line.startswith("error ") for line in lines), 1, f"errors: {text}")
    return False


def test_too_little_address_space_to_start():
    outcomes = []
    for number, limit in enumerate([8, 12, 16, 24, 32, 48, 64, 96, 128, 512][::count(2, 1)]):
        log = folder() / f"limit{number}.err"
        outcomes.append(ends_well(start_with(None, log, limit * MIB), log))
    assert not outcomes[0] and outcomes[-1], f"does it run with that much: {outcomes}"
    equal(outcomes, sorted(outcomes), "more memory is never worse")


@takes(300)
def test_one_allocation_fails_at_the_start():
    """Each one in turn, or as many as there is time for."""
    faults, log = Preload(), folder() / "whole.err"
    assert ends_well(start_with(faults.env(), log), log), "without a fault"
    total = faults["allocations"]
    step = total // count(12, 200)
    for number in range(1, total, step):
        faults["allocations"], faults["fail_at"] = 0, number
        log = folder() / f"fails{number}.err"
        ends_well(start_with(faults.env(), log), log)
    assert faults["failed"], "no allocation failed"


def stop_and_collect(agent):
    """The agent may not have had the memory to read an answer, and sent the same again."""
    sink, agent.sink = agent.sink, None
    agent.stop()
    spans = {span.span_id: span for span in sink.spans()}
    assert len(spans) >= agent.ledger["otlp.exported"], agent.ledger
    check_spans(list(spans.values()))
    return list(spans.values())


def test_allocations_fail_under_load():
    """One of a hundred, then one of three; afterwards all is traced as before."""
    nginx, redis, faults = servers.Nginx(ECHO), servers.Redis(), Preload()
    agent = Agent("--port", f"{nginx.port},{redis.port}", env=faults.env())
    clients = [Steady(nginx, 4, 0, 2), Steady(nginx, 4, 5, 2)]
    wait_until(lambda: agent.sink.saw(b"/echo/"), "spans")
    for every in (97, 3, 1):
        faults["fail_every"] = every
        failed = faults["failed"]
        run("redis-benchmark", "-p", redis.port, "-n", "2000", "-c", "20", "-t", "get,set", "-q")
        wait_until(lambda failed=failed: faults["failed"] > failed, f"one of {every} to fail")
    faults["fail_every"] = 0
    requests = sum(client.stop() for client in clients)
    load.http(nginx.port, 4, 100)
    wait_until(lambda: agent.sink.saw(b"/ok"), "spans again", 60)
    spans = stop_and_collect(agent)
    equal(nginx.served("GET /echo/"), requests, "requests that nginx has served")
    assert agent.ledger["flow.spans.no_memory"] or agent.ledger["otlp.no_memory"], agent.ledger
    for kind in (SERVER, CLIENT):
        equal(sum("/ok" in (span["url.path"] or span["url.full"])
                  for span in at_port(spans, nginx.port, kind)), 400, f"spans of kind {kind}")
    assert parents_are_right(spans, nginx.port) > 400, "links"


def test_address_space_ends_while_the_collector_is_down():
    """The queue may be as large as it was asked to be; memory is not there for it."""
    nginx = servers.Nginx(ECHO)
    sink = Sink()
    agent = Agent("--port", str(nginx.port), sink=sink)
    sink.answers = [503] * 100000
    size = int(Path(f"/proc/{agent.pid}/statm").read_text().split()[0]) * resource.getpagesize()
    resource.prlimit(agent.pid, resource.RLIMIT_AS, (size + MIB, resource.RLIM_INFINITY))
    load.http(nginx.port, 16, 1000, pipeline=10)
    wait_until(lambda: share_of_a_processor(agent.pid) < 0.1, "all of it to be read")
    resource.prlimit(agent.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
    sink.answers = []
    load.http(nginx.port, 4, 100, path="/users/1")
    wait_until(lambda: sink.saw(b"/users/1"), "spans again", 60)
    spans = agent.stop()
    assert agent.ledger["otlp.no_memory"], agent.ledger
    equal(len([span for span in at_port(spans, nginx.port, SERVER)
               if span["url.path"] == "/users/1"]), 400, "spans after that")


# ---- its cgroup's -----------------------------------------------------------------------


class MemoryGroup:
    """A cgroup that bounds memory, the kernel's for it included."""

    def __init__(self):
        old, new = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
        if (old / "memory.limit_in_bytes").exists():
            self.path, self.files = old / "spanloom-test", ("memory.limit_in_bytes",
                                                            "memory.usage_in_bytes")
        elif "memory" in (new / "cgroup.subtree_control").read_text():
            self.path, self.files = new / "spanloom-test", ("memory.max", "memory.current")
        else:
            raise Skip("no cgroup here can bound memory")
        self.path = self.path.with_name(f"spanloom-test-{time.monotonic_ns()}")
        self.path.mkdir()
        defer(self._remove)

    def _remove(self):
        wait_until(lambda: not (self.path / "cgroup.procs").read_text(), "an empty cgroup")
        self.path.rmdir()

    def command(self, *words):
        return ["sh", "-c", f'echo $$ > {self.path}/cgroup.procs && exec "$@"', "sh", *words]

    def bound(self, spare):
        """No more than now, and @spare bytes."""
        used = int((self.path / self.files[1]).read_text())
        (self.path / self.files[0]).write_text(str(used + spare))


def test_cgroup_without_memory():
    """What the kernel remembers of sockets counts for the agent's cgroup: connections that find
    no room are counted, and work.  The kernel may end the agent, and frees all of it then."""
    nginx, group = servers.Nginx(ECHO), MemoryGroup()
    agent = Agent("--port", str(nginx.port), within=group)
    client = Steady(nginx, 4, 0, 2)
    objects = kernel.held_by(agent.pid)
    group.bound(MIB)
    connections = in_threads(lambda _: [load.Http(nginx.port) for _ in range(100)], 5)
    for connection in connections[0]:
        equal(connection.get("/ok")[0], 200, "status")
    run("wrk", "-t", "1", "-c", "200", "-d", "1s", "-H", "Connection: close", nginx.url + "/ok")
    for group_of_them in connections:
        for connection in group_of_them:
            connection.close()
    equal(client.stop(), nginx.served("GET /echo/"), "requests that nginx has served")
    try:  # to be killed takes a while
        agent.process.wait(1)
    except subprocess.TimeoutExpired:
        group.bound(64 * MIB)
        agent.stop()
        return
    equal(agent.process.returncode, -signal.SIGKILL, "how it ended")
    gone(objects)


# ---- by the collector's fault -----------------------------------------------------------


def never(peer):
    """Takes all, and says nothing."""
    while peer.recv(1 << 20):
        pass


def drip(peer):
    """An answer that takes for ever."""
    peer.recv(65536)
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + bytes(1000):
        peer.sendall(bytes([byte]))
        time.sleep(0.1)


def reset(peer):
    peer.recv(1000)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def garbage(peer):
    peer.recv(1000)
    peer.sendall(bytes(range(256)) * 4000)


def endless(head, piece):
    """An answer of 1 GB."""
    def answer(peer):
        peer.recv(65536)
        peer.sendall(head)
        for _ in range((1 << 30) // len(piece)):
            peer.sendall(piece)
    return answer


def informed(peer):
    """Interim answers without end."""
    peer.recv(65536)
    while True:
        peer.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 1000)


BAD_COLLECTORS = {
    "never": never, "drip": drip, "reset": reset, "garbage": garbage, "informed": informed,
    "body": endless(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n", bytes(1 << 20)),
    "chunks": endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                      (b"10000\r\n" + bytes(1 << 16) + b"\r\n") * 16),
    "header": endless(b"HTTP/1.1 200 OK\r\n", b"X-More: abcdefgh\r\n" * 10000),
    "line": endless(b"HTTP/1.1 200 OK\r\nX-Long: ", b"x" * (1 << 20)),
}


class BadCollector:
    """Each connection is answered by @play; takes longer than anybody waits."""

    def __init__(self, play):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.play, self.tries = play, 0
        defer(self.listener.close)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            self.tries += 1
            threading.Thread(target=self._answer, args=(peer,), daemon=True).start()

    def _answer(self, peer):
        try:
            self.play(peer)
        except OSError:
            pass
        peer.close()


def end_now(agent):
    """The second signal says that there is no time for what is queued."""
    agent.send_signal(signal.SIGINT)
    time.sleep(0.2)
    if agent.poll() is None:
        agent.send_signal(signal.SIGINT)
    agent.wait(60)


def share_of_a_processor(pid):
    """What the process takes of it in half a second."""
    before, begun = processor_seconds(pid), time.monotonic()
    time.sleep(0.5)
    return (processor_seconds(pid) - before) / (time.monotonic() - begun)


def test_collectors_cost_no_memory_and_no_time():
    """Whatever they answer: the agent stays small, has time for the ring, does not try all the
    time, and ends when it is told to."""
    nginx = servers.Nginx()
    agents = []
    for name in BAD_COLLECTORS if LONG else ("never", "reset", "garbage", "informed", "body"):
        collector, err = BadCollector(BAD_COLLECTORS[name]), folder() / f"{name}.err"
        with open(err, "wb") as log:
            agent = spawn([SPANLOOM, "run", "--endpoint", collector.url, "--port", nginx.port],
                          stderr=log, env={"OTEL_BSP_SCHEDULE_DELAY": "100"})
        wait_until(lambda: "tracing" in err.read_text(), "an agent")
        run("wrk", "-t", "1", "-c", "8", "-d", "1s", nginx.url + "/ok")
        wait_until(lambda: collector.tries, f"{name}: a request")
        wait_until(lambda agent=agent: share_of_a_processor(agent.pid) < 0.5,
                   f"{name}: an agent that rests when there is no traffic")
        agents.append((name, agent, err, resident(agent.pid, "VmHWM"), collector.tries))
        end_now(agent)
    for name, agent, err, peak, tries in agents:
        text = err.read_text()
        equal(agent.returncode, 0, f"{name}: exit status: {text}")
        check_ledger(text, parse_ledger(text))
        assert peak < 60, f"{name}: {peak:.0f} MiB"
        bound = 10 if name in ("never", "drip", "reset") else parse_ledger(text)["flow.spans"] / 100
        assert tries <= bound, f"{name}: {tries} requests"
        print(f"{name}: {peak:.0f} MiB, {tries} requests")
