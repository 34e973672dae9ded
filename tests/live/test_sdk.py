# SPDX-License-Identifier: Apache-2.0
"""Programs with an OpenTelemetry SDK: their spans and ours are one tree without doubles.

client -> front, which has an SDK -> back, which has none.  The SDK exports to one collector,
spanloom to another; what both got is put together.
"""

import json
import os
import shutil
import sys
import time

import servers
from agent import Agent, Sink
from harness import (ROOT, SPANLOOM, Skip, equal, fetch, folder, free_port, in_threads,
                     listening, python_with, run, spawn, wait_until)
from spans import CLIENT, SERVER

NODE_PACKAGES = ROOT / ".output" / "node"
ROUNDS = 20
FIRST = time.time_ns() << 64  # trace ids: others may run this test at the same time
CALLER = "00000000000000aa"  # the span that each round names as its parent

PYTHON = """
import os, sys
from wsgiref.simple_server import WSGIRequestHandler, make_server
import urllib3
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
port, back, collector = map(int, sys.argv[1:4])
provider = TracerProvider()
if collector:
    exporter = OTLPSpanExporter(endpoint=f"http://127.0.0.1:{collector}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=50))
trace.set_tracer_provider(provider)
URLLib3Instrumentor().instrument()
pool = urllib3.PoolManager()
def app(environ, start_response):
    name = environ["PATH_INFO"].rsplit("/", 1)[1]
    if name == "exec":
        os.execv(sys.executable, [sys.executable, sys.argv[4], str(port), str(back)])
    body = pool.request("GET", f"http://127.0.0.1:{back}/back/{name}").data
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
class Quiet(WSGIRequestHandler):
    def log_message(self, *_): pass
make_server("127.0.0.1", port, OpenTelemetryMiddleware(app), handler_class=Quiet).serve_forever()
"""

PLAIN = servers.SERVING + """
import urllib.request
port, back = map(int, sys.argv[1:3])
class Handler(Answers):
    def do_GET(self):
        body = b"ok"
        if back:
            url = f"http://127.0.0.1:{back}/back/" + self.path.rsplit("/", 1)[1]
            request = urllib.request.Request(url)
            if "traceparent" in self.headers:
                request.add_header("traceparent", self.headers["traceparent"])
            body = urllib.request.urlopen(request).read()
        self.answer(body)
serve(Handler, port)
"""

NODE = """
const { NodeSDK } = require('@opentelemetry/sdk-node');
const { HttpInstrumentation } = require('@opentelemetry/instrumentation-http');
const { OTLPTraceExporter } = require('@opentelemetry/exporter-trace-otlp-proto');
const [port, back, collector] = process.argv.slice(2).map(Number);
const url = `http://127.0.0.1:${collector}/v1/traces`;
new NodeSDK({ traceExporter: new OTLPTraceExporter({ url }),
	instrumentations: [new HttpInstrumentation()] }).start();
const http = require('http');
http.createServer((request, response) => {
	const path = '/back/' + request.url.split('/').pop();
	http.get({ host: '127.0.0.1', port: back, path }, (answer) => {
		answer.resume();
		answer.on('end', () => response.end('ok'));
	});
}).listen(port, '127.0.0.1').keepAliveTimeout = 0;
"""


def sdk_python():
    """An interpreter with the SDK."""
    return python_with(
        "opentelemetry.instrumentation.wsgi, opentelemetry.instrumentation.urllib3, urllib3, "
        "opentelemetry.sdk.trace, opentelemetry.exporter.otlp.proto.http.trace_exporter",
        "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http", "urllib3",
        "opentelemetry-instrumentation-wsgi", "opentelemetry-instrumentation-urllib3")


def sdk_node():
    """The folder that has the SDK's modules, installed once."""
    if not shutil.which("node") or not shutil.which("npm"):
        raise Skip("no node and npm here (deploy/deps.sh)")
    NODE_PACKAGES.mkdir(exist_ok=True)
    modules = NODE_PACKAGES / "node_modules"
    if not (modules / "@opentelemetry" / "sdk-node").exists():
        fetch("packages of Node", [
            "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1",
            "--prefix", NODE_PACKAGES, "@opentelemetry/sdk-node",
            "@opentelemetry/instrumentation-http", "@opentelemetry/exporter-trace-otlp-proto"])
    return modules


def program(name, text):
    path = folder() / name
    path.write_text(text)
    return path


def started(process, port):
    wait_until(lambda: listening(port), "the program to listen", 30)
    return process, port


def plain(back=0):
    port = free_port()
    return started(spawn([sys.executable, program("plain.py", PLAIN), port, back],
                         log="plain.log"), port)


def python_front(back, collector):
    port = free_port()
    return started(spawn([sdk_python(), program("front.py", PYTHON), port, back, collector,
                          program("plain.py", PLAIN)], log="front.log"), port)


def node_front(back, collector):
    port = free_port()
    environ = dict(os.environ, NODE_PATH=str(sdk_node()), OTEL_BSP_SCHEDULE_DELAY="50")
    return started(spawn(["node", program("front.js", NODE), port, back, collector],
                         log="front.log", env=environ), port)


def status_of(port, name, *options):
    return run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", *options,
               f"http://127.0.0.1:{port}/front/{name}", ok=None)


def ask(*request):
    equal(status_of(*request), "200", "status")


def find_out(agent, evidence, process, port, *options):
    """Asks until the log tells of the process; then it is listed, too."""
    def look():
        ask(port, "warm", *options)
        return f" sdk: pid={process.pid} " in agent.stderr.read_text()
    wait_until(look, f"process {process.pid} to be found out", 20)
    assert evidence in agent.stderr.read_text(), evidence
    assert evidence in [entry["evidence"] for entry in listed(process)], listed(process)
    assert evidence in run(SPANLOOM, "probes"), "the table of spanloom probes"


def listed(process):
    """Its entries: another agent of this machine may have found it out, too."""
    entries = json.loads(run(SPANLOOM, "probes", "--json"))["sdk_processes"]
    return [entry for entry in entries if entry["pid"] == process.pid]


def ask_rounds(port, first=1, step=1):
    """Each round is a trace, as if its caller had named a span."""
    for number in range(first, ROUNDS + 1, step):
        ask(port, number, "-H", f"traceparent: 00-{FIRST + number:032x}-{CALLER}-01")


def number_of(span):
    """The round that the span is of; None: no round of this test."""
    number = int(span.trace_id, 16) - FIRST
    return number if 1 <= number <= ROUNDS else None


def trees(spans):
    """Of each trace of ask_rounds(): (depth below the caller, kind, whose) of its spans."""
    by_id = {span.span_id: span for span in spans}

    def depth(span):
        if span.parent_id == CALLER:
            return 1
        assert span.parent_id in by_id, f"{span} has no parent"
        return 1 + depth(by_id[span.parent_id])
    found = {number: [] for number in range(1, ROUNDS + 1)}
    for span in spans:
        if number_of(span):
            whose = "ours" if span.scope.startswith("spanloom/") else "sdk"
            found[number_of(span)].append((depth(span), span.kind, whose))
    return [sorted(tree) for tree in found.values()]


def expect_trees(spans, expected):
    for tree in trees(spans):
        equal(tree, expected, "spans of a trace")


def sdk_spans(collector):
    """All that the SDK makes of ask_rounds()."""
    def whole():
        spans = [span for span in collector.spans() if number_of(span)]
        return spans if len(spans) == 2 * ROUNDS else None
    return wait_until(whole, "the spans of the SDK")


def check_sdk(front, *options):
    """Runs the rounds; (agent, all spans)."""
    agent, collector = Agent("--exclude-exe", "curl", *options), Sink()
    process, port = front(plain()[1], collector.port)
    find_out(agent, f"exports OTLP traces to 127.0.0.1:{collector.port}", process, port)
    assert ("ignore" not in options) in [entry["adopted"] for entry in listed(process)]
    ask_rounds(port)
    sdk = sdk_spans(collector)
    return agent, agent.stop() + sdk


def test_python_is_left_to_its_sdk():
    agent, spans = check_sdk(python_front)
    expect_trees(spans, [(1, SERVER, "sdk"), (2, CLIENT, "sdk"), (3, SERVER, "ours")])
    assert agent.ledger["flow.requests.sdk"] >= 2 * ROUNDS, agent.ledger


def test_python_is_traced_as_well():
    agent, spans = check_sdk(python_front, "--sdk", "ignore")
    expect_trees(spans, [(1, SERVER, "ours"), (1, SERVER, "sdk"), (2, CLIENT, "sdk"),
                         (3, CLIENT, "ours"), (4, SERVER, "ours")])
    equal(agent.ledger["flow.requests.sdk"], 0, "left to the SDK")


def test_node_is_left_to_its_sdk():
    agent, spans = check_sdk(node_front)
    expect_trees(spans, [(1, SERVER, "sdk"), (2, CLIENT, "sdk"), (3, SERVER, "ours")])
    assert agent.ledger["flow.requests.sdk"] >= 2 * ROUNDS, agent.ledger


def test_headers_of_its_own_are_evidence():
    """The exports are not seen; what the program sends on is."""
    agent = Agent("--exclude-exe", "curl")
    process, port = python_front(plain()[1], 0)
    find_out(agent, "sends traceparent headers of its own", process, port, "-H",
             f"traceparent: 00-{'7' * 32}-{CALLER}-01")
    ask_rounds(port)
    spans = [span for span in agent.stop() if number_of(span)]
    equal(len(spans), ROUNDS, "spans of the back")
    assert all(span.kind == SERVER and span.parent_id != CALLER for span in spans), spans


def test_next_program_of_the_process_is_traced():
    agent, collector = Agent("--exclude-exe", "curl"), Sink()
    process, port = python_front(plain()[1], collector.port)
    find_out(agent, f"exports OTLP traces to 127.0.0.1:{collector.port}", process, port)
    run("curl", "-s", f"http://127.0.0.1:{port}/exec", ok=None)
    wait_until(lambda: status_of(port, "first") == "200", "the next program to answer")
    wait_until(lambda: not listed(process), "the list to forget the process")
    ask_rounds(port)
    expect_trees(agent.stop(), [(1, SERVER, "ours"), (2, CLIENT, "ours"), (3, SERVER, "ours")])


def test_forwarded_header_is_no_sdk():
    """The header names neither the parent of the program's call nor of the server behind it."""
    agent = Agent("--exclude-exe", "curl")
    process, port = plain(plain()[1])
    ask_rounds(port)
    equal(listed(process), [], "list")
    expect_trees(agent.stop(), [(1, SERVER, "ours"), (2, CLIENT, "ours"), (3, SERVER, "ours")])


def test_header_that_nginx_forwards():
    """Of many requests at once the header tells whose call is whose."""
    port = plain()[1]
    proxy = servers.Nginx(f"location /front/ {{ proxy_pass http://127.0.0.1:{port}; }}").port
    agent = Agent("--exclude-exe", "curl")
    in_threads(lambda index: ask_rounds(proxy, index + 1, 8), 8)
    expect_trees(agent.stop(), [(1, SERVER, "ours"), (2, CLIENT, "ours"), (3, SERVER, "ours")])
