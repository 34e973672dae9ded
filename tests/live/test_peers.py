# SPDX-License-Identifier: Apache-2.0
"""Both ends of a call on this host, whatever is between them: the server's span is the child
of the client's, begins after it and ends before it."""

import itertools

from agent import Agent
from harness import equal, free_port, run, spawn, wait_until
from network import Pair
from spans import CLIENT, SERVER, at_port
from test_stitching import judge

SERVER_PROGRAM = """
import socket, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *_): pass
class Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6
    request_queue_size = 256
Server(("::", int(sys.argv[1])), Handler).serve_forever()
"""

# Requests of numbers that are nobody else's: from FIRST on, COUNT of them.
CLIENT_PROGRAM = """
import http.client, sys, threading
address, port, first, count, connections, keep = sys.argv[1], *map(int, sys.argv[2:])
def work(index):
    http_client = http.client.HTTPConnection(address, port, timeout=20)
    for number in range(first + index, first + count, connections):
        http_client.request("GET", f"/front/{number}")
        assert http_client.getresponse().read() == b"ok"
        if not keep:
            http_client.close()
threads = [threading.Thread(target=work, args=(i,)) for i in range(connections)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def check_edges(spans, port, count, what):
    """Each of @count calls is one edge: found by the kernel, and the server's span lies inside of
    the client's."""
    callers = {span.span_id: span for span in at_port(spans, port, CLIENT)}
    called = at_port(spans, port, SERVER)
    equal([len(callers), len(called)], [count, count], f"spans of clients and servers: {what}")
    equal(judge(spans, called), {"right": count, "wrong": 0, "none": 0}, f"parents: {what}")
    equal({span["spanloom.link"] for span in called}, {"peer"}, f"links: {what}")
    for span in called:
        parent = callers[span.parent_id]
        assert parent.start_ns <= span.start_ns <= span.end_ns <= parent.end_ns, (what, parent, span)


class Scene:
    """Calls between two namespaces, in steps; at the end all of them are looked at."""

    def __init__(self):
        self.pair, self.port = Pair(), free_port()
        self.steps, self.numbers = [], itertools.count(1, 1000)
        spawn(self.pair.server.command("python3", "-c", SERVER_PROGRAM, self.port),
              log="server.log")
        wait_until(self._listens, "the server to listen")
        self.agent = Agent()

    def _listens(self):
        return f":{self.port} " in self.pair.server.inside("ss", "-Hltn")

    def call(self, address, port, count, connections, keep):
        run(*self.pair.client.command("python3", "-c", CLIENT_PROGRAM, address, port,
                                      next(self.numbers), count, connections, int(keep)))

    def call_all(self, family, port, address):
        for connections, keep in ((1, True), (1, False), (16, True), (16, False)):
            self.call(address, port, 200, connections, keep)
        self.steps.append((port, 800, f"IPv{family} to {address} port {port}"))

    def check(self):
        spans = self.agent.stop()
        for port, count, what in self.steps:
            check_edges(spans, port, count, what)


def check_namespaces(family):
    scene = Scene()
    scene.call_all(family, scene.port, scene.pair.address[family])
    scene.check()


def test_namespaces_ipv4():
    check_namespaces(4)


def test_namespaces_ipv6():
    check_namespaces(6)


def check_translated(family, address):
    """The server never sees the address and the port that the client calls."""
    scene = Scene()
    scene.pair.translate(family, address, 1081, scene.port)
    scene.call_all(family, 1081, address)
    scene.check()


def test_translated_ipv4():
    check_translated(4, "10.251.0.1")


def test_translated_ipv6():
    check_translated(6, "fd00:251::1")
