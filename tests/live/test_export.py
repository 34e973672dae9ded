# SPDX-License-Identifier: Apache-2.0
"""What leaves the host is OTLP, by the judgement of others' code."""

import os
import shutil
import subprocess
import sys
import time

import load
import servers
from agent import Agent
from harness import (ROOT, SPANLOOM, VENV, Skip, end, equal, folder, free_port, listening, run,
                     spawn, takes, wait_until)
from spans import at_port

OFFICIAL = """
import sys
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

def unknown(message):
    if hasattr(message, "UnknownFields") and len(message.UnknownFields()):
        return True
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        items = [value] if not hasattr(value, "__len__") else value
        if any(unknown(item) for item in items):
            return True
    return False

for path in sys.argv[1:]:
    request = ExportTraceServiceRequest()
    request.ParseFromString(open(path, "rb").read())
    for group in request.resource_spans:
        for scope in group.scope_spans:
            for span in scope.spans:
                print(span.trace_id.hex(), span.span_id.hex(), span.kind,
                      span.start_time_unix_nano, span.end_time_unix_nano, span.name, sep="|")
"""


def official_python():
    """An interpreter with the package opentelemetry-proto, installed once."""
    python = VENV / "bin" / "python"
    package = [python, "-c", "import opentelemetry.proto.collector.trace.v1.trace_service_pb2"]
    if python.exists() and subprocess.run(package, check=False, capture_output=True).returncode == 0:
        return python
    run(sys.executable, "-m", "venv", VENV, timeout=60)
    done = subprocess.run([python, "-m", "pip", "-q", "--disable-pip-version-check", "install",
                           "opentelemetry-proto"], check=False, capture_output=True, text=True,
                          timeout=120)
    assert done.returncode == 0, f"pip cannot install opentelemetry-proto: {done.stderr[-600:]}"
    return python


@takes(200)
def test_official_package_reads_the_same():
    python = official_python()
    nginx, redis, postgres = servers.Nginx(), servers.Redis(), servers.Postgres()
    agent = Agent()
    load.http(nginx.port, 4, 50)
    run("curl", "-s", nginx.url + "/missing?q=%C3%A9")
    redis.cli("SET", "a", "b")
    postgres.psql("SELECT * FROM nowhere", ok=(1,))
    spans = agent.stop()
    paths = []
    for number, body in enumerate(agent.sink.bodies):
        paths.append(folder() / f"body{number}")
        paths[-1].write_bytes(body)
    lines = run(python, "-c", OFFICIAL, *paths).splitlines()
    ours = [f"{s.trace_id}|{s.span_id}|{s.kind}|{s.start_ns}|{s.end_ns}|{s.name}" for s in spans]
    equal(sorted(lines), sorted(ours), "spans as the official package reads them")
    assert len(at_port(spans, nginx.port)) >= 402, len(spans)


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
    done = subprocess.run([go, "build", "-ldflags=-s -w", "-o", binary, "."], env=environ,
                          cwd=source, check=False, timeout=280,
                          capture_output=True, text=True)
    if done.returncode != 0 and "proxy" in done.stderr:
        raise Skip("the Go module proxy does not give the OpenTelemetry Collector: "
                   + done.stderr.strip().splitlines()[-1])
    equal(done.returncode, 0, "exit status of go build: " + done.stderr[-600:])
    return binary


@takes(300)
def test_opentelemetry_collector_takes_it():
    binary = collector()
    port = free_port()
    conf, log = folder() / "collector.yaml", folder() / "collector.log"
    conf.write_text(COLLECTOR_CONF.format(port=port))
    process = spawn([binary, "--config", f"file:{conf}"], log="collector.log")
    wait_until(lambda: listening(port), "the collector to listen", 20)
    nginx, redis = servers.Nginx(), servers.Redis()
    err = folder() / "agent.err"
    with open(err, "wb") as out:
        agent = spawn([SPANLOOM, "run", "--exporter", "otlp", "--endpoint",
                       f"http://127.0.0.1:{port}", "--exclude-exe", "*/otelcol"], stderr=out)
    time.sleep(1.5)
    load.http(nginx.port, 2, 100)
    redis.cli("SET", "a", "secret")
    equal(end(agent, 2, 20), 0, "exit status of spanloom: " + err.read_text())
    text = ""
    wait_until(lambda: log.read_text().count("-> url.path: Str(/ok)") >= 200,
               "200 server spans in the collector's output", 5)
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
