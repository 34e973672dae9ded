# SPDX-License-Identifier: Apache-2.0
"""Injection under peers and programs that make it hard: windows of few bytes, sends that are taken
in part, sockets that several share, agents that come and go, connections that stand still."""

import os
import random
import select
import shutil
import signal
import socket
import threading
import time

import sending
import servers
import torments
from agent import Agent
from harness import defer, equal, folder, free_port, in_threads, run, wait_until
from spans import CLIENT, SERVER, at_port
from torture import (AT_MOST_ONE, INJECT, TRACEPARENT, Strict, Torture, by_number,
                     traceparent_of)


# ---- sends that are taken in part -------------------------------------------------------


class Narrow:
    """Takes one connection at a time, with the smallest window, slowly; keeps all bytes."""

    def __init__(self, window=1):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(8)
        defer(self.listener.close)
        self.port = self.listener.getsockname()[1]

    def receive(self, size_of):
        peer, _ = self.listener.accept()
        with peer:
            peer.settimeout(sending.SECONDS)
            data = b""
            while len(data) < size_of(data):
                piece = peer.recv(500)
                assert piece, f"the stream ends after {len(data)} bytes"
                data += piece
                time.sleep(0.001)
            peer.settimeout(0.3)
            try:
                data += peer.recv(1 << 16)
            except TimeoutError:
                pass
            return data


def push(sock, data):
    """Non-blocking; each send is of all that is left."""
    sock.setblocking(False)
    while data:
        try:
            data = data[sock.send(data):]
        except BlockingIOError:
            select.select([], [sock], [], sending.SECONDS)


def test_narrow_windows():
    """Segments of few bytes fill the buffer early: no byte may be sent twice."""
    server = Narrow()
    agent = Agent(*INJECT, "--port", str(server.port))
    for size, room, lowat in [(size, room, lowat) for size in (600, 3000, 6000, 12000)
                              for room in (2304, 5000, 8000, 13500, 20000) for lowat in (0, 1)]:
        request = (f"GET /n/{size} HTTP/1.1\r\nHost: narrow\r\n" + "".join(
            f"X-{i}: {random.Random(i).randbytes(200).hex()}\r\n" for i in range(size // 400)) +
            "\r\n").encode()
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, room)
            if lowat:
                sock.setsockopt(socket.IPPROTO_TCP, 25, lowat)  # TCP_NOTSENT_LOWAT
            sock.connect(("127.0.0.1", server.port))
            sender = threading.Thread(target=push, args=(sock, request), daemon=True)
            sender.start()
            got = server.receive(lambda data: len(data) + 1 if b"\r\n\r\n" not in data else 0)
            sender.join()
        found = TRACEPARENT.findall(got)
        assert len(found) <= 1, got
        rest = TRACEPARENT.sub(b"", got)
        assert rest == request, (size, room, lowat, len(rest), len(request))
    agent.stop()


def batch(torture, chance):
    return [torture.request(torments.content(int(chance.expovariate(1 / 300)))
                            if chance.random() < 0.3 else b"", wanted=AT_MOST_ONE)
            for _ in range(chance.randint(1, 30))]


def push_batches(torture, seed, batches, room):
    chance = random.Random(seed)
    with torture.talk() as talk:
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            talk.socket.setsockopt(socket.SOL_SOCKET, option, room)
        for _ in range(batches):
            requests = batch(torture, chance)
            talk.owed.extend(requests)
            torments.push(talk, b"".join(request.bytes for request in requests))
            while talk.owed:
                talk.take()


def test_batches_in_part():
    """Several requests in a send of which the kernel takes a part, anywhere."""
    server = Strict()
    torture = Torture(server, wanted=AT_MOST_ONE)
    agent = Agent(*INJECT, *server.only())
    in_threads(lambda index: push_batches(torture, index, 60, (2304, 4608, 9000)[index % 3]), 6)
    server.check()
    spans = agent.stop()
    clients = [span for span in at_port(spans, server.port)
               if span.kind == CLIENT and not span["spanloom.incomplete"]]
    checked = [(torture.seen[number], traceparent_of(span))
               for number, span in by_number(clients).items() if number in torture.seen]
    assert len(checked) > 100, f"{len(checked)} headers to be checked"
    for sent, exported in checked:
        equal(sent, exported, "header")


def test_eight_clients_in_small_pieces():
    """Blocking and not, through buffers of less than a request."""
    server = Strict()
    torture = Torture(server, wanted=AT_MOST_ONE)
    agent = Agent(*INJECT, *server.only())

    def work(index):
        with torture.talk(index % 2 == 0) as talk:
            talk.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2304)
            for number in range(250):
                request = torture.request(torments.content(number % 50 * 200), padding=number % 3000)
                talk.ask(request, list(sending.WAYS.values())[(number + index) % 13])

    in_threads(work, 8)
    server.check()
    torture.unsure.update(torture.seen)
    torture.check_spans(agent.stop())


# ---- sockets that several share ---------------------------------------------------------


def test_shared_sockets():
    """Threads and child processes take turns on one connection."""
    server = Strict()
    torture = Torture(server)
    agent = Agent(*INJECT, *server.only())
    lock = threading.Lock()
    with torture.talk() as talk:
        def work(index):
            for number in range(100):
                with lock:
                    talk.ask(torture.request(torments.content(number * index % 3000)))
        in_threads(work, 4)
        for number in range(20):
            child = os.fork()
            if not child:
                status = 1
                try:
                    sock = socket.socket(fileno=os.dup(talk.socket.fileno()))
                    sock.sendall(b"GET /n/0 HTTP/1.1\r\nHost: child\r\n\r\n")
                    status = 0
                finally:
                    os._exit(status)
            equal(os.waitpid(child, 0)[1], 0, "status of the child")
            status, body = talk.final()
            equal((status, body.count(b"traceparent: 00-")), (200, 1), f"child {number}'s request")
            talk.ask(torture.request())
    server.check()
    torture.check_spans(span for span in agent.stop() if span["url.path"] != "/n/0"
                        and not (span["url.full"] or "").endswith("/n/0"))


def test_agents_come_and_go():
    """Under load, ten times: nothing stands still, no byte is changed."""
    server = Strict()
    torture = Torture(server, wanted=AT_MOST_ONE)
    done = threading.Event()

    def work(index):
        try:
            for _ in range(10 if index == 0 else 0):
                Agent(*INJECT, *server.only()).stop()
            while index and not done.is_set():
                torments.mixed_talk(torture, index, 20)
        finally:
            if index == 0:
                done.set()

    in_threads(work, 4)
    server.check()
    assert torture.seen, "no header was injected"


# ---- contexts that are not known --------------------------------------------------------


def test_a_client_that_is_left_alone():
    """What its server calls is in the same trace as the server."""
    backend, port = Strict(), free_port()
    servers.forwarder(port, backend.port)
    curl = os.path.realpath(shutil.which("curl"))
    agent = Agent(*INJECT, "--inject-exclude", curl, *backend.only(port))
    for number in range(10):
        run("curl", "-sS", f"http://127.0.0.1:{port}/n/{number}")
    backend.check()
    spans = agent.stop()
    fronts = {kind: by_number(s for s in at_port(spans, port) if s.kind == kind)
              for kind in (CLIENT, SERVER)}
    calls = by_number(s for s in at_port(spans, backend.port) if s.kind == CLIENT)
    for number in range(10):
        client, front, call = fronts[CLIENT][number], fronts[SERVER][number], calls[number]
        equal((front.trace_id, front.parent_id), (client.trace_id, client.span_id), "server")
        equal((call.trace_id, call.parent_id), (front.trace_id, front.span_id), "call")


# ---- connections that rest --------------------------------------------------------------


def test_resting_connections():
    """Peers that have ended or read no more, on many connections, are no reason to end injection."""
    server, silent = Strict(), socket.create_server(("127.0.0.1", 0), backlog=64)
    silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    defer(silent.close)
    torture = Torture(server)
    agent = Agent(*INJECT, *server.only(silent.getsockname()[1]))
    clients, peers = [], []
    for number in range(40):
        clients.append(socket.create_connection(silent.getsockname()))
        defer(clients[-1].close)
        peers.append(silent.accept()[0])
        head = f"POST /n/1 HTTP/1.1\r\nHost: h\r\nContent-Length: {number % 2 * 1000000}\r\n\r\n"
        clients[-1].sendall(head.encode())
        if number % 2:
            clients[-1].send(bytes(1000000), socket.MSG_DONTWAIT)
        else:
            peers[-1].recv(10000)
            peers[-1].close()
    time.sleep(6)  # of twice as long as a connection may stand still
    torture.ask()
    agent.stop()


STOPPED = """
import os, signal, socket, sys, time
port = int(sys.argv[1])
def ask(path):
    sock = socket.create_connection(("127.0.0.1", port))
    sock.sendall(f"GET {path} HTTP/1.1\\r\\nHost: stopped\\r\\n\\r\\n".encode())
    return sock
def has_header(sock):
    with sock:
        return b"traceparent: 00-" in sock.recv(10000)
owed = [ask("/owed") for _ in range(20)]
os.kill(os.getpid(), signal.SIGSTOP)
print(all(map(has_header, owed)))
while not has_header(ask("/again")):
    time.sleep(0.2)
"""


def test_a_stopped_program():
    """It rests, for its answers stand still; all others get headers meanwhile, and so does it when
    it has rested."""
    server = Strict()
    torture = Torture(server)
    agent = Agent(*INJECT, *server.only())
    out = folder() / "stopped"
    with open(out, "wb") as stdout:
        program = servers.python_program(STOPPED, server.port, stdout=stdout)

    def told(text):
        torture.ask()
        return text in agent.stderr.read_text()

    wait_until(lambda: told(f"of pid {program.pid} stood still within a minute"), "its rest", 60)
    program.send_signal(signal.SIGCONT)
    wait_until(lambda: told(f"of pid {program.pid} get headers again"), "its rest to end", 60)
    equal(program.wait(60), 0, "exit status of the program")
    equal(out.read_text(), "True\n", "have its first requests had headers")
    assert not told("injection ends"), "a stopped program has ended injection"
    server.check()
    torture.check_spans(agent.stop())
