# SPDX-License-Identifier: Apache-2.0
"""What leaves the host is OTLP, by the judgement of others' code."""

import collections
import json
import os
import shutil
import signal
import subprocess
import time

import load
import servers
from agent import Agent, check_ledger, parse_ledger, start
from harness import (ROOT, SPANLOOM, Skip, end, equal, fetch, folder, free_port, listening,
                     python_with, run, spawn, takes, wait_until)
from spans import CLIENT, SERVER, at_port

LIVE = ROOT / "tests" / "live"


def official_python():
    """An interpreter with the package opentelemetry-proto."""
    return python_with("opentelemetry.proto.collector.trace.v1.trace_service_pb2",
                       "opentelemetry-proto")


class OfficialSink:
    """A collector that reads with the official package: otlp_sink.py in its interpreter."""

    def __init__(self, mode="ok", *options, scheme="http"):
        self.out = folder() / f"sink-{mode}.jsonl"
        self.process = spawn([official_python(), LIVE / "otlp_sink.py", "--mode", mode, "--out",
                              self.out, *options], stdout=subprocess.PIPE, text=True)
        self.url = f"{scheme}://127.0.0.1:{int(self.process.stdout.readline())}"

    def seen(self):
        return [json.loads(line) for line in self.out.read_text().splitlines()]


def agent_to(sink, *options, seconds=30, traffic=None, **environ):
    """Runs spanloom against @sink while @traffic() goes on; its ledger."""
    err = folder() / "agent-to-sink.err"
    environ = dict(os.environ, OTEL_BSP_SCHEDULE_DELAY="200", **environ)
    process = start([SPANLOOM, "run", "--exporter", "otlp", "--endpoint", sink.url, *options],
                    environ, folder() / "agent-to-sink.out", err)
    traffic()
    time.sleep(0.5)
    equal(end(process, signal.SIGINT, seconds), 0, "exit status of spanloom")
    ledger = parse_ledger(err.read_text())
    check_ledger(err.read_text(), ledger)
    return ledger


def test_official_package_reads_every_field():
    binary = ROOT / ".output" / "tests" / "test_otlp"
    assert binary.exists(), f"{binary} is not built (make unit)"
    dump = folder() / "dump"
    run(binary, env=dict(os.environ, SPANLOOM_OTLP_DUMP=str(dump)))
    run(official_python(), LIVE / "check_proto.py", dump)


def test_official_package_reads_the_same_of_real_traffic():
    sink = OfficialSink()
    nginx, redis, postgres = servers.Nginx(), servers.Redis(), servers.Postgres()

    def traffic():
        load.http(nginx.port, 4, 50)
        run("curl", "-s", nginx.url + "/missing?q=%C3%A9")
        redis.cli("SET", "a", "b")
        postgres.psql("SELECT * FROM nowhere", ok=(1,))
    ledger = agent_to(sink, "--port", f"{nginx.port},{redis.port},{postgres.port}",
                      traffic=traffic)
    seen = sink.seen()
    equal(len(seen), ledger["otlp.exported"], "spans that the package read")
    mine = [s for s in seen if s["attributes"].get("server.port") == nginx.port]
    equal(sorted(s["kind"] for s in mine), [SERVER] * 201 + [CLIENT] * 201, "kinds")
    assert any(s["attributes"].get("db.query.text") == "SET a ?" for s in seen), "Redis"
    assert any(s["attributes"].get("error.type") == "42P01" for s in seen), "PostgreSQL"


def test_collectors_that_misbehave():
    """Whatever they do, spanloom goes on, ends in time and accounts for each span."""
    for mode, entries in (("503", ("failed", "shutdown")), ("reset", ("failed", "shutdown")),
                          ("garbage", ("failed", "refused", "shutdown")),
                          ("partial", ("rejected",)), ("huge", ("exported", "refused", "failed", "shutdown")),
                          ("slow", ("failed", "shutdown"))):
        sink, nginx = OfficialSink(mode), servers.Nginx()
        ledger = agent_to(sink, "--port", f"{nginx.port}",
                          traffic=lambda port=nginx.port: load.http(port, 2, 50))
        assert any(ledger[f"otlp.{entry}"] for entry in entries), f"{mode}: {ledger}"
        end(sink.process)


def test_collector_behind_tls():
    cert, key = folder() / "cert.pem", folder() / "key.pem"
    if not shutil.which("openssl"):
        raise Skip("no openssl here to make a certificate with")
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert,
        "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    sink = OfficialSink("ok", "--cert", cert, "--key", key, scheme="https")
    nginx = servers.Nginx()
    ledger = agent_to(sink, "--port", f"{nginx.port}",
                      traffic=lambda: load.http(nginx.port, 1, 20),
                      OTEL_EXPORTER_OTLP_CERTIFICATE=str(cert))
    assert ledger["otlp.exported"] >= 40, ledger


Address = collections.namedtuple("Address", "url")

COLLECTOR_CONF = """
receivers:
  otlp:
    protocols:
      http:
        endpoint: 127.0.0.1:{port}
exporters:
  debug:
    verbosity: detailed
    sampling_initial: 100000
service:
  telemetry:
    metrics:
      level: none
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [debug]
"""


def collector():
    """The OpenTelemetry Collector, built once from its published Go modules."""
    binary = ROOT / ".output" / "otelcol"
    source = ROOT / "tests" / "live" / "collector"
    if binary.exists() and binary.stat().st_mtime > (source / "main.go").stat().st_mtime:
        return binary
    go = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    if not go:
        raise Skip("no Go toolchain here to build the OpenTelemetry Collector with")
    environ = dict(os.environ, CGO_ENABLED="0", GOFLAGS="-mod=readonly -trimpath")
    fetch("modules of the OpenTelemetry Collector", [go, "mod", "download"], env=environ, cwd=source)
    run(go, "build", "-ldflags=-s -w", "-o", binary, ".", env=environ, cwd=source, timeout=400)
    return binary


@takes(900)
def test_opentelemetry_collector_takes_it():
    binary = collector()
    port = free_port()
    conf, log = folder() / "collector.yaml", folder() / "collector.log"
    conf.write_text(COLLECTOR_CONF.format(port=port))
    process = spawn([binary, "--config", f"file:{conf}"], log="collector.log")
    wait_until(lambda: listening(port), "the collector to listen", 60)
    nginx, redis = servers.Nginx(), servers.Redis()

    def traffic():
        load.http(nginx.port, 2, 100)
        redis.cli("SET", "a", "secret")
    agent_to(Address(f"http://127.0.0.1:{port}"), "--exclude-exe", "*/otelcol", traffic=traffic)
    wait_until(lambda: log.read_text().count("-> url.path: Str(/ok)") >= 200,
               "200 server spans in the collector's output")
    text = log.read_text()
    assert "SET a ?" in text and "secret" not in text, "Redis span"
    assert "Str(nginx)" in text or "unknown_service:nginx" in text, "service"
    end(process)


def test_compression_and_headers():
    nginx = servers.Nginx()
    agent = Agent(env={"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
                       "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=seven,authorization=Basic%20abc"})
    load.http(nginx.port, 1, 20)
    equal(len(at_port(agent.stop(), nginx.port)), 40, "spans")
    for headers in agent.sink.headers:
        low = {key.lower(): value for key, value in headers.items()}
        equal(low["path"], "/v1/traces", "path")
        equal(low["content-type"], "application/x-protobuf", "content type")
        equal(low["content-encoding"], "gzip", "encoding")
        equal(low["x-tenant"], "seven", "header")
        equal(low["authorization"], "Basic abc", "header")
