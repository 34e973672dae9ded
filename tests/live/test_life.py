# SPDX-License-Identifier: Apache-2.0
"""The life of the agent: it starts, is killed, is cut off, and harms nobody."""

import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import harness
import kernel
import load
import servers
from agent import HOOKS, Agent, Sink, start
from faults import ECHO, Steady
from harness import SPANLOOM, Skip, at_best, end, equal, folder, free_port, run, spawn, wait_until
from spans import CLIENT, SERVER, at_port, select


def events(pid):
    """The probes that the process has made by their names, which outlive it."""
    path = Path("/sys/kernel/tracing/kprobe_events")
    lines = path.read_text().splitlines() if path.exists() else []
    return [line for line in lines if re.search(rf"_{pid}(?!\d)", line)]


def gone(objects, pid):
    """All that the process @pid, which has ended, had of BPF."""
    def left():
        return kernel.left_of(objects) or events(pid)
    wait_until(lambda: not left(), f"an empty kernel, not {left()}")


def test_killed_under_load_harms_nobody():
    nginx, redis, postgres = servers.Nginx(), servers.Redis(), servers.Postgres()
    agent = Agent()
    objects, pins = kernel.held_by(agent.pid), kernel.pins()
    assert {"prog", "map"} <= {kind for kind, _ in objects}, objects
    wrk = spawn(["wrk", "-t", "1", "-c", "32", "-d", "4s", "--timeout", "30s", nginx.url + "/ok"],
                stdout=subprocess.PIPE, text=True)
    bench = spawn(["redis-benchmark", "-p", redis.port, "-n", "200000", "-t", "get", "-q"],
                  stdout=subprocess.PIPE, text=True)
    pgbench = spawn([servers.postgres_bin() / "pgbench", "-h", "127.0.0.1", "-p", postgres.port,
                     "-U", "postgres", "-S", "-n", "-T", "4", "shop"],
                    stdout=subprocess.PIPE, text=True)
    wait_until(lambda: len(agent.sink.bodies) > 5, "spans")
    agent.process.kill()
    agent.process.wait()
    outputs = [child.communicate(timeout=60 * harness.PATIENCE)[0] for child in (wrk, bench, pgbench)]
    equal([child.returncode for child in (wrk, bench, pgbench)], [0, 0, 0],
          "exit status of the clients: " + "\n".join(outputs))
    assert not re.search(r"Socket errors|Non-2xx", outputs[0]), outputs[0]
    assert re.search(r"failed transactions: 0 ", outputs[2]), outputs[2]
    # With kprobes the names of events stay: test_events_of_killed_agents_go.
    wait_until(lambda: not kernel.left_of(objects), "the kernel to free what nobody holds")
    equal(kernel.pins() - pins, set(), "pins")


def test_nothing_is_left_after_a_clean_end():
    agent = Agent()
    objects, pins = kernel.held_by(agent.pid), kernel.pins()
    agent.stop(signal.SIGTERM)
    gone(objects, agent.pid)
    equal(kernel.pins() - pins, set(), "pins")


def test_events_of_killed_agents_go():
    """More of them than the kernel tells of in one read."""
    if HOOKS not in (None, "kprobe"):
        raise Skip(f"with hooks of the family {HOOKS} there are none")
    path = Path("/sys/kernel/tracing/kprobe_events")
    if not path.exists():
        raise Skip("no tracefs here")
    try:
        file = os.open(path, os.O_WRONLY | os.O_APPEND)
        for number in range(200):
            os.write(file, b"r:spanloom/left_%d_0 tcp_recvmsg\n" % number)
        os.close(file)
    except OSError as fault:
        raise Skip(f"{path}: {fault}") from None
    agent = Agent("--hooks", "kprobe")
    equal(events(0), [], "events of others")
    end(agent.process, signal.SIGKILL)
    left = events(agent.pid)
    assert left, "no event outlives the agent: then README need not say so"
    hits = Path("/sys/kernel/tracing/kprobe_profile")
    before = hits.read_text()
    load.http(servers.Nginx().port, 1, 20)
    equal(hits.read_text(), before, "how often events of nobody were hit")
    agent = Agent("--hooks", "kprobe")
    equal([event for event in left if event in path.read_text()], [],
          "events of the agent that was killed")
    agent.stop()
    equal(events(agent.pid), [], "events after a clean end")


def test_collector_down_for_10_seconds_loses_nothing():
    nginx = servers.Nginx()
    port = free_port()
    agent = Agent(sink=Sink(port))
    load.http(nginx.port, 4, 100)
    wait_until(lambda: len(at_port(agent.sink.spans(), nginx.port)) == 800, "the first spans")
    agent.sink.go_down()
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


def test_collector_that_says_try_again():
    nginx = servers.Nginx()
    agent = Agent()
    agent.sink.answers = [503, 429]
    load.http(nginx.port, 1, 50)
    wait_until(lambda: len(at_port(agent.sink.spans(), nginx.port)) == 100, "all spans", 60)
    agent.stop()


def test_collector_that_refuses():
    """A final refusal is counted; the rest goes on."""
    nginx = servers.Nginx()
    agent = Agent()
    agent.sink.answers = [400] * 1000
    load.http(nginx.port, 1, 50)
    wait_until(lambda: len(at_port(agent.sink.refused(), nginx.port)) == 100, "the refusals")
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
    load.http(nginx.port, 4, 500)  # a connection that stands still for a minute fails
    agent.send_signal(signal.SIGINT)
    equal(agent.wait(60 * harness.PATIENCE), 0, "exit status")
    assert "shutdown" in err.read_text() or "failed" in err.read_text(), err.read_text()
    end(deaf)


def test_ledger_sums_agree():
    """Traffic of all kinds, whole and broken; check_ledger() and the kernel's side."""
    nginx, redis, postgres = servers.Nginx(), servers.Redis(), servers.Postgres()
    closed = free_port()
    agent = Agent("--port", f"{nginx.port},{redis.port},{postgres.port},{closed}")
    load.http(nginx.port, 8, 100, pipeline=4)
    run("redis-benchmark", "-p", redis.port, "-n", "2000", "-P", "8", "-t", "get,set", "-q")
    postgres.pgbench("-n", "-c", "4", "-t", "50")
    run("curl", "-s", f"http://127.0.0.1:{closed}/", ok=None)
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
    equal(agent.process.wait(60 * harness.PATIENCE), 0, "exit status")
    assert time.monotonic() - begun > 0.9, time.monotonic() - begun


def held_up_ns(pid):
    """For so long it was ready, and others had the processors (Linux with CONFIG_SCHED_INFO)."""
    path = Path(f"/proc/{pid}/schedstat")
    return int(path.read_text().split()[1]) if path.exists() else 0


def test_first_span_soon():
    """The budget of a second is the bench's; but it is not several."""
    nginx = servers.Nginx(ECHO)
    client = Steady(nginx, 1)

    def attempt():
        begun = time.time_ns()
        agent = Agent()
        try:
            wait_until(lambda: at_port(agent.sink.spans(), nginx.port), "a span")
            waited = held_up_ns(agent.pid)
        finally:
            spans = agent.stop()
        took = min(span.start_ns for span in at_port(spans, nginx.port)) - begun
        assert took - waited < 5e9, \
            f"{took / 1e6:.0f} ms to the first traced request, {waited / 1e6:.0f} without a turn"
    at_best(attempt)
    client.stop()


def test_spans_are_visible_soon_at_one_request():
    nginx = servers.Nginx()
    agent = Agent()

    def attempt():
        before = len(at_port(agent.sink.spans(), nginx.port))
        time.sleep(0.5)
        run("curl", "-s", nginx.url + "/ok")
        wait_until(lambda: len(at_port(agent.sink.spans(), nginx.port)) == before + 2,
                   "the spans of one request", 1.2)
    at_best(attempt)
    agent.stop()


def test_only_the_chosen_processes():
    nginx, other = servers.Nginx(), servers.Nginx()
    agent = Agent("--exe", "*/nginx", "--port", f"{nginx.port}")
    for server in (nginx, other):
        run("curl", "-s", server.url + "/ok")
    spans = agent.stop()
    equal([s.kind for s in at_port(spans, nginx.port)], [SERVER], "kinds at the chosen port")
    equal(len(at_port(spans, other.port)), 0, "spans of the other")


def test_programs_that_do_not_run():
    """A slip of the pen would trace nothing in silence."""
    nginx = servers.Nginx()
    for glob, said in (("*/nginx", False), ("*/no-such-program", True)):
        agent = Agent("--exe", glob, "--port", str(nginx.port))
        equal("no program that runs now is chosen" in agent.stderr.read_text(), said, glob)
        agent.stop()


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


def test_one_process_by_its_program():
    """Of --pid and --exe both have to choose it; what it starts later is looked at, too."""
    redis, other = servers.Redis(), servers.Redis()
    script = "while read -r key; do redis-cli -p $0 -r 1000 -i 0.1 GET \"$key\"; done"
    shell = spawn(["sh", "-c", script, redis.port], stdin=subprocess.PIPE, text=True)
    note = "no process of --pid is chosen"
    agent = Agent("--pid", f"{redis.process.pid},{shell.pid}", "--exe", "redis-*",
                  "--db-server-spans")
    assert note not in agent.stderr.read_text(), agent.stderr.read_text()
    for server in (redis, other):
        server.cli("SET", "a", "b")
    print("a", file=shell.stdin, flush=True)
    wait_until(lambda: select(agent.sink.spans(), {"server.port": redis.port}, CLIENT),
               "the call of what the shell has started")
    spans = agent.stop()
    equal(len(at_port(spans, other.port)), 0, "spans of others")
    equal({s.name for s in at_port(spans, redis.port, CLIENT)}, {"GET"}, "calls")
    equal({s.resource["process.pid"] for s in at_port(spans, redis.port, SERVER)},
          {redis.process.pid}, "processes")
    agent = Agent("--pid", str(shell.pid), "--exe", "redis-*")
    assert note in agent.stderr.read_text(), agent.stderr.read_text()
    agent.stop()


def test_one_process_beside_an_excluded_program():
    """What is not excluded is not yet chosen."""
    redis, nginx = servers.Redis(), servers.Nginx()
    for option in ("--exclude-exe", "--inject-exclude"):
        agent = Agent("--pid", str(redis.process.pid), option, "*/no-such-program",
                      "--db-server-spans")
        run("curl", "-s", nginx.url + "/ok")
        redis.cli("SET", "a", "b")
        spans = agent.stop()
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


def test_socket_that_an_excluded_program_uses_too():
    """What that reads and writes there is missing, and nothing else takes its place."""
    script = ("exec 3<$0; while read -r go <&3; do for i in 1 2 3; do read -r line; done; "
              "printf 'HTTP/1.1 204 No Content\\r\\n\\r\\n'; done")
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    turns = folder() / "turns"
    os.mkfifo(turns)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        served = listener.accept()[0]
    spawn(["dash", "-c", script, turns], stdin=served, stdout=served)
    agent = Agent("--exclude-exe", "*/dash", "--port", str(port))
    with client, served, open(turns, "w", encoding="ascii") as turn:
        for number in range(12):
            client.sendall(b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n" % number)
            served.recv(4096)
            if number % 4 == 2:
                print("go", file=turn, flush=True)
                client.sendall(b"a\nb\nc\n")
            else:
                client.sendall(b"GET /a")
                served.recv(4096)
                served.sendall(answer)
            client.recv(4096)
    spans = [span for span in agent.stop() if span.kind == SERVER]
    seen = [(s["url.path"], s["http.response.status_code"], s["spanloom.incomplete"])
            for s in spans]
    equal(seen, [(f"/{n}", *((None, True) if n % 4 >= 2 else (200, None)))
                 for n in range(12)], "requests with their responses")
