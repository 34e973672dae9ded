# SPDX-License-Identifier: Apache-2.0
"""HTTP connections of all kinds, and those that break."""

import re
import socket
import time

import load
import servers
from agent import Agent
from harness import equal, free_port, run, wait_until
from spans import CLIENT, ERROR, SERVER, at_port, http_pair, one


# ---- ways to connect ------------------------------------------------------------------


def test_ipv6():
    nginx = servers.Nginx()
    agent = Agent()
    run("curl", "-s", f"http://[::1]:{nginx.port}/ok")
    server, client = http_pair(agent.stop(), nginx.port, "/ok")
    for span in (server, client):
        equal(span["network.peer.address"], "::1", "peer")
        equal(span["server.address"].strip("[]"), "::1", "server.address")


def test_unix_socket():
    nginx = servers.Nginx()
    agent = Agent()
    run("curl", "-s", "--unix-socket", nginx.socket, "http://inside/ok?over=unix")
    spans = agent.stop()
    server = one([s for s in spans if s["url.query"] == "over=unix"], "server span")
    client = one([s for s in spans if (s["url.full"] or "").endswith("over=unix")], "client span")
    for span in (server, client):
        equal(span["server.address"], "inside", "server.address")
        equal(span["http.response.status_code"], 200, "status")


def test_keep_alive_connection_older_than_the_agent():
    nginx = servers.Nginx()
    clients = [load.Http(nginx.port) for _ in range(8)]
    for client in clients:
        client.get("/before")
    agent = Agent()
    for _ in range(10):
        for client in clients:
            client.get("/ok")
    spans = agent.stop()
    for kind in (SERVER, CLIENT):
        equal(len(at_port(spans, nginx.port, kind)), 80, f"spans of kind {kind}")


def join_in_a_body(piece):
    """The agent starts while a body of @piece repeated is on its way; what it says then of
    this connection, on which five more requests follow."""
    size = 2500 * len(piece)

    def play(connection):
        connection.until(b"\r\n\r\n")
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (3 * size))
        connection.send(piece * 2500)
        connection.until(b"go")
        connection.send(piece * 5000)
        while True:
            connection.until(b"\r\n\r\n")
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    server = servers.Script(play)
    with load.Http(server.port) as client:
        client.send(load.http_request(server.port, "/early"))
        client.until(b"\r\n\r\n")
        client.exactly(size)
        agent = Agent()
        client.send(b"go")
        client.exactly(2 * size)
        for _ in range(5):
            client.get("/late")
    return [(span.kind, span["url.path"] or re.sub(r".*:\d+", "", span["url.full"]))
            for span in at_port(agent.stop(), server.port)]


def test_joining_in_the_middle_of_a_response():
    """No span of the response that had begun; one of each that follows."""
    seen = join_in_a_body(b"some text, ")
    equal(sorted(seen), [(SERVER, "/late")] * 5 + [(CLIENT, "/late")] * 5, "spans")


def test_joining_in_a_body_that_looks_like_a_request():
    """Nothing is invented, though the first bytes seen could be a request."""
    seen = join_in_a_body(b"GET / HTTP/1.1\r\n")
    equal([span for span in seen if span[1] != "/late"], [], "spans that never were")


# ---- calls that go wrong --------------------------------------------------------------


def test_reset_in_the_middle_of_a_response():
    def play(connection):
        connection.until(b"\r\n\r\n")
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
        time.sleep(0.2)
        connection.reset()
    server = servers.Script(play)
    agent = Agent()
    run("curl", "-s", f"http://127.0.0.1:{server.port}/reset", ok=None)
    client = http_pair(agent.stop(), server.port, "/reset")[1]
    equal(client.status, ERROR, "status")
    equal(client["error.type"], "connection_reset", "error.type")
    equal(client["http.response.status_code"], 200, "code")


def test_close_without_a_response():
    server = servers.Script(lambda connection: connection.until(b"\r\n\r\n"))
    agent = Agent()
    run("curl", "-s", f"http://127.0.0.1:{server.port}/silence", ok=None)
    for span in http_pair(agent.stop(), server.port, "/silence"):
        equal(span.status, ERROR, "status")
        assert span["error.type"] in ("eof", "connection_reset"), span
        equal(span["http.response.status_code"], None, "code")


def test_ends_that_come_with_the_last_bytes():
    """The end has a sequence number, which is no byte of the request or of the response."""
    def play(connection):
        time.sleep(0.1)
        connection.until(b"\r\n\r\n")
        connection.send(b"HTTP/1.1 200 OK\r\n\r\nall of it")
    server = servers.Script(play)
    agent = Agent()
    with load.Http(server.port) as client:
        client.send(load.http_request(server.port, "/ends"))
        client.socket.shutdown(socket.SHUT_WR)
        time.sleep(0.3)
        equal(client.response(), (200, b"all of it"), "answer")
    server_span, client = http_pair(agent.stop(), server.port, "/ends")
    equal((server_span.parent_id, server_span["spanloom.link"]), (client.span_id, "peer"), "link")
    for span in (server_span, client):
        equal((span["http.response.status_code"], span["spanloom.incomplete"]), (200, None), "all")


def test_client_that_hangs_up():
    ends = []

    def play(connection):
        connection.until(b"\r\n\r\n")
        ends.append(connection.rest())
    server = servers.Script(play)
    agent = Agent()
    begun = time.monotonic()
    with load.Http(server.port) as client:
        client.send(load.http_request(server.port, "/slow"))
        time.sleep(0.2)
    took = time.monotonic() - begun
    wait_until(lambda: ends, "the server to see the end")
    server_span, client = http_pair(agent.stop(), server.port, "/slow")
    equal((client.status, server_span.status), (ERROR, ERROR), "status")
    assert 0.2 <= client.seconds <= took, (client, took)


def test_refused_connection_is_an_error_span():
    port = free_port()
    agent = Agent()
    run("curl", "-s", f"http://127.0.0.1:{port}/nobody", ok=None)
    span = one([s for s in agent.stop() if port in (s["network.peer.port"], s["server.port"])])
    equal(span.kind, CLIENT, "kind")
    equal(span.status, ERROR, "status")
    equal(span["error.type"], "connection_refused", "error.type")


def test_request_under_way_when_the_agent_ends():
    heads = []

    def play(connection):
        heads.append(connection.until(b"\r\n\r\n"))
        connection.rest()
    server = servers.Script(play)
    agent = Agent()
    with load.Http(server.port) as client:
        client.send(load.http_request(server.port, "/pending"))
        wait_until(lambda: heads, "the server to read")
        spans = agent.stop()
    for span in http_pair(spans, server.port, "/pending"):
        equal(span["spanloom.incomplete"], True, "incomplete")
