# SPDX-License-Identifier: Apache-2.0
"""What injection leaves alone: other traffic, headers that are there, who is not asked for; and
what it does with connections that are older than the agent or outlive it."""

import itertools
import json
import os
import signal
import socket
import struct
import sys
import threading
import time

import http_wire
import load
import sending
import servers
import torments
from agent import Agent, need
from harness import (SPANLOOM, Skip, end, equal, free_port, in_threads, listening, run, spawn,
                     wait_until)
from spans import CLIENT, SERVER, at_port
from torments import LIKE_A_REQUEST, content
from torture import AT_MOST_ONE, INJECT, NONE, ONE, Strict, Talk, Torture, by_number, traceparent_of

# ---- what is not to be touched ----------------------------------------------------------

NO_HTTP = (
    b"PING\r\n", b"*1\r\n$4\r\nPING\r\n", b"GET key\r\n", b"get key\r\n", b"GET ", b"G", b"POST",
    b"GET /half", b"GET /half HTTP/1.1", b"GET / HTTP/2.0\r\n\r\n", b"GET  HTTP/1.1\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", b"OPTIONS rtsp://h RTSP/1.0\r\n\r\n",
    b"INVITE sip:a@h SIP/2.0\r\n\r\n", b"PUT 0 0 60 5\r\nhello\r\n", b"DELETE FROM t;\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n", b"EHLO h\r\n", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
    b"\0\0\0\x08\x04\xd2\x16\x2f", b"\0", b"\r\n", b"\r\n\r\n", content(1000),
    b"GET " + content(1000), b"POST / HTTP/1.1" + content(5000),
)


def test_other_traffic():
    """What is no HTTP passes as it is, also when text that looks like a request follows."""
    server, redis = Strict(), servers.Redis()
    torture = Torture(server)
    agent = Agent(*INJECT, *server.only(redis.port))
    for first in NO_HTTP:
        with Talk(torture, port=server.echo) as talk:
            for data in (first, b"\r\n", content(3000), first, content(100000)):
                talk.echoes(data)
    with Talk(torture, port=server.echo) as talk:
        talk.echoes(b"\x16\x03\x01" + content(5 << 20))
        talk.echoes(LIKE_A_REQUEST)
    with load.Redis(redis.port) as connection:
        for number in range(100):
            equal(connection.ask("SET", f"k{number}", LIKE_A_REQUEST), b"+OK", "SET")
            equal(connection.ask("GET", f"k{number}"), LIKE_A_REQUEST, "GET")
        connection.send(b"PING\r\n")
        equal(connection.reply(), b"+PONG", "PING")
    torments.small(torture)
    server.check()
    torture.check_spans(agent.stop())


def completions(sock, sends):
    """How many zero-copy sends the kernel says are done, once it says @sends or more."""
    done = 0
    limit = time.monotonic() + sending.SECONDS
    while done < sends and time.monotonic() < limit:
        try:
            _, notes, _, _ = sock.recvmsg(1, 512, 0x2000 | socket.MSG_DONTWAIT)  # MSG_ERRQUEUE
        except BlockingIOError:
            time.sleep(0.01)
            continue
        for _, _, data in notes:
            low, high = struct.unpack_from("<II", data, 8)
            done = max(done, high + 1)
            assert low <= high, notes
    return done


def send_without_copies(torture, talk, size):
    """Six requests; of each send the program waits for the completion."""
    for number in range(1, 7):
        request = torture.request(content(size))
        talk.owed.append(request)
        sent = talk.socket.send(request.bytes, 0x4000000)  # MSG_ZEROCOPY
        equal(sent, len(request.bytes), "bytes sent at once")
        talk.take()
        equal(completions(talk.socket, number), number, f"completions of sends of {size} bytes")


def test_zero_copy_is_left_alone():
    """A program counts the completions of its sends: there must be one for each, also when it
    asks for them late (Linux 6.5 and up)."""
    server = Strict()
    torture = Torture(server, wanted=NONE)
    late = tuple(map(int, os.uname().release.split(".")[:2])) >= (6, 5)
    agent = Agent(*INJECT, *server.only())
    for connected, size in itertools.product((False, True) if late else (False,), (100, 50000, 200000)):
        with torture.talk(connect=connected) as talk:
            if connected:
                talk.ask(torture.request(wanted=ONE))
            talk.socket.setsockopt(socket.SOL_SOCKET, 60, 1)  # SO_ZEROCOPY
            if not connected:
                talk.socket.connect(talk.address)
            send_without_copies(torture, talk, size)
    server.check()
    agent.stop()


def test_who_is_not_asked_for():
    """--inject off, a program that is left alone, and auto on a kernel that is not safe."""
    server = Strict()
    report = json.loads(run(SPANLOOM, "check", "--json", ok=(0, 1)))
    [safe] = [one["on"] for one in report["features"] if one["name"] == "header injection"]
    python = os.path.realpath(sys.executable)
    for options, wanted in ((("--inject", "off"), NONE), (("--inject", "auto"), ONE if safe else NONE),
                            ((*INJECT, "--exclude-exe", python), NONE),
                            ((*INJECT, "--inject-exclude", python), NONE)):
        agent = Agent(*options, *server.only())
        torments.mixed(Torture(server, wanted=wanted), 2, 20)
        agent.stop()
    server.check()


# ---- who has a header already -----------------------------------------------------------

TRACE, PARENT = "12345678901234567890123456789012", "1234567890123456"
OWN_HEADERS = [f"{name}: {value}\r\n" for name, value in (
    ("traceparent", f"00-{TRACE}-{PARENT}-01"), ("Traceparent", f"00-{TRACE}-{PARENT}-03"),
    ("TRACEPARENT", f" 00-{TRACE}-{PARENT}-01 "), ("traceParent", f"cc-{TRACE}-{PARENT}-01-more"))]


def test_a_header_of_an_sdk_is_adopted():
    """It stays as it is, wherever the head is cut; its context is that of the spans."""
    server = Strict()
    torture = Torture(server, wanted=NONE)
    agent = Agent(*INJECT, *server.only())
    for header in OWN_HEADERS:
        with torture.talk() as talk:
            for padding in (0, 2000, 3500):
                talk.ask(torture.request(headers=header, padding=padding))
            talk.ask(torture.request(content(5000), headers="A: b\r\n" + header), sending.apart)
    whole = next(torture.numbers)
    with torture.talk() as talk:
        for bad in ("x", "", "00-0-0-0", f"ff-{TRACE}-{PARENT}-01"):
            talk.ask(torture.request(headers=f"traceparent: {bad}\r\n"))
        for place in range(1, len(torture.request(headers=OWN_HEADERS[0]).head)):
            request = torture.request(headers=OWN_HEADERS[0])
            talk.owed.append(request)
            talk.send(request.head[:place])
            talk.send(request.head[place:])
            talk.take()
    server.check()
    found = at_port(agent.stop(), server.port)
    for kind in (CLIENT, SERVER):
        spans = [span for number, span in by_number(s for s in found if s.kind == kind).items()
                 if number < whole]
        equal((len(spans), {span.trace_id for span in spans}), (whole - 1, {TRACE}),
              f"spans of kind {kind} and their traces")
    equal({span.parent_id for number, span in by_number(s for s in found if s.kind == CLIENT).items()
           if number < whole}, {PARENT}, "parents of the client spans")


def test_a_header_that_is_passed_on_is_updated():
    """A proxy that copies headers sends one, which names its own span."""
    server = Strict()
    port = free_port()
    servers.forwarder(port, server.port, copies=True)
    agent = Agent(*INJECT, *server.only(port))
    seen = {}
    with load.Http(port) as http:
        for number in range(50):
            [report] = json.loads(http.get(f"/n/{number}")[1])
            seen[number] = http_wire.values(report["head"].encode(), b"traceparent")
    server.check()
    check_chains(agent.stop(), port, server.port, seen)


def check_chains(spans, port, back, seen):
    """Client, proxy at @port, server at @back: each span below the one before, and on the wire."""
    fronts = {kind: by_number(s for s in at_port(spans, port) if s.kind == kind)
              for kind in (CLIENT, SERVER)}
    backs = {kind: by_number(s for s in at_port(spans, back) if s.kind == kind)
             for kind in (CLIENT, SERVER)}
    for number, headers in seen.items():
        call = backs[CLIENT][number]
        equal(headers, [traceparent_of(call).encode()], f"headers of {number}")
        chain = [fronts[CLIENT][number], fronts[SERVER][number], call, backs[SERVER][number]]
        equal({span.trace_id for span in chain}, {call.trace_id}, f"traces of {number}")
        equal([span.parent_id for span in chain], ["", *(s.span_id for s in chain[:-1])],
              f"parents of {number}")


NODE_FORWARDER = """
const http = require('http');
const [port, back] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
http.createServer(({ url, headers: { traceparent } }, response) => setTimeout(() => {
	http.get({ host: '127.0.0.1', port: back, path: url, agent, headers: { traceparent } },
		(answer) => {
			response.setHeader('Content-Length', answer.headers['content-length']);
			answer.pipe(response);
		});
}, Math.random() * 3)).listen(port, '127.0.0.1').keepAliveTimeout = 0;
"""


def test_a_header_that_one_of_several_passes_on_is_updated():
    """An event loop: whichever request a header came with, what goes out names the call's span."""
    server = Strict()
    port = free_port()
    forwarder = servers.node_program(NODE_FORWARDER, str(port), str(server.port))
    wait_until(lambda: listening(port), "the forwarder to listen")
    agent = Agent(*INJECT, *server.only(port))
    seen, each = {}, 40

    def ask(index):
        with load.Http(port) as http:
            for number in range(index * each, (index + 1) * each):
                [report] = json.loads(http.get(f"/n/{number}")[1])
                seen[number] = http_wire.values(report["head"].encode(), b"traceparent")

    in_threads(ask, 8)
    end(forwarder)
    server.check()
    check_chains(agent.stop(), port, server.port, seen)
    equal(agent.ledger["kernel.inject.updated"], 8 * each, "headers updated")


# ---- older and younger than the agent ---------------------------------------------------


def injects(torture, talk):
    request = torture.request(b"body", wanted=AT_MOST_ONE)
    talk.ask(request)
    return request.number in torture.seen


def test_open_connections_are_joined():
    """Also in the middle of a message, which stays as it is."""
    server = Strict()
    torture = Torture(server)
    talks = {name: torture.talk() for name in ("idle", "used", "in a body", "in a head", "owed")}
    talks["used"].ask(torture.request(wanted=NONE))
    half_body = torture.request(LIKE_A_REQUEST * 2, wanted=NONE)
    half_head = torture.request(b"body", wanted=AT_MOST_ONE)
    for name, request, size in (("in a body", half_body, len(half_body.head + LIKE_A_REQUEST)),
                                ("in a head", half_head, 30)):
        talks[name].owed.append(request)
        talks[name].send(request.bytes[:size])
    talks["owed"].put(torture.request(wanted=NONE))
    agent = Agent(*INJECT, *server.only())
    talks["in a body"].send(LIKE_A_REQUEST)
    talks["in a head"].send(half_head.bytes[30:])
    for name in ("in a body", "in a head", "owed"):
        talks[name].take()
    for name, talk in talks.items():
        wait_until(lambda talk=talk: injects(torture, talk), f"the connection {name} to be joined")
        for size in (0, 1, 70000):
            talk.ask(torture.request(content(size)), sending.apart if size else sending.whole)
        talk.close()
    server.check()
    torture.check_spans(agent.stop())


def test_killed_under_load():
    """Nothing stands still, nothing is changed, and connections live on without headers."""
    server = Strict()
    torture = Torture(server, wanted=AT_MOST_ONE)
    agent = Agent(*INJECT, *server.only())
    done = threading.Event()

    def work(index):
        try:
            if index == 0:
                kill_amid(agent, torture)
            while index and not done.is_set():
                torments.mixed_talk(torture, index, 50)
        finally:
            if index == 0:
                done.set()

    in_threads(work, 9)
    wait_until(lambda: not torture_one(torture), "injection to end")
    torments.mixed(Torture(server, wanted=NONE), 4, 50)
    server.check()


def torture_one(torture):
    with torture.talk() as talk:
        return injects(torture, talk)


def kill_amid(agent, torture):
    wait_until(lambda: len(torture.seen) > 500, "headers")
    end(agent.process, signal.SIGKILL)
    asked = next(torture.numbers)
    wait_until(lambda: next(torture.numbers) > asked + 1500, "requests after the agent", 60)


SWALLOW = servers.SERVING + """
class Handler(Answers):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(b"ok")
serve(Handler, int(sys.argv[1]), "127.0.0.1")
"""

# Each request in one send, which takes the kernel many segments; a bulk of 12 MB leaves injection.
UPLOADS = """
import http.client, socket, sys
host = f"127.0.0.1:{sys.argv[1]}"
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60)
for number, size in enumerate([100, 200000, 200000, 3000000, 12000000, 100, 200000, 200000, 100]):
    head = f"POST /{number} HTTP/1.1\\r\\nHost: {host}\\r\\nContent-Length: {size}\\r\\n\\r\\n"
    connection.sendall(head.encode() + bytes(size))
    response = http.client.HTTPResponse(connection, method="POST")
    response.begin()
    assert response.read() == b"ok"
"""


def check_uploads(*options):
    """A send is one, however many segments or pieces the kernel makes of it."""
    port = free_port()
    spawn([sys.executable, "-c", SWALLOW, port], log="server.log")
    wait_until(lambda: listening(port), "the server to listen")
    agent = Agent(*options, "--port", str(port))
    for _ in range(3):
        run(sys.executable, "-c", UPLOADS, port)
    spans = agent.stop()
    if missed := agent.ledger["kernel.programs.missed"]:
        raise Skip(f"{missed} runs of preempted programs were missed, and counted")
    equal(agent.ledger["flow.bytes.gap"], 0, "bytes that seem to be missed")
    equal(agent.ledger["kernel.inject.left.lost"], 0, "connections whose requests were lost")
    equal((len(at_port(spans, port, CLIENT)), len(at_port(spans, port, SERVER))), (27, 27), "spans")


def test_large_sends():
    check_uploads("--inject", "off")


def test_large_sends_with_injection():
    need("socket storage")
    check_uploads("--inject", "on")
