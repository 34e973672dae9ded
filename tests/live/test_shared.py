# SPDX-License-Identifier: Apache-2.0
"""Connections that a program which is traced has with one that is not, or shares with it: what the
other moves goes by unseen, and nothing that is seen is taken for its part.

Where a connection is shared, each request has a number, which its call has, too; its status is 200 and
the number.  Behind the answer another call is made, on nobody's behalf, whose number is LATE more.
"""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import load
import servers
from agent import Agent
from harness import PATIENCE, equal, folder, spawn
from spans import CLIENT, SERVER, at_port
from test_stitching import number_of

# Who reads a request, and who answers it: the one inside, that is traced, or the one outside.
FIRST_OUTSIDE = ["oo", "ii", "ii"]
IN_TURN = ["ii", "oo", "ii", "io", "ii", "io", "oo", "ii", "oo", "oo", "ii", "ii"]

LATE = 1000

INSIDE = """
import socket, subprocess, sys, time, urllib.request
outside, listener, back, seconds, late, *steps = sys.argv[1:]
conn, _ = socket.socket(fileno=int(listener)).accept()
other = subprocess.Popen([outside, "-c", sys.stdin.read(), str(conn.fileno())],
                         pass_fds=[conn.fileno()], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
time.sleep(float(seconds)) # until it is known who is outside
def leave(what, number):
    other.stdin.write(f"{what} {number}\\n".encode())
    other.stdin.flush()
    other.stdout.readline()
def call(number):
    urllib.request.urlopen(f"http://127.0.0.1:{back}/any/{number}").read()
for number, (reader, answerer) in enumerate(steps):
    if reader == "o":
        leave("read", number)
    else:
        conn.recv(4096)
        if answerer == "i":
            call(number)
    if answerer == "o":
        leave("answer", number)
    else:
        conn.sendall(b"HTTP/1.1 %d OK\\r\\nContent-Length: 0\\r\\n\\r\\n" % (200 + number))
        call(number + int(late))
"""

OUTSIDE = """
import socket, sys
conn = socket.socket(fileno=int(sys.argv[1]))
for line in sys.stdin:
    what, number = line.split()
    if what == "read":
        conn.recv(4096)
    else:
        conn.sendall(b"HTTP/1.1 %d OK\\r\\nContent-Length: 0\\r\\n\\r\\n" % (200 + int(number)))
    print(flush=True)
"""


def outside():
    """A Python that has another name."""
    copy = folder() / "outside"
    shutil.copy(Path(sys.executable).resolve(), copy)
    return copy


def environ():
    return dict(os.environ, PYTHONHOME=sys.base_prefix)


def serve(listener, back, steps):
    program = servers.python_program(INSIDE, outside(), listener.fileno(), back, 4 * PATIENCE, LATE,
                                     *steps, env=environ(), pass_fds=[listener.fileno()],
                                     stdin=subprocess.PIPE)
    program.stdin.write(OUTSIDE.encode())
    program.stdin.close()
    return program


def judge(steps):
    back = servers.Nginx("location /any/ { return 200; }").port
    agent = Agent("--exclude-exe", "*/outside")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        program = serve(listener, back, steps)
        with load.Http(port) as http:
            for number in range(len(steps)):
                equal(http.get(f"/any/{number}")[0], 200 + number, "status")
    equal(program.wait(60 * PATIENCE), 0, "exit status")
    spans = agent.stop()
    served = {number_of(span): span for span in at_port(spans, port, SERVER)}
    for number, step in enumerate(steps):
        span = served.get(str(number))
        status = span and span["http.response.status_code"]
        assert status is None or (step == "ii" and status == 200 + number), (number, step, span)
        assert status or not span or span["spanloom.incomplete"], (number, step, span)
    equal(status, 200 + number, "status of the last one, which is whole")
    calls = at_port(spans, back, CLIENT)
    late = [call for call in calls if int(number_of(call)) >= LATE]
    equal(len(late), sum(answerer == "i" for _, answerer in steps), "late calls")
    equal([call for call in late if call.parent_id], [], "late calls with a parent")
    calls = [call for call in calls if call not in late]
    equal(len(calls), sum(reader == "i" == answerer for reader, answerer in steps), "calls")
    for call in calls:
        assert call.parent_id in ("", served[number_of(call)].span_id), call
    return sum(call.parent_id != "" for call in calls), len(calls)


def test_first_request_is_anothers():
    right, calls = judge(FIRST_OUTSIDE)
    equal(right, calls, "calls with a parent")


def test_requests_are_served_in_turn():
    right, calls = judge(IN_TURN)
    equal(right, calls, "calls with a parent")


ASKING = """
import socket, sys
port, *addresses = sys.argv[1:]
connections = [socket.create_connection(("127.0.0.1", int(port)))]
for path in addresses:
    connections.append(socket.socket(socket.AF_UNIX))
    connections[-1].connect(path)
for line in sys.stdin:
    for conn in connections:
        conn.sendall(f"GET / HTTP/1.1\\r\\nHost: 127.0.0.1:{port}\\r\\n\\r\\n".encode())
        conn.recv(65536)
    print(flush=True)
"""


def test_client_outside_that_is_older_than_the_agent():
    back, rounds = servers.Nginx("location = / { return 200; }"), 20
    script = folder() / "client.py"
    script.write_text(ASKING)
    client = spawn([outside(), script, back.port, back.socket], env=environ(),
                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask():
        client.stdin.write(b"\n")
        client.stdin.flush()
        assert client.stdout.readline(), "the client has ended"

    ask()
    agent = Agent("--exclude-exe", "*/outside")
    for _ in range(rounds):
        ask()
    spans = agent.stop()
    equal(len(at_port(spans, back.port, SERVER)), 2 * rounds, "requests")
    equal({(span.kind, span.parent_id) for span in spans}, {(SERVER, "")}, "kinds and parents")


PAIRS = """
import socket, sys
for _ in range(int(sys.argv[1])):
    for conn in (pair := socket.socketpair()):
        conn.sendall(b"to the other end")
    for conn in pair:
        conn.recv(4096)
    for conn in pair:
        conn.sendall(b"and once more")
    for conn in pair:
        conn.recv(4096)
        conn.close()
"""


def test_unix_sockets_outside_that_follow_each_other():
    """Mostly at the same address, and in the same process: none is taken for one that is gone."""
    pairs, script = 200, folder() / "pairs.py"
    script.write_text(PAIRS)
    agent = Agent("--exclude-exe", "*/outside")
    program = spawn([outside(), script, pairs], env=environ())
    equal(program.wait(60 * PATIENCE), 0, "exit status")
    agent.stop()
    opened = agent.ledger["kernel.conn.opened"]
    assert opened >= 2 * pairs, f"{opened} of {2 * pairs} ends of sockets seen"
