# SPDX-License-Identifier: Apache-2.0
"""HTTP spans told exactly: attributes, status, redaction, trace context, names."""

import os
import socket
import time

import servers
from agent import Agent
from harness import equal, run
from spans import CLIENT, ERROR, SERVER, UNSET, at_port, http_pair, one


# ---- attributes -----------------------------------------------------------------------


def test_attributes_of_both_sides():
    nginx = servers.Nginx()
    agent = Agent()
    before = time.time_ns()
    run("curl", "-s", "-A", "probe/1", f"{nginx.url}/ok?b=1&sig=secret")
    after = time.time_ns()
    spans = agent.stop()
    server = one(at_port(spans, nginx.port, SERVER))
    client = one(at_port(spans, nginx.port, CLIENT))
    for span in (server, client):
        assert before <= span.start_ns <= span.end_ns <= after, (before, span, after)
        equal(span.status, UNSET, "status")
        equal(span.scope, "spanloom/http1", "scope")
        equal(span.schema_url, "https://opentelemetry.io/schemas/1.44.0", "schema")
    port = server.attributes.pop("network.peer.port")
    assert 1024 <= port < 65536, port
    server.attributes.pop("http.route", None)
    server.attributes.pop("spanloom.route.source", None)
    equal(server.attributes, {
        "http.request.method": "GET", "url.path": "/ok", "url.query": "b=1&sig=REDACTED",
        "url.scheme": "http", "server.address": "127.0.0.1", "server.port": nginx.port,
        "client.address": "127.0.0.1", "network.peer.address": "127.0.0.1",
        "network.protocol.version": "1.1", "http.response.status_code": 200,
        "user_agent.original": "probe/1", "spanloom.link": "peer"}, "attributes of the server")
    equal(client.attributes, {
        "http.request.method": "GET", "url.full": f"{nginx.url}/ok?b=1&sig=REDACTED",
        "server.address": "127.0.0.1", "server.port": nginx.port,
        "network.peer.address": "127.0.0.1", "network.peer.port": nginx.port,
        "network.protocol.version": "1.1", "http.response.status_code": 200,
        "spanloom.link": "none"}, "attributes of the client")
    equal(server.resource["service.name"], "unknown_service:nginx", "service of the server")
    equal(client.resource["service.name"], "unknown_service:curl", "service of the client")
    equal(client.resource["process.executable.name"], "curl", "executable")
    equal(server.resource["host.name"], socket.gethostname(), "host.name")
    for key in ("telemetry.sdk.name", "telemetry.sdk.version", "telemetry.sdk.language",
                "service.instance.id", "host.arch", "os.type", "process.executable.path"):
        assert server.resource.get(key), f"{key} in {server.resource}"


def test_status_codes_and_errors():
    nginx = servers.Nginx()
    agent = Agent()
    for path in ("/ok", "/nothing", "/moved", "/missing", "/broken"):
        run("curl", "-s", nginx.url + path)
    spans = agent.stop()
    expected = {"/ok": (200, UNSET, UNSET), "/nothing": (204, UNSET, UNSET),
                "/moved": (302, UNSET, UNSET), "/missing": (404, UNSET, ERROR),
                "/broken": (500, ERROR, ERROR)}
    for path, (code, server_status, client_status) in expected.items():
        server, client = http_pair(spans, nginx.port, path)
        for span, status in ((server, server_status), (client, client_status)):
            equal(span["http.response.status_code"], code, f"code of {path}")
            equal(span.status, status, f"status of {path} kind {span.kind}")
            equal(span["error.type"], str(code) if status == ERROR else None, "error.type")


def test_credentials_and_secrets_stay_home():
    nginx = servers.Nginx()
    agent = Agent()
    run("curl", "-s", "-u", "alice:hunter2", "-b", "session=hunter2", "-H", "X-Api-Key: hunter2",
        f"{nginx.url}/ok?X-Amz-Signature=hunter2&Signature=hunter2&AWSAccessKeyId=hunter2")
    run("curl", "-s", "-x", nginx.url, "http://alice:hunter2@127.0.0.1/ok")
    spans = agent.stop()
    assert at_port(spans, nginx.port), "no span at all"
    assert b"hunter2" not in b"".join(agent.sink.bodies), "a secret left the host"


# ---- traceparent ----------------------------------------------------------------------


TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_incoming_traceparent_is_honoured():
    nginx = servers.Nginx()
    agent = Agent()
    run("curl", "-s", "-H", f"traceparent: 00-{TRACE}-{PARENT}-01", "-H", "tracestate: a=1,b=2",
        nginx.url + "/ok")
    padding = [word for i in range(30) for word in ("-H", f"X-Padding-{i}: {'p' * 100}")]
    run("curl", "-s", *padding, "-H", f"TraceParent:  00-{TRACE}-{PARENT}-01", nginx.url + "/ok")
    spans = agent.stop()
    found, calls = at_port(spans, nginx.port, SERVER), at_port(spans, nginx.port, CLIENT)
    equal((len(found), len(calls)), (2, 2), "server and client spans")
    for span in calls:
        equal(span.parent_id, PARENT, "parent id of the call that brings the header")
        equal(span["spanloom.link"], "header", "spanloom.link of the call")
    equal({span.parent_id for span in found}, {span.span_id for span in calls}, "parents")
    for span in found + calls:
        equal(span.trace_id, TRACE, "trace id")
        assert span.span_id != PARENT
        assert span.flags & 0x1, "sampled"
    equal(sorted(span.trace_state for span in found), ["", "a=1,b=2"], "tracestate")


def test_unsampled_traceparent_gives_no_span():
    nginx = servers.Nginx()
    agent = Agent()
    run("curl", "-s", "-H", f"traceparent: 00-{TRACE}-{PARENT}-00", nginx.url + "/ok")
    run("curl", "-s", nginx.url + "/nothing")
    spans = agent.stop()
    equal([s["url.path"] for s in at_port(spans, nginx.port, SERVER)], ["/nothing"], "paths")
    assert agent.ledger["flow.requests.sampled_out"] >= 1, agent.ledger


def test_bad_traceparent_starts_a_new_trace():
    nginx = servers.Nginx()
    agent = Agent()
    bad = [f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE}-{'0' * 16}-01", f"ff-{TRACE}-{PARENT}-01",
           f"00-{TRACE.upper()}-{PARENT}-01", f"00-{TRACE}-{PARENT}-01-x", f"00-{TRACE}", "x"]
    for header in bad:
        run("curl", "-s", "-H", f"traceparent: {header}", nginx.url + "/ok")
    spans = agent.stop()
    found = at_port(spans, nginx.port, SERVER)
    callers = {span.span_id: span for span in at_port(spans, nginx.port, CLIENT)}
    equal(len(found), len(bad), "server spans")
    for span in found:
        assert span.trace_id != TRACE and span.parent_id in callers, span
        equal(span["spanloom.link"], "peer", "spanloom.link")
        assert not callers[span.parent_id].parent_id, "the caller begins the trace"


# ---- naming ---------------------------------------------------------------------------


def test_routes_and_ignored_paths():
    nginx = servers.Nginx()
    agent = Agent("--routes", "/shop/{item}/buy", "--ignore-path", "/health*")
    for path in ("/shop/chair/buy", "/health", "/healthz", "/users/42", "/ok", "/unknown/42"):
        run("curl", "-s", nginx.url + path)
    found = at_port(agent.stop(), nginx.port, SERVER)
    by_path = {span["url.path"]: span for span in found}
    equal(sorted(by_path), ["/ok", "/shop/chair/buy", "/unknown/42", "/users/42"],
          "paths")
    equal(by_path["/shop/chair/buy"].name, "GET /shop/{item}/buy", "name")
    equal(by_path["/shop/chair/buy"]["http.route"], "/shop/{item}/buy", "route")
    equal(by_path["/users/42"].name, "GET /users/{id}", "name")
    equal(by_path["/users/42"]["spanloom.route.source"], "heuristic", "source")
    equal(by_path["/unknown/42"].name, "GET", "name of a path that the server does not know")
    assert agent.ledger["flow.requests.ignored"] >= 2, agent.ledger


def test_names_by_the_letter():
    nginx = servers.Nginx()
    agent = Agent("--route-heuristic", "off")
    run("curl", "-s", nginx.url + "/users/42")
    span = one(at_port(agent.stop(), nginx.port, SERVER))
    equal(span.name, "GET", "name")
    equal(span["http.route"], None, "route")


def test_service_name_of_the_traced_process():
    """From its environment; it lives two seconds, so there is time to read it."""
    def play(connection):
        connection.until(b"\r\n\r\n")
        time.sleep(2)
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    server = servers.Script(play)
    agent = Agent()
    environ = dict(os.environ, OTEL_SERVICE_NAME="checkout",
                   OTEL_RESOURCE_ATTRIBUTES="team=a,service.version=7")
    run("curl", "-s", f"http://127.0.0.1:{server.port}/ok", env=environ)
    span = one(at_port(agent.stop(), server.port, CLIENT))
    equal(span.resource["service.name"], "checkout", "service.name")
    equal(span.resource.get("team"), "a", "team")
    equal(span.resource.get("service.version"), "7", "service.version")
