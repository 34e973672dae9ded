# SPDX-License-Identifier: Apache-2.0
"""The life of the agent: it starts, is killed, is cut off, and harms nobody."""

import json
import re
import signal
import subprocess
import time
from pathlib import Path

import load
import servers
from agent import Agent, Sink, start
from harness import SPANLOOM, end, equal, folder, free_port, run, spawn, takes, wait_until
from spans import CLIENT, SERVER, at_port, select


def kernel_objects():
    """What of BPF is in the kernel: {(kind, id): name}."""
    found = {}
    for kind in ("prog", "map", "link"):
        text = run("bpftool", "-j", kind, "list")
        for item in json.loads(text or "[]"):
            found[kind, item["id"]] = item.get("name", item.get("type", ""))
    events = Path("/sys/kernel/tracing/kprobe_events")
    for line in events.read_text().splitlines() if events.exists() else []:
        found["event", line] = line
    return found


def left_behind(before):
    return {key: name for key, name in kernel_objects().items() if key not in before}


def test_killed_under_load_harms_nobody():
    nginx, redis, postgres = servers.Nginx(), servers.Redis(), servers.Postgres()
    before = kernel_objects()
    agent = Agent()
    assert left_behind(before), "nothing of spanloom is in the kernel while it runs"
    wrk = spawn(["wrk", "-t", "1", "-c", "32", "-d", "4s", nginx.url + "/ok"],
                stdout=subprocess.PIPE, text=True)
    bench = spawn(["redis-benchmark", "-p", redis.port, "-n", "200000", "-t", "get", "-q"],
                  stdout=subprocess.PIPE, text=True)
    pgbench = spawn([servers.postgres_bin() / "pgbench", "-h", "127.0.0.1", "-p", postgres.port,
                     "-U", "postgres", "-S", "-n", "-T", "4", "shop"],
                    stdout=subprocess.PIPE, text=True)
    time.sleep(1.5)
    agent.process.kill()
    agent.process.wait()
    outputs = [child.communicate(timeout=30)[0] for child in (wrk, bench, pgbench)]
    equal([child.returncode for child in (wrk, bench, pgbench)], [0, 0, 0],
          "exit status of the clients: " + "\n".join(outputs))
    assert not re.search(r"Socket errors|Non-2xx", outputs[0]), outputs[0]
    assert re.search(r"failed transactions: 0 ", outputs[2]), outputs[2]
    wait_until(lambda: not left_behind(before), f"an empty kernel, not {left_behind(before)}", 5)


def test_nothing_is_left_after_a_clean_end():
    before = kernel_objects()
    agent = Agent()
    agent.stop(signal.SIGTERM)
    wait_until(lambda: not left_behind(before), f"an empty kernel, not {left_behind(before)}", 5)


@takes(90)
def test_collector_down_for_10_seconds_loses_nothing():
    nginx = servers.Nginx()
    port = free_port()
    agent = Agent(sink=Sink(port))
    load.http(nginx.port, 4, 100)
    wait_until(lambda: len(at_port(agent.sink.spans(), nginx.port)) == 800, "the first spans")
    agent.sink.close()
    load.http(nginx.port, 4, 250)
    time.sleep(10)
    second = Sink(port)
    second.bodies = agent.sink.bodies
    agent.sink = second
    load.http(nginx.port, 4, 50)
    spans = agent.stop()
    equal(nginx.served("GET /ok"), 1600, "requests")
    for kind in (SERVER, CLIENT):
        equal(len(at_port(spans, nginx.port, kind)), 1600, f"spans of kind {kind}")


@takes(90)
def test_collector_that_says_try_again():
    nginx = servers.Nginx()
    agent = Agent()
    agent.sink.answers = [503, 429]
    load.http(nginx.port, 1, 50)
    wait_until(lambda: len(at_port(agent.sink.spans(), nginx.port)) == 100, "all spans", 45)
    agent.stop()


def test_collector_that_refuses():
    """A final refusal is counted; the rest goes on."""
    nginx = servers.Nginx()
    agent = Agent()
    agent.sink.answers = [400] * 1000
    load.http(nginx.port, 1, 50)
    time.sleep(1)
    agent.sink.answers = []
    load.http(nginx.port, 1, 50)
    spans = agent.stop()
    assert len(at_port(spans, nginx.port)) >= 100, len(spans)
    assert agent.ledger["otlp.refused"] >= 100, agent.ledger


def test_collector_that_never_answers_blocks_nobody():
    nginx = servers.Nginx()
    port = free_port()
    deaf = spawn(["python3", "-c", "import socket, time\n"
                  f"s = socket.create_server(('127.0.0.1', {port}))\nwhile True: time.sleep(1)"])
    err = folder() / "deaf.err"
    agent = start([SPANLOOM, "run", "--exporter", "otlp", "--endpoint",
                   f"http://127.0.0.1:{port}"], None, folder() / "deaf.out", err)
    begun = time.monotonic()
    load.http(nginx.port, 4, 500)
    assert time.monotonic() - begun < 10, "traffic was held up"
    agent.send_signal(signal.SIGINT)
    equal(agent.wait(30), 0, "exit status")
    assert "shutdown" in err.read_text() or "failed" in err.read_text(), err.read_text()
    end(deaf)


def test_ledger_sums_agree():
    """Traffic of all kinds, whole and broken; check_ledger() and the kernel's side."""
    nginx, redis, postgres = servers.Nginx(), servers.Redis(), servers.Postgres()
    agent = Agent()
    load.http(nginx.port, 8, 100, pipeline=4)
    run("redis-benchmark", "-p", redis.port, "-n", "2000", "-P", "8", "-t", "get,set", "-q")
    postgres.pgbench("-n", "-c", "4", "-t", "50")
    run("curl", "-s", f"http://127.0.0.1:{free_port()}/", ok=None)
    with load.Http(nginx.port) as client:
        client.send(b"GET /half")
    spans = agent.stop()
    ledger = agent.ledger
    equal(ledger["kernel.ring.full"], 0, "records lost")
    equal(ledger["flow.spans.connect_failed"], 1, "refused connections")
    assert len(spans) > 2000, len(spans)


def test_duration_ends_it():
    begun = time.monotonic()
    agent = Agent("--duration", "1")
    equal(agent.process.wait(10), 0, "exit status")
    assert 0.9 < time.monotonic() - begun < 4, time.monotonic() - begun


def test_first_span_within_a_second():
    nginx = servers.Nginx()
    sink = Sink()
    client = spawn(["wrk", "-t", "1", "-c", "1", "-d", "5s", nginx.url + "/ok"])
    time.sleep(0.3)
    begun = time.time_ns()
    agent = Agent(sink=sink)
    wait_until(lambda: sink.bodies, "a span", 5)
    end(client)
    first = min(span.start_ns for span in at_port(agent.stop(), nginx.port))
    assert first - begun < 1e9, f"{(first - begun) / 1e6:.0f} ms to the first traced request"


def test_spans_are_visible_soon_at_one_request():
    nginx = servers.Nginx()
    agent = Agent()
    time.sleep(0.5)
    run("curl", "-s", nginx.url + "/ok")
    wait_until(lambda: at_port(agent.sink.spans(), nginx.port), "the span of one request", 1.2)
    agent.stop()


def test_only_the_chosen_processes():
    nginx, other = servers.Nginx(), servers.Nginx()
    agent = Agent("--exe", "*/nginx", "--port", f"{nginx.port}")
    for server in (nginx, other):
        run("curl", "-s", server.url + "/ok")
    spans = agent.stop()
    equal([s.kind for s in at_port(spans, nginx.port)], [SERVER], "kinds at the chosen port")
    equal(len(at_port(spans, other.port)), 0, "spans of the other")


def test_excluded_programs():
    nginx = servers.Nginx()
    agent = Agent("--exclude-exe", "*/curl")
    run("curl", "-s", nginx.url + "/ok")
    equal([s.kind for s in at_port(agent.stop(), nginx.port)], [SERVER], "kinds")


def test_one_process():
    redis = servers.Redis()
    nginx = servers.Nginx()
    agent = Agent("--pid", f"{redis.process.pid}", "--db-server-spans")
    run("curl", "-s", nginx.url + "/ok")
    redis.cli("SET", "a", "b")
    spans = agent.stop()
    equal(len(at_port(spans, nginx.port)), 0, "spans of others")
    equal({s.resource["process.pid"] for s in spans}, {redis.process.pid}, "processes")


def test_samplers():
    nginx = servers.Nginx()
    agent = Agent(env={"OTEL_TRACES_SAMPLER": "always_off"})
    load.http(nginx.port, 1, 20)
    equal(len(agent.stop()), 0, "spans with always_off")
    agent = Agent(env={"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"})
    load.http(nginx.port, 8, 500)
    found = at_port(agent.stop(), nginx.port, SERVER)
    assert 800 < len(found) < 1200, f"{len(found)} of 4000 at 0.25"
    assert len(select(found, {"spanloom.incomplete": True})) == 0
    # what is not sampled does not even reach the ring buffer, but for what the client sends
    unsampled = agent.ledger["kernel.unsampled"]
    assert unsampled >= 4000 - len(found) - 100, agent.ledger


def test_own_export_is_not_traced():
    """Nothing else happens: an export must not make the span that makes the next export."""
    agent = Agent()
    nginx = servers.Nginx()
    run("curl", "-s", nginx.url + "/ok")
    time.sleep(3)
    spans = [s for s in agent.stop() if s["server.port"] == agent.sink.port]
    equal(len(spans), 0, "spans of the collector's own traffic")
