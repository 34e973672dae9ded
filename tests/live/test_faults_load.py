# SPDX-License-Identifier: Apache-2.0
"""Programs that do very much, or what few do: all is answered, and told of or counted."""

import os
import re
import signal
import time
from pathlib import Path

import load
import servers
from agent import Agent
from faults import (ECHO, Preload, Steady, count, counted, parents_are_right, resident, storm)
from harness import SPANLOOM, Skip, defer, end, equal, run, spawn, status_of, wait_until
from network import Namespace
from spans import CLIENT, SERVER, at_port
from spans import request as decode

SECOND = 10**9  # in nanoseconds
# Without control groups of the second version; Linux 5.10 has another reason before.
NO_INJECTION = "cgroup v2 is not mounted|needs socket storage"

# ---- connections ------------------------------------------------------------------------


def wrk(nginx, seconds, *options):
    """Requests that were answered, connections that were opened: one for each request."""
    output = run("wrk", "-t", "1", "-c", "64", "-d", f"{seconds}s", "--timeout", "30s", "-H",
                 "Connection: close", *options, nginx.url + "/ok")
    assert not re.search(r"Socket errors|Non-2xx", output), output
    return int(re.search(r"(\d+) requests in", output)[1])


def connections_come_and_go(*options):
    """As many connections as there is time for; each is one request, and closed."""
    nginx, seconds = servers.Nginx(), count(2, 10)
    agent = Agent("--port", str(nginx.port), "--exclude-exe", "*/wrk", *options, ring=())
    requests = wrk(nginx, seconds)
    served = nginx.served("GET /ok")
    assert requests <= served <= requests + 64, f"{served} served, {requests} answered"
    assert resident(agent.pid, "VmHWM") < 60, f"{resident(agent.pid, 'VmHWM'):.0f} MiB"
    spans = agent.stop()
    assert agent.ledger["kernel.conn.opened"] >= 2 * requests, agent.ledger
    counted(agent, spans, nginx.port, served)
    print(f"{requests / seconds:.0f} connections a second")


def test_connections_come_and_go():
    connections_come_and_go()


def test_connections_come_and_go_with_injection():
    connections_come_and_go("--inject", "on")


def test_connections_whose_network_goes():
    """A namespace ends with all that is in it, under load."""
    inside, nginx = Namespace(), servers.Nginx(ECHO)
    port = nginx.port
    agent = Agent()
    client = Steady(nginx, 2, 0, 2)
    server = spawn(inside.command("redis-server", "--port", port, "--save", ""))
    wait_until(lambda: "PONG" in run(*inside.command("redis-cli", "-p", port, "PING"), ok=None),
               "redis in the namespace")
    bench = spawn(inside.command("redis-benchmark", "-p", port, "-n", "10000000", "-q"))
    wait_until(lambda: sum(body.count(b"db.operation.name") for body in agent.sink.bodies) > 100,
               "spans of Redis")
    wait_until(lambda: nginx.served("GET /echo/"), "requests to nginx")
    for process in (bench, server, inside.anchor):
        end(process, signal.SIGKILL)
    equal(client.stop(), nginx.served("GET /echo/"), "requests that nginx has served")
    spans = agent.stop()
    assert at_port(spans, port, CLIENT), "spans of both"


# ---- processes --------------------------------------------------------------------------


def test_two_thousand_processes():
    """At once, each with a connection: each call is that of its process."""
    nginx, many = servers.Nginx(ECHO), 2000
    agent = Agent("--port", str(nginx.port))
    equal(int(run(storm(), "processes", nginx.port, many)), many, "processes that were answered")
    spans = agent.stop()
    equal(nginx.served("GET /echo/"), many, "requests that nginx has served")
    for span in counted(agent, spans, nginx.port, many, CLIENT):
        pid = re.search(r"/echo/(\d+)/0$", span["url.full"])[1]
        equal(span.resource["process.pid"], int(pid), "the process of a call")
        equal(span.resource["service.name"], "unknown_service:storm", "its service")
    counted(agent, spans, nginx.port, many)
    parents_are_right(spans, nginx.port)


def test_fork_storms():
    """The agent is told of each that runs a program, and of each end."""
    nginx, ending, running = servers.Nginx(ECHO), count(3000, 30000), count(500, 5000)
    agent = Agent("--port", str(nginx.port), "--inject-exclude", "nothing")
    client = Steady(nginx, 2, 0, 5)
    done, asked = map(int, run(storm(), "forks", nginx.port, ending, running).split())
    equal(done, ending + running, "children that ended well")
    requests = client.stop() + asked
    spans = agent.stop()
    equal(nginx.served("GET /echo/"), requests, "requests that nginx has served")
    assert agent.ledger["flow.records.process"] + agent.ledger["kernel.ring.full"] >= \
        ending + 2 * running, agent.ledger
    equal(agent.ledger["kernel.scope.full"], 0, "children without a verdict")
    counted(agent, spans, nginx.port, requests)
    assert parents_are_right(spans, nginx.port) > 0, "links"


def test_buffers_that_go():
    """What a system call has moved is gone when the kernel's program looks: that is counted; what
    is there instead is told of as what it is, or not at all."""
    calls = count(3000, 100000)
    agent = Agent()
    equal(int(run(storm(), "unmap", calls)), calls, "calls")
    spans = agent.stop()
    of_them = [span for span in spans if span.resource["process.executable.name"] == "storm"]
    assert len(of_them) <= 2 * (calls + 2), f"{len(of_them)} spans of {calls} calls and two before"
    assert agent.ledger["kernel.copy.fault"] > 0, agent.ledger
    for span in of_them:
        assert (span["url.path"] or span["url.full"]).endswith("/take/away"), span


# ---- programs that are not run -----------------------------------------------------------


def test_no_call_has_the_answer_of_the_next_one():
    """Where programs are preempted, some are not run for others meanwhile.  Each connection goes
    through its requests one by one: so do its calls, whatever was missed."""
    nginx = servers.Nginx(ECHO)
    agent = Agent("--port", str(nginx.port))
    client = Steady(nginx, 4, 0, 1)
    wait_until(lambda: len(agent.sink.spans()) > count(4000, 40000), "spans", 60)
    requests = client.stop()
    spans = agent.stop()
    for kind in (CLIENT, SERVER):
        found = counted(agent, spans, nginx.port, requests, kind)
        for index in range(4):
            mine = sorted((span for span in found if f"/echo/{index}/" in
                           (span["url.full"] or span["url.path"])), key=lambda span: span.start_ns)
            for before, after in zip(mine, mine[1:]):
                assert before["spanloom.incomplete"] or before.end_ns <= after.start_ns, \
                    (before, after)


# ---- clocks -----------------------------------------------------------------------------


def clock_is_set(agent_env, set_clock):
    """An hour back, and forth: no span is shorter than nothing, and its time is that of the clock,
    whichever that is.  @set_clock: to so many hours ahead; what to add to time.time_ns()."""
    nginx = servers.Nginx(ECHO)
    agent = Agent("--port", str(nginx.port), env=agent_env)
    client = Steady(nginx, 4, 0, 5)
    for hours in count((-1,), (-1, 2, -24 * 365)):
        now = set_clock(hours) + time.time_ns()
        early, late = now - 60 * SECOND, now + 60 * SECOND
        wait_until(lambda early=early, late=late: any(
            early < span.start_ns < late for body in agent.sink.bodies[-3:]
            for span in decode(body)), "spans of the other time")
    requests = client.stop()
    spans = agent.stop()
    counted(agent, spans, nginx.port, requests)
    assert all(span.start_ns < span.end_ns for span in spans), "spans that took no time"
    assert len({span.start_ns // (1800 * SECOND) for span in spans}) > 1, "one time only"


def test_clock_that_is_set():
    """The agent's own; the machine's stays as it is."""
    faults = Preload()

    def set_clock(hours):
        faults["real_time_ns"] = hours * 3600 * SECOND
        return faults["real_time_ns"]

    clock_is_set(faults.env(), set_clock)


def test_clock_of_the_kernel_that_is_set():
    """Of all that runs there."""
    if not os.environ.get("SPANLOOM_TEST_GUEST"):
        raise Skip("this machine's clock is not ours to set (make vm-all)")
    ahead = time.time_ns() - time.monotonic_ns()

    def set_clock(hours):
        time.clock_settime_ns(time.CLOCK_REALTIME,
                              time.monotonic_ns() + ahead + hours * 3600 * SECOND)
        return 0

    defer(set_clock, 0)
    clock_is_set(None, set_clock)


# ---- control groups ---------------------------------------------------------------------


def control_groups():
    """A folder of each hierarchy that is mounted here: {name: (path, what a container's is called)}."""
    found = {}
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, path, kind, options = line.split()[:4]
        if kind == "cgroup2":
            found["v2"] = (Path(path), "docker-{}.scope")
        elif kind == "cgroup" and "pids" in options.split(","):
            found["v1"] = (Path(path), "{}")
    return found


def test_containers_by_their_control_group():
    """Of both versions, where they are mounted; the group of a process may change."""
    groups = control_groups()
    assert groups, "no control groups are mounted"
    agent = Agent()
    for number, (version, (path, name)) in enumerate(sorted(groups.items())):
        container = f"{number:x}{time.monotonic_ns():063x}"
        group = path / name.format(container)
        group.mkdir()
        defer(wait_until, lambda group=group: not remove(group), "an empty group")
        nginx = servers.Nginx()
        for pid in (nginx.process.pid, *children(nginx.process.pid)):
            (group / "cgroup.procs").write_text(str(pid))
        load.http(nginx.port, 1, 3)
        wait_until(lambda nginx=nginx: len(at_port(agent.sink.spans(), nginx.port, SERVER)) == 3,
                   f"spans of {version}")
        for span in at_port(agent.sink.spans(), nginx.port, SERVER):
            equal(span.resource.get("container.id"), container, f"container of {version}")
    agent.stop()


class Unmounted:
    """Where the second version of control groups is not mounted."""

    @staticmethod
    def command(*words):
        script = "umount -l -a -t cgroup2 && exec \"$@\""
        return ["unshare", "-m", "sh", "-c", script, "sh", *words]


def test_control_groups_of_the_first_version_only():
    """Nothing is injected, which is told, and all the rest is as ever."""
    nginx = servers.Nginx()
    agent = Agent("--port", str(nginx.port), within=Unmounted())
    load.http(nginx.port, 2, 100)
    spans = agent.stop()
    equal(len(at_port(spans, nginx.port)), 400, "spans")
    missed = agent.ledger.get("kernel.programs.missed", 0)
    assert 200 - missed <= parents_are_right(spans, nginx.port) <= 200, "links"
    assert re.search(f"header injection is off: ({NO_INJECTION})", agent.stderr.read_text())
    with_headers = [name for name in agent.ledger if name.startswith("kernel.inject.")]
    equal(with_headers, [], "headers")
    status, _, why = status_of(*Unmounted.command(SPANLOOM, "run", "--inject", "on"))
    assert status == 1 and re.search(f"--inject on: ({NO_INJECTION})", why), (status, why)


def children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def remove(group):
    try:
        group.rmdir()
    except OSError:
        return True
    return False
