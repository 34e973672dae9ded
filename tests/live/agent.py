# SPDX-License-Identifier: Apache-2.0
"""spanloom under test and the collector it reports to."""

import contextlib
import gzip
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import harness
import spans as otlp
from harness import SPANLOOM, Skip, defer, equal, folder, spawn, wait_until

LEDGER_LINE = re.compile(r"^\s*([a-z][a-z0-9_.]*)\s+(\d+)$")
_serial = itertools.count(1)
RING = ("--ring-size", "32M")  # while it has no turn on a busy machine nothing may be lost
HOOKS = os.environ.get("SPANLOOM_TEST_HOOKS")  # the family to use, whatever the kernel is best at
TAKEN = re.compile("another spanloom|another program .* takes this host's sockets")
READY = re.compile(r"^info run: tracing ", re.MULTILINE)


def need(name):
    """Skips the test where the agent finds at its start that the kernel has not that feature."""
    for feature in json.loads(harness.run(SPANLOOM, "check", "--json"))["features"]:
        if feature["name"] == name and not feature["on"]:
            raise Skip(f"no {name} here: {feature['detail']}")


class Sink(ThreadingHTTPServer):
    """A collector: keeps the bodies, answers what it is told to."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port=0):
        self.bodies, self.headers, self.answers, self.delay = [], [], [], 0
        self.others = []  # bodies that were not taken
        self.looked = 0  # bodies that saw() has looked at
        self.connections = {}  # socket -> is an answer owed there?
        super().__init__(("127.0.0.1", port), SinkHandler)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        defer(self.close)

    @property
    def port(self):
        return self.server_address[1]

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def close(self):
        self.shutdown()
        self.server_close()

    def go_down(self):
        """No new connection, and none that was there.  What it has answered has left."""
        self.close()
        wait_until(lambda: not any(list(self.connections.values())), "answers to leave")
        for connection in list(self.connections):
            with contextlib.suppress(OSError):  # ended meanwhile
                connection.shutdown(socket.SHUT_RDWR)

    def spans(self):
        """All spans that came; a body that is no OTLP fails here."""
        return [span for body in list(self.bodies) for span in otlp.request(body)]


    def refused(self):
        """Spans that were not taken, as often as they came."""
        return [span for body in list(self.others) for span in otlp.request(body)]

    def saw(self, text):
        """Is it in a body that came since the last look?"""
        new = self.bodies[self.looked:]
        self.looked += len(new)
        return any(text in body for body in new)


class SinkHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle(self):
        self.server.connections[self.connection] = False
        try:
            super().handle()
        finally:
            del self.server.connections[self.connection]

    def do_POST(self):
        self.server.connections[self.connection] = True
        try:
            self.take()
        finally:
            self.server.connections[self.connection] = False

    def take(self):
        body = self.chunks() if "chunked" in self.headers.get("Transfer-Encoding", "") else \
            self.rfile.read(int(self.headers["Content-Length"]))
        if len(body) < int(self.headers.get("Content-Length", 0)):
            return  # who sent it was killed
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        time.sleep(self.server.delay)
        status = self.server.answers.pop(0) if self.server.answers else 200
        if status == 200:
            self.server.headers.append(dict(self.headers, path=self.path))
            self.server.bodies.append(body)
        else:
            self.server.others.append(body)
        self.send_response(status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def chunks(self):
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, *_):
        pass


def start(command, environ, stdout, stderr):
    """Starts spanloom and waits until it has attached.  One of them runs on a host: another
    that is just ending is waited for."""
    harness.show_on_failure(stderr)
    if HOOKS:
        command = [*command, "--hooks", HOOKS]
    limit = time.monotonic() + 60 * harness.PATIENCE
    while True:
        with open(stdout, "wb") as out, open(stderr, "wb") as err:
            process = spawn(command, stdout=out, stderr=err, env=environ)
        wait_until(lambda: process.poll() is not None or READY.search(stderr.read_text()),
                   "spanloom to attach", 60)
        if process.poll() is None or "info run: tracing" in stderr.read_text():
            return process
        assert TAKEN.search(stderr.read_text()) and time.monotonic() < limit, \
            f"spanloom did not start (exit status {process.returncode})"
        time.sleep(0.3)


class Agent:
    """A running spanloom, @within a namespace or the test's own.  stop() ends it as a user would
    and reads what it said.  @ring: () is the ring that users have."""

    def __init__(self, *options, sink=None, env=None, console=False, within=None, ring=RING):
        assert SPANLOOM.exists(), f"{SPANLOOM} is not built (make)"
        self.sink = None if console else sink or Sink()
        name = f"spanloom{next(_serial)}"
        self.stdout, self.stderr = folder() / f"{name}.out", folder() / f"{name}.err"
        command = [SPANLOOM, "run", *(["--exporter", "console", "--console", "json"] if console
                                      else ["--exporter", "otlp", "--endpoint", self.sink.url])]
        command = within.command(*command) if within else command
        environ = dict(os.environ, OTEL_BSP_SCHEDULE_DELAY="200", OTEL_BSP_MAX_QUEUE_SIZE="500000",
                       **(env or {}))
        self.status, self.ledger, self.spans = None, Counter(), []
        self.process = start([*command, *ring, *options], environ, self.stdout, self.stderr)

    @property
    def pid(self):
        return self.process.pid

    def stop(self, sig=signal.SIGINT, seconds=60):
        """Ends it; its spans.  The ledger is checked whatever the test is about."""
        self.process.send_signal(sig)
        try:
            self.status = self.process.wait(seconds * harness.PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"spanloom did not end within {seconds} s of {sig}") from None
        equal(self.status, 0, "exit status of spanloom")
        self.ledger = parse_ledger(self.stderr.read_text())
        check_ledger(self.stderr.read_text(), self.ledger)
        self.spans = self.sink.spans() if self.sink else []
        if self.sink:
            equal(len(self.spans), self.ledger["otlp.exported"], "spans at the collector")
            check_spans(self.spans)
            if len(self.spans) == self.ledger["flow.spans"]:
                check_causes(self.spans, self.ledger)
        return self.spans


def parse_ledger(text):
    """Counts that are 0 are not printed, and 0 here."""
    found = (LEDGER_LINE.match(line) for line in text.splitlines())
    return Counter({match[1]: int(match[2]) for match in found if match})


def check_ledger(text, ledger):
    """Each sum agrees: as spanloom says, and as user/flow/ledger.h has it."""
    assert re.search(r"sum flow.requests agrees", text), "no ledger at the end"
    assert "is off by" not in text, "the sums of the ledger do not agree"
    equal(ledger["flow.records"], sum(ledger[f"flow.records.{kind}"] for kind in (
        "conn", "data", "close", "process", "context", "malformed")), "records")
    equal(ledger["flow.records.malformed"], 0, "malformed records")
    equal(ledger["kernel.records"], ledger["flow.records"], "records sent and received")
    equal(ledger["flow.spans.root"], sum(count for name, count in ledger.items() if
                                         name.startswith("flow.spans.root.")), "roots by cause")
    equal(ledger["flow.spans"], sum(count for name, count in ledger.items() if name.startswith(
        ("otlp.", "console."))), "spans by what became of them")


def check_causes(spans, ledger):
    """What has no parent says why, and is counted so: all but the calls of those who serve nobody,
    requests that come in, and what was called by somebody that gives no span."""
    roots = [span for span in spans if span["spanloom.link"] == "none"]
    causes = Counter(span["spanloom.root"] for span in spans if span["spanloom.root"])
    equal(len(roots), ledger["flow.spans.root"], "roots")
    equal(causes, Counter(span["spanloom.root"] for span in roots if span["spanloom.root"]),
          "causes of roots")
    for name in ("request", "parent_gone", "idle"):
        causes[name] = ledger["flow.spans.root." + name]
    equal(+causes, +Counter({name.rpartition(".")[2]: count for name, count in ledger.items() if
                             name.startswith("flow.spans.root.")}), "roots by cause")
    equal(sum(causes.values()), len(roots), "roots that have a cause")


def check_spans(spans):
    """What holds for every span, whatever it is about; of very many, the first are read."""
    for span in spans[:20000]:
        assert len(span.trace_id) == 32 and int(span.trace_id, 16), span
        assert len(span.span_id) == 16 and int(span.span_id, 16), span
        assert span.name and span.kind in (otlp.SERVER, otlp.CLIENT), span
        assert 0 < span.start_ns <= span.end_ns, span
        assert span.status in (otlp.UNSET, otlp.ERROR), span
        assert (span.status == otlp.ERROR) == (span["error.type"] is not None), span
        assert span.parent_id or span["spanloom.link"] == "none", span
        assert span.resource.get("service.name") and span.resource.get("process.pid"), span
    ids = [span.span_id for span in spans]
    equal(len(ids), len(set(ids)), "different span ids")


def processor_seconds(pid):
    """User and system time of the process so far."""
    stat = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
