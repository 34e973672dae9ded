# SPDX-License-Identifier: Apache-2.0
"""HTTP clients that know each byte they have sent, and a server that tells each it got.

All but the injected header must have arrived as it was sent; the header must be there as often
as expected, and name the span that the agent then exports.
"""

import collections
import hashlib
import itertools
import json
import re
import select
import socket
import struct
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import http_wire
import load
import sending
from harness import defer, equal, free_port, listening, spawn, wait_until
from spans import CLIENT, SERVER, at_port

TRACEPARENT = re.compile(rb"(?<=\r\n)traceparent: (00-[0-9a-f]{32}-[0-9a-f]{16}-0[13])\r\n")
INJECT = ("--inject", "on", "--ring-size", "64M")
ONE, NONE, AT_MOST_ONE = (1, 1), (0, 0), (0, 1)  # injected headers: (at least, at most)
PAUSE_S, PAUSES_OF_PROCESS = 2, 8  # less than stalls.h has
BULK = 256 << 10  # a body from which on a connection gets no more headers


@dataclass(frozen=True)
class Request:
    number: int
    head: bytes
    body: bytes
    wanted: tuple

    @property
    def bytes(self):
        return self.head + self.body

    @property
    def is_last(self):
        """Later requests on its connection may get no header: where it ends is not known, or
        its body is so large that the socket is let go."""
        return (len(self.body) >= BULK or http_wire.changes_protocol(self.head) or
                http_wire.is_chunked(self.head))


class Strict:
    """strict_server.py in a process of its own."""

    def __init__(self, host="127.0.0.1"):
        self.host, self.port, self.echo = host, free_port(), free_port()
        self.family = socket.AF_INET6 if ":" in host else socket.AF_INET
        spawn([sys.executable, Path(__file__).with_name("strict_server.py"), self.port,
               self.echo, host], log="strict.log")
        wait_until(lambda: listening(self.echo, host), "the strict server to listen")

    def only(self, *others):
        """Option of the agent: just the traffic of this server and of @others, by their ports."""
        return "--port", ",".join(map(str, (self.port, self.echo, *others)))

    def check(self):
        """No connection of it stands still, and none had a byte that is no HTTP."""
        def state():
            with load.Http((self.host, self.port)) as connection:
                told = json.loads(connection.get("/state")[1])
            return told if told["open"] == 0 else None
        equal(wait_until(state, "connections to end")["faults"], [], "what was no HTTP")


class Torture:
    """Makes requests and keeps what became of their headers.  @port: of a proxy, if any."""

    def __init__(self, server, port=None, wanted=ONE):
        self.server, self.wanted = server, wanted
        self.port = port or server.port
        self.seen = {}  # number of a request -> value of its injected header
        self.pauses = 0  # of connections, in which an answer was left unread for long
        self.without = 0  # requests that had no header for that
        self.unsure = set()  # of those, what need not have a header, and so need not have a span
        self.numbers = itertools.count(1)

    def request(self, body=b"", *, headers="", chunks=None, padding=0, **kwargs):
        """@chunks: sent as such, instead of @body; @padding: bytes of further headers."""
        if chunks is not None:
            headers += "Transfer-Encoding: chunked\r\n"
            body = b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks) + b"0\r\n\r\n"
        elif body:
            headers += f"Content-Length: {len(body)}\r\n"
        headers += "".join(f"X-Padding-{i}: {'p' * min(900, padding - i)}\r\n"
                           for i in range(0, padding, 900))
        return self.message(headers, body, **kwargs)

    def message(self, headers, body, *, method=None, target=None, query="", wanted=None):
        """A request with just these headers."""
        number = next(self.numbers)
        method = method or ("POST" if body else "GET")
        target = target or f"/n/{number}{'?' if query else ''}{query}"
        host = f"[{self.server.host}]" if ":" in self.server.host else self.server.host
        head = f"{method} {target} HTTP/1.1\r\nHost: {host}:{self.port}\r\n{headers}\r\n"
        return Request(number, head.encode(), body, wanted or self.wanted)

    def talk(self, nodelay=True, **kwargs):
        return Talk(self, nodelay, **kwargs)

    def ask(self, *args, **kwargs):
        """A request on a connection of its own."""
        with self.talk() as talk:
            talk.ask(self.request(*args, **kwargs))

    def check_spans(self, spans, missed=0):
        """What was sent is what was exported, and the server has it as its parent.  @missed: so
        many moments may have gone by unseen, each with the span of a request."""
        assert self.seen, "no header was injected"
        found = at_port(spans, self.port)
        clients = by_number(span for span in found if span.kind == CLIENT)
        servers = by_number(span for span in found if span.kind == SERVER)
        for number, value in self.seen.items():
            client, server = clients.get(number), servers.get(number)
            if number in self.unsure and not (client and server):
                continue
            if missed and not (client and server and value == traceparent_of(client)):
                missed -= 1
                continue
            assert client and server, f"request {number} has no span: {client}, {server}"
            equal(value, traceparent_of(client), f"header of {number}")
            if number in self.unsure and not server.parent_id:
                continue
            equal((server.trace_id, server.parent_id), (client.trace_id, client.span_id),
                  f"parent of the server span of {number}")


def traceparent_of(span):
    return f"00-{span.trace_id}-{span.span_id}-{span.flags & 0xff:02x}"


def by_number(spans):
    """{number of the request: span}; a second span of a request is none of it."""
    found = {}
    for span in spans:
        match = re.search(r"/n/(\d+)", span["url.full"] or span["url.path"] or "")
        if match:
            number = int(match[1])
            assert number not in found, f"two spans of request {number}"
            found[number] = span
    return found


class Talk(load.Http):
    """A client's connection.  Each request sent is owed a report (strict_server.py)."""

    def __init__(self, torture, nodelay=True, port=None, connect=True):
        # pylint: disable=super-init-not-called
        self.address = (torture.server.host, port or torture.port)
        self.socket, self.buffer = socket.socket(torture.server.family), bytearray()
        limit = struct.pack("ll", sending.SECONDS, 0)
        for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
            self.socket.setsockopt(socket.SOL_SOCKET, option, limit)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, nodelay)
        if connect:
            self.socket.connect(self.address)
        self.torture, self.owed = torture, collections.deque()
        self.let_go, self.looked = False, time.monotonic()

    def connect(self, data):
        """Connects with the first bytes of the stream."""
        sent = self.socket.sendto(data, socket.MSG_FASTOPEN, self.address)
        self.send(data[sent:])

    def __exit__(self, kind, *_):
        if kind is None and self.owed:
            self.ask(self.torture.request(wanted=AT_MOST_ONE))
        self.close()

    def more(self):
        """Waits before it reads: a blocking read of a socket that gets headers may fail with
        EAGAIN when a signal, or room for more to send, wakes it (tcp_bpf_recvmsg)."""
        self.look()
        ready, _, _ = select.select([self.socket], [], [], sending.SECONDS)
        self.looked = time.monotonic()
        if not ready:
            raise TimeoutError("no answer")
        super().more()
        self.look()

    def look(self):
        """Where nobody has looked for an answer for seconds, it may have stood still in the socket,
        and injection left it.  It leaves the whole process where that are many."""
        before, self.looked = self.looked, time.monotonic()
        if self.looked - before > PAUSE_S and not self.let_go:
            self.let_go = True
            self.torture.pauses += 1

    def put(self, request, way=sending.whole):
        """Sends; the answer may wait."""
        self.owed.append(request)
        way(self.socket, request.head, request.body)
        self.looked = time.monotonic()

    def ask(self, request, way=sending.whole):
        self.put(request, way)
        self.take()
        assert not self.owed, f"{len(self.owed)} requests without a report"

    def take(self):
        """Reads one answer that has a list, or the short one that has none."""
        status, body = self.final()
        if status != 204:
            for report in json.loads(body):
                self.check(self.owed.popleft(), report)
        return status

    def final(self):
        while (answer := self.response())[0] in (100, 103):
            pass
        return answer

    def tunnel(self, request):
        """Makes a tunnel of the connection."""
        self.put(request)
        assert self.response("HEAD")[0] in (101, 200)
        [report] = json.loads(self.until(b"\n"))
        self.check(self.owed.popleft(), report)

    def check(self, request, report):
        head, what = report["head"].encode("latin-1"), f"request {request.number}"
        found = TRACEPARENT.findall(head) if request.wanted != NONE else []
        lets_go = self.let_go or self.torture.pauses >= PAUSES_OF_PROCESS
        least, most = AT_MOST_ONE if lets_go and request.wanted == ONE else request.wanted
        self.torture.without += request.wanted == ONE and not found
        self.let_go |= request.is_last
        assert least <= len(found) <= most, f"{what}: {len(found)} headers injected: {head!r}"
        rest = TRACEPARENT.sub(b"", head) if found else head
        equal(rest, request.head, f"{what}: head without what was injected")
        equal((report["size"], report["sha256"]),
              (len(request.body), hashlib.sha256(request.body).hexdigest()), f"{what}: body")
        if found and b" /n/" in request.head:
            self.torture.seen[request.number] = found[0].decode()
            if least == 0:
                self.torture.unsure.add(request.number)

    def echoes(self, data):
        """Sends @data through a tunnel or to the echo port; it must come back as it was."""
        sender = threading.Thread(target=self.socket.sendall, args=(data,), daemon=True)
        sender.start()
        back = self.exactly(len(data))
        sender.join()
        if back != data:
            at = next(i for i, (a, b) in enumerate(zip(back, data)) if a != b)
            raise AssertionError(f"{data[:50]!r}... changed at {at}: {back[at:at + 150]!r}")


class Meddler:
    """A proxy that injects as the agent ought to, or with the fault that is its @mode:
    none, two, corrupt (a byte of the body), body (a header in it), wrong (a bad value)."""

    def __init__(self, server, mode="right"):
        self.server, self.mode, self.ids = server, mode, itertools.count(1)
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        defer(listener.close)
        self.port = listener.getsockname()[1]
        threading.Thread(target=self.accept, args=(listener,), daemon=True).start()

    def accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection((self.server.host, self.server.port))
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for play in (self.requests, self.answers):
                threading.Thread(target=play, args=(client, server), daemon=True).start()

    def requests(self, client, server):
        reader = http_wire.Reader(client)
        try:
            while head := reader.head():
                server.sendall(self.injected(head))
                if http_wire.changes_protocol(head):
                    pump(client, server, reader.buffer)
                    return
                reader.body(head, lambda piece: server.sendall(self.meddled(piece)))
            server.shutdown(socket.SHUT_WR)
        except (OSError, EOFError, http_wire.Broken):
            server.close()

    def answers(self, client, server):
        try:
            pump(server, client)
        except OSError:
            client.close()

    def header(self):
        number = next(self.ids)
        flags = "1" if self.mode == "wrong" else "01"
        return f"traceparent: 00-{number:032x}-{number:016x}-{flags}\r\n".encode()

    def injected(self, head):
        line, _, rest = head.partition(b"\r\n")
        count = {"none": 0, "two": 2}.get(self.mode, 1)
        return line + b"\r\n" + b"".join(self.header() for _ in range(count)) + rest

    def meddled(self, piece):
        if self.mode == "corrupt":
            return piece[:-1] + bytes([piece[-1] ^ 1])
        if self.mode == "body":
            return piece.replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r\n" + self.header())
        return piece


def pump(source, sink, data=b""):
    while True:
        sink.sendall(data)
        data = source.recv(http_wire.PIECE)
        if not data:
            sink.shutdown(socket.SHUT_WR)
            return
