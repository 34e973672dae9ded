# SPDX-License-Identifier: Apache-2.0
"""The agent is killed, stopped, and has no disk to write to.  The traced programs lose no byte and
no request, what it loses is counted, and nothing of it stays in the kernel."""

import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import kernel
import load
import servers
from agent import Agent, Sink, check_ledger, parse_ledger, processor_seconds, start
from faults import ECHO, Steady, count, counted, kill, parents_are_right
from harness import SPANLOOM, end, equal, folder, run, spawn, takes, wait_until
from spans import CLIENT, SERVER, at_port

# ---- killed -----------------------------------------------------------------------------


def killed_again_and_again(times, *options):
    """At any moment: while it loads its programs, attaches them, and traces."""
    nginx, sink, chance = servers.Nginx(ECHO), Sink(), random.Random(1)
    clients = [Steady(nginx, 4, 0, 1), Steady(nginx, 4, 20, 1)]
    attached = 0
    for number in range(times):
        err = folder() / f"killed{number}.err"
        with open(err, "wb") as log:
            agent = spawn([SPANLOOM, "run", "--exporter", "otlp", "--endpoint", sink.url,
                           "--port", nginx.port, *options], stderr=log,
                          env=dict(os.environ, OTEL_BSP_SCHEDULE_DELAY="50"))
        if number % 2:
            wait_until(lambda: "tracing" in err.read_text() or agent.poll(), "an agent", 60)
            assert agent.poll() is None, err.read_text()
        time.sleep(chance.uniform(0.02, 0.5))
        attached += any(kind == "link" for kind, _ in kill(agent))
    assert attached >= times / 2, f"{attached} of the killed agents had attached"
    requests = [client.stop() for client in clients]
    equal(nginx.served("GET /echo/"), sum(requests), "requests that nginx has served")
    assert at_port(sink.spans(), nginx.port), "no span was ever made"


@takes(600)
def test_killed_again_and_again():
    killed_again_and_again(100)


@takes(600)
def test_killed_again_and_again_while_it_sends():
    """What is in the clients' sockets when it dies goes on its way."""
    killed_again_and_again(count(10, 100), "--inject", "on", "--tcp-option", "on")


def test_traces_after_a_kill_as_before():
    nginx = servers.Nginx(ECHO)
    client = Steady(nginx, 4, 0, 1)
    kill(Agent("--inject", "on", "--port", str(nginx.port)).process)
    agent = Agent("--inject", "on", "--port", str(nginx.port))
    load.http(nginx.port, 2, 100)
    client.stop()
    spans = agent.stop()
    for kind in (SERVER, CLIENT):
        equal(sum(span["url.path"] == "/ok" if kind == SERVER else span["url.full"].endswith("/ok")
                  for span in at_port(spans, nginx.port, kind)), 200, f"spans of kind {kind}")
    assert parents_are_right(spans, nginx.port) > 200, "links"


# ---- stopped ----------------------------------------------------------------------------


def test_stopped_for_ten_seconds():
    """The ring runs over; that is counted, nobody waits, and afterwards all is as before.  What the
    collector has answered meanwhile is not sent again."""
    nginx = servers.Nginx(ECHO)
    agent = Agent("--ring-size", "1M", "--port", str(nginx.port))
    client = Steady(nginx, 8, 50, 5)
    wait_until(lambda: at_port(agent.sink.spans(), nginx.port), "the first spans")
    agent.sink.delay = 0.5
    time.sleep(0.5)
    agent.process.send_signal(signal.SIGSTOP)
    before = nginx.served("GET /echo/")
    time.sleep(10)
    wait_until(lambda: nginx.served("GET /echo/") - before > 3000, "requests meanwhile")
    agent.sink.delay = 0
    agent.process.send_signal(signal.SIGCONT)
    requests = client.stop()
    wait_until(lambda: load.http(nginx.port, 1, 1, path="/users/1") and
               agent.sink.saw(b"/users/1"), "spans again")
    load.http(nginx.port, 4, 100)
    spans = agent.stop()
    assert agent.ledger["kernel.ring.full"] > 0, agent.ledger
    equal(nginx.served("GET /echo/"), requests, "requests that nginx has served")
    echoed = [span for span in spans if (span["url.path"] or "").startswith("/echo/")]
    assert len(counted(agent, echoed, nginx.port, requests)) > 100, "spans"
    for kind in (SERVER, CLIENT):
        marked = [span for span in at_port(spans, nginx.port, kind)
                  if "/ok" in (span["url.path"] or span["url.full"])]
        equal(len(marked), 400, f"spans of kind {kind} after the stop")
        assert not any(span["spanloom.incomplete"] for span in marked), "incomplete spans"
    assert parents_are_right(spans, nginx.port) > 400


def test_ring_that_is_always_too_small():
    """The agent runs, but the load is more than it can read."""
    nginx = servers.Nginx()
    agent = Agent("--ring-size", "64K", "--exe", "*/nginx")
    run("wrk", "-t", "1", "-c", "64", "-d", f"{count(1, 10)}s", nginx.url + "/ok")
    spans = agent.stop()
    assert agent.ledger["kernel.ring.full"] > 0, agent.ledger
    assert agent.ledger["kernel.ring.full.bytes"] > 0, agent.ledger
    counted(agent, spans, nginx.port, nginx.served("GET /ok"))


# ---- no room on the disk ----------------------------------------------------------------


def full_disk(command, out, err):
    """Runs the agent until it says what it does, makes traffic; the process and nginx."""
    nginx = servers.Nginx()
    process = start([SPANLOOM, "run", "--port", nginx.port, *command], None, out, err)
    load.http(nginx.port, 4, 500)
    return process, nginx


def is_quiet(process):
    """It does not spend its time with writing what cannot be written."""
    before = processor_seconds(process.pid)
    time.sleep(1)
    spent = processor_seconds(process.pid) - before
    assert spent < 0.3, f"{spent} s of processor time in a second of silence"


def check_full_console(text, status):
    warnings = [line for line in text.splitlines() if line.startswith("warn console")]
    equal(len(warnings), 1, f"lines that tell of the full disk: {text}")
    assert "No space left on device" in warnings[0], warnings
    ledger = parse_ledger(text)
    check_ledger(text, ledger)
    assert ledger["console.hidden"] > 0 and ledger["flow.spans"] == 4000, ledger
    equal(status, 1, "exit status: its output is not whole")
    assert re.fullmatch(r"spanloom: not all was written to stdout(: No space left on device)?",
                        text.splitlines()[-1]), text


def test_console_to_a_full_disk():
    for form in ("json", "tree"):
        err = folder() / f"full-{form}.err"
        process, _ = full_disk(["--exporter", "console", "--console", form], Path("/dev/full"), err)
        is_quiet(process)
        status = end(process, signal.SIGINT)
        check_full_console(err.read_text(), status)


def test_console_to_a_disk_that_fills():
    """Some is written, then no more."""
    mount, err = folder() / "small", folder() / "fills.err"
    mount.mkdir()
    nginx = servers.Nginx()
    script = f'mount -t tmpfs -o size=64k none {mount} && exec "$@" > {mount}/spans'
    process = start(["unshare", "-m", "sh", "-c", script, "sh", SPANLOOM, "run", "--port",
                     nginx.port, "--exporter", "console", "--console", "json"], None,
                    folder() / "nothing", err)
    load.http(nginx.port, 4, 500)
    is_quiet(process)
    status = end(process, signal.SIGINT)
    check_full_console(err.read_text(), status)


def test_log_to_a_full_disk():
    """Then nobody reads what it has to say; the spans go out all the same."""
    nginx, sink = servers.Nginx(), Sink()
    with open("/dev/full", "wb") as full:
        process = spawn([SPANLOOM, "run", "--endpoint", sink.url, "--port", nginx.port,
                         "--log-level", "debug"], stdout=full, stderr=full)
    run_until_traced(nginx, sink)
    load.http(nginx.port, 4, 500, path="/users/1")
    is_quiet(process)
    equal(end(process, signal.SIGINT), 0, "exit status")
    for kind in (SERVER, CLIENT):
        marked = [span for span in at_port(sink.spans(), nginx.port, kind)
                  if "/users/1" in (span["url.path"] or span["url.full"])]
        equal(len(marked), 2000, f"spans of kind {kind}")


def run_until_traced(nginx, sink):
    wait_until(lambda: load.http(nginx.port, 1, 1) and at_port(sink.spans(), nginx.port), "a span")


# ---- looked at --------------------------------------------------------------------------


def test_statistics_on_and_off():
    """kernel.bpf_stats_enabled and whoever else measures change nothing of what is traced; "probes
    --measure" leaves them as they were, also when it is killed."""
    switch = Path("/proc/sys/kernel/bpf_stats_enabled")
    before = switch.read_text()
    nginx = servers.Nginx()
    agent = Agent("--port", str(nginx.port))
    load.http(nginx.port, 2, 100)
    statistics = kernel.statistics()
    load.http(nginx.port, 2, 100)
    table = run(SPANLOOM, "probes", "--measure", "1")
    assert re.search(r"tp_receive_done|recv", table), table
    measuring = spawn([SPANLOOM, "probes", "--measure", "20"], stdout=subprocess.DEVNULL)
    load.http(nginx.port, 2, 100)
    measuring.kill()
    measuring.wait()
    os.close(statistics)
    load.http(nginx.port, 2, 100)
    equal(switch.read_text(), before, "kernel.bpf_stats_enabled")
    equal(len(at_port(agent.stop(), nginx.port)), 1600, "spans")
