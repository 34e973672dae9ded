# SPDX-License-Identifier: Apache-2.0
"""Trace contexts in TCP options: calls between hosts, without a header.

The hosts are network namespaces.  That the option did it is proved by what is on the wire, by
spanloom.link, and by two agents of which each sees only its own end.
"""

import json
import signal
from pathlib import Path

import load
import servers
from agent import Agent, need
from harness import end, equal, folder, free_port, run, spawn, wait_until
from network import Pair, sent_again
from spans import CLIENT, SERVER, at_port

OPTION_ON = ("--tcp-option", "on", "--inject", "off")
SIZES = (100, 200_000)

SERVER_PROGRAM = servers.SERVING + """
class Handler(Answers):
    def do_POST(self):
        assert "traceparent" not in self.headers
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(body)
serve(Handler, int(sys.argv[1]), "0.0.0.0")
"""

# Waits for a line before it connects: an agent may have to know its process first.  Sends each
# request at once.
CLIENT_PROGRAM = """
import http.client, random, socket, sys, threading
address, port, count, connections, size = sys.argv[1], *map(int, sys.argv[2:])
sys.stdin.readline()
def work(index):
    client = socket.create_connection((address, port), 20)
    for number in range(index, count, connections):
        body = random.randbytes(size)
        head = f"POST /call/{number} HTTP/1.1\\r\\nHost: {address}:{port}\\r\\n"
        client.sendall(f"{head}Content-Length: {size}\\r\\n\\r\\n".encode() + body)
        response = http.client.HTTPResponse(client, method="POST")
        response.begin()
        assert response.read() == body
threads = [threading.Thread(target=work, args=(i,)) for i in range(connections)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print("done", count, flush=True)
"""

# Trace and span ids of the options in what comes by until SIGTERM, each of them once.
WATCHER_PROGRAM = """
import signal, socket, sys
packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
packets.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
found, over = {}, []
signal.signal(signal.SIGTERM, lambda *_: over.append(True))
packets.settimeout(0.2)
print("watching", flush=True)
while True:
    try:
        packet = packets.recv(65536)
    except TimeoutError:
        if over:
            break
        continue
    ip = packet[14:]
    if packet[12:14] != b"\\x08\\x00" or ip[9] != 6:
        continue
    tcp = ip[(ip[0] & 15) * 4:]
    options = tcp[20:(tcp[12] >> 4) * 4]
    while options and options[0]:
        length = options[1] if options[0] > 1 else 1
        if options[0] == 253:
            found[options[4:length].hex()] = True
        options = options[length:]
for ids in found:
    print(ids, flush=True)
"""


# Large segments are cut before they reach the device.
NO_TSO_PROGRAM = """
import array, fcntl, socket, struct, sys
value = array.array("I", [0x1f, 0])  # ETHTOOL_STSO
request = struct.pack("16sP", sys.argv[1].encode(), value.buffer_info()[0])
fcntl.ioctl(socket.socket(), 0x8946, request)  # SIOCETHTOOL
"""


class Scene:
    """A client and a server, and somebody who watches the wire between them."""

    def __init__(self):
        self.pair, self.port = Pair(), free_port()
        self.server = spawn(self.pair.server.command("python3", "-c", SERVER_PROGRAM, self.port),
                            log="server.log")
        wait_until(lambda: f":{self.port} " in self.pair.server.inside("ss", "-Hltn"),
                   "the server to listen")
        self.watched = folder() / "watched.log"
        self.watcher = spawn(self.pair.client.command("python3", "-c", WATCHER_PROGRAM),
                             log=self.watched.name)
        wait_until(lambda: "watching" in self.watched.read_text(), "the watcher")

    def client(self, count, connections, size):
        return spawn(self.pair.client.command("python3", "-c", CLIENT_PROGRAM,
                                              self.pair.address[4], self.port, count, connections,
                                              size), log="client.log", stdin=-1)

    def call(self, client):
        client.stdin.write(b"go\n")
        client.stdin.close()
        equal(client.wait(100), 0, "exit status of the client")

    def call_all(self, *shapes):
        for shape in shapes:
            self.call(self.client(*shape))

    def on_the_wire(self):
        """{span id: trace id}"""
        end(self.watcher)
        lines = self.watched.read_text().splitlines()[1:]
        return {line[32:]: line[:32] for line in lines}


def ids(spans):
    return {span.span_id: span.trace_id for span in spans}


def check_children(called, callers):
    parents = ids(callers)
    for span in called:
        equal(parents.get(span.parent_id), span.trace_id, f"trace of the parent of {span}")
    equal(len({span.parent_id for span in called}), len(called), "different parents")
    equal({span["spanloom.link"] for span in called}, {"tcp-option"}, "links")


def test_every_call_has_its_option():
    need("TCP option")
    scene = Scene()
    agent = Agent(*OPTION_ON, "--port", str(scene.port))
    shapes = [(100, connections, size) for size in SIZES for connections in (1, 8)]
    scene.call_all(*shapes)
    spans = agent.stop()
    callers, called = at_port(spans, scene.port, CLIENT), at_port(spans, scene.port, SERVER)
    missed = agent.ledger["kernel.programs.missed"]  # where the kernel preempts programs
    known = ids(callers)
    assert 400 - missed <= min(len(callers), len(called)), (len(callers), len(called), missed)
    differ = set(scene.on_the_wire().items()) ^ set(known.items())
    assert len(differ) <= missed, f"contexts on the wire or of spans only: {differ}"
    check_children([span for span in called if not missed or span.parent_id in known], callers)
    for name in ("calls", "read", "taken"):
        assert abs(agent.ledger[f"kernel.option.{name}"] - 400) <= missed, name
    assert agent.ledger["flow.spans.incomplete"] <= missed


def check_segments(*command):
    """Segments are as large as they may be, and the option is one of those that fit.  When they
    are too large they are lost, and TCP sends them once more."""
    scene = Scene()
    scene.pair.client.inside(*command)
    agent = Agent(*OPTION_ON, "--port", str(scene.port))
    scene.call_all((100, 2, 200_000))
    again = scene.pair.client.sent_again()
    assert again < 50, f"{again} segments of 100 messages that wait for a second try"
    spans = agent.stop()
    callers, called = at_port(spans, scene.port, CLIENT), at_port(spans, scene.port, SERVER)
    equal([len(callers), len(called)], [100, 100], "spans of clients and servers")
    equal(scene.on_the_wire(), ids(callers), "contexts on the wire")
    check_children(called, callers)


def test_segments_cut_by_tcp():
    check_segments("ip", "link", "set", "veth0", "gso_max_segs", "1")


def test_segments_cut_for_the_device():
    """All pieces of a segment have its option."""
    check_segments("python3", "-c", NO_TSO_PROGRAM, "veth0")


def test_large_on_loopback():
    """Where segments are as large as IP packets can be."""
    redis = servers.Redis()
    agent = Agent(*OPTION_ON, "--port", str(redis.port), "--db-server-spans")
    snmp = Path("/proc/self/net/snmp")
    before = sent_again(snmp.read_text())
    with load.Redis(redis.port) as client:
        for number in range(100):
            equal(client.ask("SET", f"key:{number}", "x" * 100_000), b"+OK", "reply")
    again = sent_again(snmp.read_text()) - before
    assert again < 50, f"{again} segments of 100 messages that wait for a second try"
    spans = agent.stop()
    callers, called = at_port(spans, redis.port, CLIENT), at_port(spans, redis.port, SERVER)
    equal([len(callers), len(called)], [100, 100], "spans of clients and servers")
    check_children(called, callers)


def test_off_is_off():
    scene = Scene()
    agent = Agent("--inject", "off", "--port", str(scene.port))
    scene.call_all((50, 1, 100))
    spans = at_port(agent.stop(), scene.port, SERVER)
    equal(len(spans), 50, "spans of the server")
    equal({span["spanloom.link"] for span in spans}, {"peer"}, "links")
    equal(scene.on_the_wire(), {}, "contexts on the wire")


def read_console(agent):
    """The spans of an agent without a collector."""
    return [json.loads(line) for line in agent.stdout.read_text().splitlines()]


def check_two_hosts(size, count):
    """Each agent knows one end; they share nothing but the wire."""
    scene = Scene()
    client = scene.client(count, 4, size)
    near = Agent(*OPTION_ON, "--pid", str(client.pid), console=True)
    far = Agent(*OPTION_ON, "--pid", str(scene.server.pid), console=True, within=scene.pair.server)
    scene.call(client)
    near.stop()
    far.stop()
    callers, called = read_console(near), read_console(far)
    equal([{s["kind"] for s in callers}, {s["kind"] for s in called}], [{"CLIENT"}, {"SERVER"}],
          "kinds of spans")
    equal([len(callers), len(called)], [count, count], "spans of clients and servers")
    known = {span["span_id"]: span for span in callers}
    for span in called:
        parent = known.pop(span["parent_span_id"], None)
        assert parent, f"nobody, or the parent of another, too: {span}"
        equal(span["trace_id"], parent["trace_id"], "trace")
        equal(span["attributes"]["url.path"], "/call/" + parent["attributes"]["url.full"]
              .rsplit("/", 1)[1], "path of the parent")
        equal([span["attributes"]["spanloom.link"], span["parent_remote"]], ["tcp-option", True],
              "link")


def test_two_hosts():
    check_two_hosts(100, 400)


def test_two_hosts_large():
    check_two_hosts(200_000, 100)


def test_databases():
    """What no header reaches: the server's side of Redis, with its client's span for parent."""
    redis = servers.Redis()
    agent = Agent(*OPTION_ON, "--port", str(redis.port), "--db-server-spans")
    for _ in range(3):
        with load.Redis(redis.port) as client:
            for number in range(20):
                equal(client.ask("SET", f"key:{number}", "x" * 1000), b"+OK", "reply")
    spans = agent.stop()
    callers, called = at_port(spans, redis.port, CLIENT), at_port(spans, redis.port, SERVER)
    equal([len(callers), len(called)], [60, 60], "spans of clients and servers")
    check_children(called, callers)


def test_agent_killed_in_between():
    """Connections that had options go on without them."""
    scene = Scene()
    agent = Agent(*OPTION_ON, "--port", str(scene.port))
    client = scene.client(1000, 2, 1000)
    client.stdin.write(b"go\n")
    client.stdin.close()
    wait_until(lambda: "bytes_acked" in run(*scene.pair.client.command(
        "ss", "-Htni", "dport", f"= :{scene.port}")), "traffic")
    end(agent.process, signal.SIGKILL)
    equal(client.wait(100), 0, "exit status of the client")
