# SPDX-License-Identifier: Apache-2.0
"""Both ends of a call on this host, whatever is between them: the server's span is the child
of the client's, begins after it and ends before it."""

import itertools
import time

import load
import servers
from agent import Agent
from harness import equal, folder, free_port, in_threads, run, spawn, wait_until
from network import Pair
from spans import CLIENT, SERVER, at_port
from test_stitching import judge

SERVER_PROGRAM = servers.SERVING + """
class Handler(Answers):
    def do_GET(self):
        self.answer(b"ok")
class Remote(Server):
    address_family = socket.AF_INET6
class Local(Server):
    address_family = socket.AF_UNIX
    def server_bind(self):
        self.socket.bind(self.server_address)
    def get_request(self):
        return self.socket.accept()[0], ("local", 0)
where = sys.argv[1]
Handler.disable_nagle_algorithm = "/" not in where
server = Local(where, Handler) if "/" in where else Remote(("::", int(where)), Handler)
server.serve_forever()
"""

# Requests of numbers that are nobody else's: from FIRST on, COUNT of them.
CLIENT_PROGRAM = """
import http.client, sys, threading
address, port, first, count, connections, keep = sys.argv[1], *map(int, sys.argv[2:])
def work(index):
    http_client = http.client.HTTPConnection(address, port, timeout=60)
    for number in range(first + index, first + count, connections):
        http_client.request("GET", f"/front/{number}")
        assert http_client.getresponse().read() == b"ok"
        if not keep:
            http_client.close()
threads = [threading.Thread(target=work, args=(i,)) for i in range(connections)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def check_edges(spans, port, count, what, least=1):
    """Each of @count calls is one edge, or at @least this share of them: found by the kernel, and
    the server's span lies inside of the client's."""
    callers = {span.span_id: span for span in at_port(spans, port, CLIENT)}
    called = at_port(spans, port, SERVER)
    equal([len(callers), len(called)], [count, count], f"spans of clients and servers: {what}")
    counts = judge(spans, called)
    equal([counts["wrong"], counts["right"] >= least * count], [0, True], f"{what}: {counts}")
    called = [span for span in called if span.parent_id]
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


# ---- unix sockets -----------------------------------------------------------------------


class Local:
    """A server at a unix socket.  The port in Host is nobody's: by it the spans are known."""

    def __init__(self):
        self.port, self.path = free_port(), folder() / "peers.sock"
        servers.python_program(SERVER_PROGRAM, str(self.path), log="server.log")
        wait_until(self.listens, "the server to listen")
        self.numbers = itertools.count(1)

    def listens(self):
        try:
            self.connect().close()
        except OSError:
            return False
        return True

    def ask(self, connection, where="/front"):
        connection.send(load.http_request(self.port, f"{where}/{next(self.numbers)}"))
        equal(connection.response()[0], 200, "status")

    def connect(self):
        return load.Http(self.path)

    def ask_often(self, connection, count):
        for _ in range(count):
            self.ask(connection)

    def ask_once(self, count):
        for _ in range(count):
            with self.connect() as connection:
                self.ask(connection)


def test_unix_sockets():
    local = Local()
    agent = Agent()
    for connections, each in ((1, 400), (16, 100)):
        in_threads(lambda _: local.ask_once(each), connections)
        in_threads(lambda _: local.ask_often(local.connect(), each), connections)
    check_edges(agent.stop(), local.port, 4000, "unix sockets")


def test_unix_sockets_that_are_older_than_the_agent():
    local = Local()
    idle, fresh = [local.connect() for _ in range(8)], [local.connect() for _ in range(8)]
    for connection in idle:
        local.ask(connection, "/before")
    agent = Agent()
    time.sleep(0.2)  # what is quiet for so long had nothing under way when the agent came
    in_threads(lambda index: local.ask_often((idle + fresh)[index], 50), 16)
    # the two ends are paired by a message that is still unread: the first may be read too soon
    check_edges(agent.stop(), local.port, 800, "old unix sockets", least=0.98)


def test_unix_sockets_that_are_busy_when_the_agent_comes():
    """Where the two ends count from is not known at first, and never guessed."""
    local = Local()
    agent, busy = [], True

    def work(_index):
        with local.connect() as connection:
            while busy:
                local.ask(connection)

    def watch():
        nonlocal busy
        try:
            agent.append(Agent())
            time.sleep(1)
        finally:
            busy = False

    in_threads(lambda index: work(index) if index else watch(), 9)
    spans = agent[0].stop()
    called = at_port(spans, local.port, SERVER)
    counts = judge(spans, called)
    equal(counts["wrong"], 0, "wrong parents")
    assert counts["right"] > 0.9 * len(called) > 100, counts


def check_proxy(location, upstream):
    """nginx -> server; each of nginx's calls is one edge, at whatever concurrency."""
    local = Local()
    nginx = servers.Nginx(
        f"location /front/ {{ proxy_pass http://back; proxy_set_header Host 127.0.0.1:{local.port};"
        f"{location} }}", f"upstream back {{ server unix:{local.path}; {upstream} }}")
    agent = Agent()
    numbers = itertools.count(1)

    def work(_index):
        with load.Http(nginx.port) as connection:
            for _ in range(100):
                equal(connection.get(f"/front/{next(numbers)}")[0], 200, "status")

    in_threads(work, 1)
    in_threads(work, 16)
    spans = agent.stop()
    check_edges(spans, local.port, 1700, "nginx -> unix socket")
    equal(judge(spans, at_port(spans, nginx.port, SERVER))["wrong"], 0, "wrong parents")


def test_unix_socket_behind_nginx():
    check_proxy("", "")


def test_unix_socket_behind_nginx_kept_alive():
    check_proxy('proxy_http_version 1.1; proxy_set_header Connection "";', "keepalive 8;")
