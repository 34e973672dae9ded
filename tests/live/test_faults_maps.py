# SPDX-License-Identifier: Apache-2.0
"""Maps that are full.  What finds no room is counted and has no parent, never a wrong one; the
traffic goes on; and when there is room again, all is as before.

A flood that fills a map takes thousands of programs: the test fills it itself, with keys that are
nobody's.
"""

import os
import resource
import socket
import struct
import time
from pathlib import Path

import load
import servers
from agent import Agent
from faults import counted
from harness import Skip, equal, folder, run, spawn, wait_until
from kernel import Map, filled, numbers
from spans import CLIENT, SERVER, at_port
from test_stitching import ask, judge, number_of, threaded

GOROUTINE = 3  # enum activity_kind
NOBODY = 1 << 23  # beyond the greatest pid


def threads(number):
    return struct.pack("II", number, NOBODY)


def goroutines(number):
    return struct.pack("QII", number, NOBODY, GOROUTINE)


def links(spans, port, kind, first, last):
    """How the spans with these numbers are linked: {link: how many}."""
    found = [span for span in at_port(spans, port, kind)
             if first <= int(number_of(span) or -1) <= last]
    return {link: sum(span["spanloom.link"] == link for span in found)
            for link in {span["spanloom.link"] for span in found}}


def ask_each(port, first, count, before=lambda: None):
    """@count requests, numbered from @first, each on a connection of its own."""
    for number in range(first, first + count):
        before()
        with load.Http(port) as http:
            equal(http.get(f"/front/{number}")[0], 200, "status")


# ---- who serves what --------------------------------------------------------------------


def test_too_many_threads_that_serve():
    back = threaded()
    port = threaded(back, servers.Redis().port)
    agent = Agent()
    ask_each(port, 0, 10)
    wait_until(lambda: not serves(agent, os.getpid()), "the threads to end")
    with filled(agent.pid, "workers", threads) as fill:
        ask_each(port, 100, 10, fill)
    ask_each(port, 200, 10)
    spans = agent.stop()
    assert agent.ledger["kernel.activity.full"] >= 10, agent.ledger
    for first, link in ((0, "thread"), (100, "none"), (200, "thread")):
        equal(links(spans, back, CLIENT, first, first + 9), {link: 10}, f"links from {first} on")
    equal(judge(spans, at_port(spans, back))["wrong"], 0, "wrong parents")


def serves(agent, parent):
    """Is a child of the process @parent known to serve requests?"""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    workers = Map(agent.pid, "workers")
    tgids = {struct.unpack("II", key)[1] for key in workers.keys()}
    workers.close()
    return tgids & set(map(int, children))


def test_loop_that_serves_while_others_come():
    """A loop has requests open, is forgotten, and gets another: that one is not alone.  (nginx
    calls for the first when its body is whole; the second is held by its server.)"""
    gate = folder() / "gate"
    leaf = threaded()
    hold = threaded(leaf, 0, gate)
    nginx = servers.Nginx(f"location /any/ {{ proxy_pass http://127.0.0.1:{hold}; }}"
                          f"location /back/ {{ proxy_pass http://127.0.0.1:{leaf}; }}")
    agent = Agent("--exe", "*/nginx")
    with load.Http(nginx.port) as first, load.Http(nginx.port) as second:
        first.send(load.http_request(nginx.port, "/back/1", "Content-Length: 4\r\n", "POST"))
        wait_until(lambda: serves(agent, nginx.process.pid), "nginx to have the first request")
        with filled(agent.pid, "activities", goroutines):
            second.send(load.http_request(nginx.port, "/any/2"))
            wait_until(gate.with_name("gate-closed").exists, "the second to be held")
            first.send(b"body")
            equal(first.response()[0], 501, "status: the leaf knows no POST")
            gate.touch()
            equal(second.response()[0], 200, "status")
    with load.Http(nginx.port) as http:
        equal(http.get("/back/3")[0], 200, "status")
    spans = agent.stop()
    by_id = {span.span_id: span for span in spans}
    for span in [*at_port(spans, hold, CLIENT), *at_port(spans, leaf, CLIENT)]:
        parent = by_id.get(span.parent_id)
        assert not parent or number_of(parent) == number_of(span), (span, parent)
    equal(links(spans, leaf, CLIENT, 3, 3), {"turn": 1}, "links when it is alone")


def test_child_processes_without_a_verdict():
    nginx = servers.Nginx()
    agent = Agent("--inject-exclude", "nothing", "--port", str(nginx.port))
    with filled(agent.pid, "scope", numbers(NOBODY)) as fill:
        for _ in range(10): # where other processes end there is room again
            run("sh", "-c", f"curl -s {nginx.url}/ok; true")

        def warned():
            """Of those the agent may read when they have ended and there is room; these stay."""
            fill()
            spawn(["sh", "-c", "sleep 1000 & sleep 1000 & wait"])
            time.sleep(0.2)
            return "too many processes" in agent.stderr.read_text()
        wait_until(warned, "a warning")
    for _ in range(10):
        run("sh", "-c", f"curl -s {nginx.url}/ok; true")
    spans = agent.stop()
    assert agent.ledger["kernel.scope.full"] > 0, agent.ledger
    equal(len(at_port(spans, nginx.port, CLIENT)), 20, "spans of the clients")


def test_runtimes_without_room():
    """Programs of CPython are then like any other."""
    back = threaded()
    redis = servers.Redis()
    agent = Agent()
    with filled(agent.pid, "runtimes", numbers(NOBODY)):
        port = threaded(back, redis.port)
        ask(port, 4, 20)
    ask(threaded(back, redis.port), 4, 20)
    spans = agent.stop()
    equal(judge(spans, at_port(spans, back, CLIENT)), {"right": 40, "wrong": 0, "none": 0},
          "parents of calls by threads")


# ---- which message is whose -------------------------------------------------------------


def test_messages_under_way_that_are_forgotten():
    """By the time that the server reads its request, others have taken the place of its name."""
    read, names = [], []

    def play(connection):
        while len(read) < 20:
            wait_until(lambda: names, "leave to read")
            names.pop()
            read.append(connection.until(b"\r\n\r\n"))
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    server = servers.Script(play)
    agent = Agent("--port", str(server.port), "--inject", "off")  # a header would tell
    pairs = Map(agent.pid, "pairs")
    with load.Http(server.port) as client:
        for index in range(20):
            client.send(load.http_request(server.port, f"/back/{index}"))
            if index < 10:
                equal(len(pairs.fill(numbers(), pairs.bound)), pairs.bound, "places")
            names.append(index)
            equal(client.response()[0], 200, "status")
    spans = agent.stop()
    equal(links(spans, server.port, SERVER, 0, 9), {"none": 10}, "links of the forgotten")
    equal(links(spans, server.port, SERVER, 10, 19), {"peer": 10}, "links of the others")


# ---- connections ------------------------------------------------------------------------


def addresses(number):
    """Of no socket: odd."""
    return struct.pack("Q", 2 * number + 1)


def test_more_sockets_than_there_is_room_for():
    """Where sockets cannot keep their state themselves."""
    nginx = servers.Nginx("location /front/ { return 200; }")
    agent = Agent("--port", str(nginx.port))
    table = Map(agent.pid, "conns_by_address")
    if table.bound == 1:
        raise Skip("sockets keep their own state here")
    ask_each(nginx.port, 0, 10)
    with filled(agent.pid, "conns_by_address", addresses) as fill:
        ask_each(nginx.port, 100, 10, fill)
    ask_each(nginx.port, 200, 10)
    spans = agent.stop()
    assert agent.ledger["kernel.conn.no_memory"] >= 20, agent.ledger
    for kind in (CLIENT, SERVER):
        for first, there in ((0, 10), (100, 0), (200, 10)):
            equal(sum(links(spans, nginx.port, kind, first, first + 9).values()), there,
                  f"spans of kind {kind} from {first} on")


def test_more_connections_than_the_agent_follows():
    nginx = servers.Nginx()
    agent = Agent("--max-connections", "64", "--port", str(nginx.port))
    clients = [load.Http(nginx.port) for _ in range(200)]
    for _ in range(3):
        for client in clients:
            equal(client.get("/ok")[0], 200, "status")
    for client in clients:
        client.close()
    load.http(nginx.port, 4, 50, path="/users/1")
    spans = agent.stop()
    assert agent.ledger["flow.connections.evicted"] > 0, agent.ledger
    counted(agent, spans, nginx.port, 800)
    for kind in (SERVER, CLIENT):
        equal(sum("/users/1" in (span["url.path"] or span["url.full"])
                  for span in at_port(spans, nginx.port, kind)), 200, f"later spans of {kind}")


def crowd(agent, listener):
    """Connections that take all places there are for sockets that get headers.  What the server
    closes is the client's as before."""
    sockets = Map(agent.pid, "sockets")
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert files > sockets.bound + 100, f"only {files} open files are allowed (ulimit -Hn)"
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    clients = []
    for _ in range(sockets.bound):
        clients.append(socket.create_connection(listener.getsockname()))
        listener.accept()[0].close()
    sockets.close()
    return clients


def test_no_room_for_sockets_that_get_headers():
    """They get none, and are counted."""
    nginx = servers.Nginx('location /header/ { return 200 "$http_traceparent"; }')
    listener = socket.create_server(("127.0.0.1", 0))
    agent = Agent("--inject", "on", "--port", f"{nginx.port},{listener.getsockname()[1]}")

    def header(client):
        status, body = client.get("/header/1")
        equal(status, 200, "status")
        return body

    with load.Http(nginx.port) as known:
        assert header(known), "no header in a request before"
        clients = crowd(agent, listener)
        with load.Http(nginx.port) as late:
            equal([header(late) for _ in range(3)], [b""] * 3, "headers without room")
        assert header(known), "no header in a request of one that has room"
        for client in clients:
            client.close()
        with load.Http(nginx.port) as later:
            assert header(later), "no header in a request after that"
    spans = agent.stop()
    assert agent.ledger["kernel.inject.full"] >= 1, agent.ledger
    equal(len(at_port(spans, nginx.port, SERVER)), 6, "spans")
