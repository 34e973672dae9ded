# SPDX-License-Identifier: Apache-2.0
"""Where an HTTP message ends: by length, chunks, close, without a body, or not at all."""

import time

import load
import servers
from agent import Agent
from harness import equal, folder, run
from spans import CLIENT, SERVER, UNSET, at_port, http_pair, select

MB = 1 << 20


def test_1_mb_sendfile_to_a_slow_reader():
    nginx = servers.Nginx()
    nginx.file("big", MB)
    agent = Agent()
    with load.Http(nginx.port) as client:
        begun = time.monotonic()
        client.send(load.http_request(nginx.port, "/big"))
        client.until(b"\r\n\r\n")
        for _ in range(4):
            time.sleep(0.15)
            client.exactly(MB // 4)
        took = time.monotonic() - begun
        equal(client.get("/ok")[0], 200, "the next response")
    spans = agent.stop()
    server, client = http_pair(spans, nginx.port, "/big")
    assert 0.58 < client.seconds <= took, (client, took)
    for span in (server, client):
        equal(span["http.response.status_code"], 200, "status")
        equal(span["spanloom.incomplete"], None, "incomplete")
    http_pair(spans, nginx.port, "/ok")


def test_200_mb_sendfile_has_the_clients_duration():
    nginx = servers.Nginx()
    nginx.file("huge", 200 * MB)
    agent = Agent()
    asked, over = map(float, run("curl", "-s", "-o", "/dev/null", "-w",
                                 "%{time_pretransfer} %{time_total}", "--limit-rate", "100M",
                                 nginx.url + "/huge").split())
    took = over - asked
    server, client = http_pair(agent.stop(), nginx.port, "/huge")
    assert took > 1.5, took
    assert 0.8 * took < client.seconds < 1.01 * took, f"{client.seconds} s, curl says {took}"
    # the server is done when the last byte is in the socket's buffer
    assert 0.5 * took < server.seconds < 1.2 * took, f"{server.seconds} s, curl says {took}"
    for span in (server, client):
        equal(span["http.response.status_code"], 200, "status")
        equal(span.status, UNSET, "status")
        equal(span["spanloom.incomplete"], None, "incomplete")


def chunked_server(seconds):
    def play(connection):
        while True:
            connection.until(b"\r\n\r\n")
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(4):
                connection.send(b"5\r\nhello\r\n")
                time.sleep(seconds / 4)
            connection.send(b"0\r\nX-Trailer: 1\r\n\r\n")
    return servers.Script(play)


def test_chunked_response_ends_with_its_last_chunk():
    server = chunked_server(0.4)
    agent = Agent()
    longest = 0
    with load.Http(server.port) as client:
        for _ in range(3):
            begun = time.monotonic()
            equal(client.get("/chunks"), (200, b"hello" * 4), "response")
            longest = max(longest, time.monotonic() - begun)
    found = at_port(agent.stop(), server.port)
    equal(len(found), 6, "spans")
    for span in found:
        assert 0.38 < span.seconds, span
        assert span.kind == SERVER or span.seconds <= longest, (span, longest)
        equal(span["spanloom.incomplete"], None, "incomplete")


def test_request_with_a_chunked_body():
    nginx = servers.Nginx()
    agent = Agent()
    with load.Http(nginx.port) as client:
        for _ in range(2):
            client.send(load.http_request(nginx.port, "/upload", "Transfer-Encoding: chunked\r\n",
                                          "POST"))
            client.send(b"3\r\nGET\r\n4\r\n / H\r\n")
            client.send(b"0\r\n\r\n")
            equal(client.response()[0], 200, "status")
    spans = agent.stop()
    equal(len(select(at_port(spans, nginx.port, SERVER), {"url.path": "/upload"})), 2, "spans")
    # and nginx's own calls to itself, of both sides
    equal(len(select(at_port(spans, nginx.port, SERVER), {"url.path": "/ok"})), 2, "upstream spans")


def test_response_until_close():
    def play(connection):
        connection.until(b"\r\n\r\n")
        connection.send(b"HTTP/1.0 200 OK\r\n\r\nsome")
        time.sleep(0.3)
        connection.send(b" text")
    server = servers.Script(play)
    agent = Agent()
    begun = time.monotonic()
    run("curl", "-s", f"http://127.0.0.1:{server.port}/close")
    took = time.monotonic() - begun
    for span in http_pair(agent.stop(), server.port, "/close"):
        assert 0.28 < span.seconds, span
        assert span.kind == SERVER or span.seconds <= took, (span, took)
        equal(span.status, UNSET, "status")


def test_head_and_no_content_on_one_connection():
    nginx = servers.Nginx()
    nginx.file("file", 5000)
    agent = Agent()
    with load.Http(nginx.port) as client:
        for _ in range(3):
            client.get("/file", method="HEAD")
            client.get("/nothing")
            client.get("/ok")
            client.get("/file")
    found = at_port(agent.stop(), nginx.port)
    seen = [(s.kind, s["http.request.method"], s["http.response.status_code"]) for s in found]
    for kind in (SERVER, CLIENT):
        for method, code, count in (("HEAD", 200, 3), ("GET", 204, 3), ("GET", 200, 6)):
            equal(seen.count((kind, method, code)), count, f"{kind} {method} {code} in {seen}")


def test_100_continue_is_no_end():
    nginx = servers.Nginx()
    body = folder() / "body"
    body.write_bytes(b"x" * MB)
    agent = Agent()
    run("curl", "-s", "-H", "Expect: 100-continue", "-T", body, nginx.url + "/upload")
    server, client = http_pair(agent.stop(), nginx.port, "/upload")
    for span in (server, client):
        equal(span["http.request.method"], "PUT", "method")
        equal(span["http.response.status_code"], 200, "status")


def test_upgrade_ends_the_http_part():
    def play(connection):
        connection.until(b"\r\n\r\n")
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        b"Connection: Upgrade\r\n\r\n")
        while True:
            connection.send(connection.exactly(16))
    server = servers.Script(play)
    agent = Agent()
    with load.Http(server.port) as client:
        client.get("/chat", "Upgrade: websocket\r\nConnection: Upgrade\r\n")
        for _ in range(50):
            client.send(b"GET /x HTTP/1.1\r")
            client.exactly(16)
    found = at_port(agent.stop(), server.port)
    equal(sorted((s.kind, s["http.response.status_code"]) for s in found),
          [(SERVER, 101), (CLIENT, 101)], "spans")


def test_connect_tunnel_is_not_read():
    def play(connection):
        connection.until(b"\r\n\r\n")
        connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        while True:
            connection.send(connection.exactly(16))
    server = servers.Script(play)
    agent = Agent()
    with load.Http(server.port) as client:
        client.send(b"CONNECT example.test:443 HTTP/1.1\r\nHost: example.test:443\r\n\r\n")
        client.until(b"\r\n\r\n")
        for _ in range(20):
            client.send(b"GET /x HTTP/1.1\r")
            client.exactly(16)
    found = [span for span in agent.stop() if span["server.address"] == "example.test"]
    equal(sorted(span.kind for span in found), [SERVER, CLIENT], "kinds of CONNECT spans")
