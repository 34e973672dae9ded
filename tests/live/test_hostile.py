# SPDX-License-Identifier: Apache-2.0
"""Garbage on the ports of the three protocols: no crash, no span that did not happen."""

import random
import socket
import threading

import load
import servers
from agent import Agent
from harness import defer, equal
from spans import at_port

SEED = 7


def echo_server():
    """Answers every bytes it gets with as many other bytes."""
    listener = socket.create_server(("127.0.0.1", 0))
    defer(listener.close)

    def talk(peer):
        noise = random.Random(SEED)
        try:
            while data := peer.recv(65536):
                peer.sendall(noise.randbytes(len(data)))
        except OSError:
            pass
        peer.close()

    def accept():
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(peer,), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def throw(port, data, pieces=1):
    """Sends and hangs up; the server may hang up first."""
    try:
        with load.Connection(port, 2) as connection:
            size = max(1, len(data) // pieces)
            for at in range(0, len(data), size):
                connection.send(data[at:at + size])
            connection.socket.shutdown(socket.SHUT_WR)
            connection.rest()
    except OSError:
        pass


def noise(count, seed=SEED):
    source = random.Random(seed)
    return [source.randbytes(source.choice((1, 5, 17, 100, 4000, 70000))) for _ in range(count)]


def spoiled(original, count, seed=SEED):
    """The message with a few bytes changed, cut or doubled."""
    source = random.Random(seed)
    for _ in range(count):
        data = bytearray(original * source.randint(1, 3))
        for _ in range(source.randint(1, 8)):
            data[source.randrange(len(data))] = source.randrange(256)
        yield bytes(data[:source.randint(1, len(data))])


def test_noise_is_no_span():
    nginx, redis, postgres = servers.Nginx(), servers.Redis(), servers.Postgres()
    echo = echo_server()
    agent = Agent()
    for data in noise(40):
        for port in (echo, nginx.port, redis.port, postgres.port):
            throw(port, data, 3)
    spans = agent.stop()
    for port, what in ((echo, "an echo server"), (postgres.port, "PostgreSQL"),
                       (redis.port, "Redis"), (nginx.port, "nginx")):
        equal([span.name for span in at_port(spans, port)], [], f"spans of noise at {what}")


def test_lookalikes_are_no_span():
    """Text that begins as a protocol and is not answered as one."""
    echo = echo_server()
    agent = Agent()
    for data in (b"GET / and so on\n" * 10, b"HTTP is a protocol\r\n\r\n", b"*3 stars of 5\r\n",
                 b"$ make\r\n", b"POST office\r\n\r\n", b"Q\0\0", b"+1 good\r\n", b"-- a comment\r\n",
                 b":) hello\r\n", b"PING pong\r\n\r\n", b"SELECT 1;\r\n", b"\x16\x03\x01" * 30,
                 b"P\0\0\0\x08abcd", b"\0\0\0\x08\x04\xd2\x16\x2f", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
        throw(echo, data)
    equal([span.name for span in at_port(agent.stop(), echo)], [], "spans")


def test_spoiled_http():
    nginx = servers.Nginx()
    agent = Agent()
    request = load.http_request(nginx.port, "/ok", "A: b\r\n") * 2
    for data in spoiled(request, 150):
        throw(nginx.port, data)
    for data in (b"GET /ok HTTP/1.1\r\nHost: t\r\n" + b"X: " + b"y" * 100000 + b"\r\n\r\n",
                 b"GET /" + b"a" * 200000 + b" HTTP/1.1\r\nHost: t\r\n\r\n",
                 b"POST /ok HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999999999999999\r\n\r\n",
                 b"POST /ok HTTP/1.1\r\nHost: t\r\nContent-Length: -1\r\n\r\n",
                 b"POST /ok HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
                 b"ffffffffffffffff\r\nx"):
        throw(nginx.port, data)
    still_right(agent, lambda: load.http(nginx.port, 2, 50), nginx.port, "/ok", 100)


def still_right(agent, traffic, port, target, count):
    """After all that, ordinary traffic is told as before."""
    traffic()
    marked = [span for span in at_port(agent.stop(), port)
              if target in (span["url.path"] or span["db.query.text"] or "")]
    assert len(marked) >= count, f"{len(marked)} spans, expected at least {count}"


def test_spoiled_postgres():
    postgres = servers.Postgres()
    agent = Agent()
    request = (load.parse("SELECT $1::int", "s") + load.bind(1, name="s") + load.execute()
               + load.sync() + load.query("SELECT 1"))
    for data in spoiled(request, 100):
        try:
            with load.Pg(postgres.port) as client:
                client.send(data)
                client.socket.shutdown(socket.SHUT_WR)
                client.rest()
        except (OSError, EOFError):
            pass
    still_right(agent, lambda: [postgres.psql("SELECT tid FROM pgbench_tellers")
                                for _ in range(10)],
                postgres.port, "SELECT tid FROM pgbench_tellers", 10)


def test_spoiled_redis():
    redis = servers.Redis()
    agent = Agent()
    request = load.command("SET", "k", "v") + load.command("GET", "k")
    for data in spoiled(request, 200):
        throw(redis.port, data)
    for data in (b"*1000000000\r\n", b"*-1\r\n", b"$-5\r\n", b"*2\r\n$99999999999\r\n",
                 b"*1\r\n*1\r\n" * 2000, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nab"):
        throw(redis.port, data)

    def traffic():
        with load.Redis(redis.port) as client:
            for _ in range(50):
                client.ask("INCR", "still-right")
    still_right(agent, traffic, redis.port, "INCR still-right", 50)


def test_hostile_server():
    """A client that is answered with nonsense: one span at most for what it asked."""
    replies = [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 500 No\r\n\r\n" * 20,
               b"HTTP/9.9 abc\r\n\r\n", b"HTTP/1.1 99999 X\r\n\r\n", b"\0" * 5000,
               b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
               b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20000 + b"\r\n"]
    listener = socket.create_server(("127.0.0.1", 0))
    defer(listener.close)

    def serve():
        for reply in replies:
            peer, _ = listener.accept()
            try:
                peer.recv(65536)
                peer.sendall(reply)
            except OSError:
                pass
            peer.close()
    threading.Thread(target=serve, daemon=True).start()
    port = listener.getsockname()[1]
    agent = Agent()
    for number in range(len(replies)):
        throw(port, load.http_request(port, f"/number-{number}"))
    spans = at_port(agent.stop(), port)
    for number in range(len(replies)):
        for kind in (2, 3):
            of_this = [span for span in spans if span.kind == kind and f"/number-{number}" in
                       str(span.attributes.get("url.path", span.attributes.get("url.full")))]
            equal(len(of_this), 1, f"spans of request {number} of kind {kind}")
    equal(len(spans), 2 * len(replies), "spans, and none invented")
