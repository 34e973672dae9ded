# SPDX-License-Identifier: Apache-2.0
"""A connection that a program which is traced shares with one that is not: what the other moves goes
by unseen, and nothing that is seen is taken for its part.

Each request has a number, which its call has, too; its status is 200 and the number.
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
from harness import PATIENCE, equal, folder
from spans import CLIENT, SERVER, at_port
from test_stitching import number_of

# Who reads a request, and who answers it: the one inside, that is traced, or the one outside.
FIRST_OUTSIDE = ["oo", "ii", "ii"]
IN_TURN = ["ii", "oo", "ii", "io", "ii", "io", "oo", "ii", "oo", "oo", "ii", "ii"]

INSIDE = """
import socket, subprocess, sys, time, urllib.request
outside, listener, back, seconds, *steps = sys.argv[1:]
conn, _ = socket.socket(fileno=int(listener)).accept()
other = subprocess.Popen([outside, "-c", sys.stdin.read(), str(conn.fileno())],
                         pass_fds=[conn.fileno()], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
time.sleep(float(seconds)) # until it is known who is outside
def leave(what, number):
    other.stdin.write(f"{what} {number}\\n".encode())
    other.stdin.flush()
    other.stdout.readline()
for number, (reader, answerer) in enumerate(steps):
    if reader == "o":
        leave("read", number)
    else:
        conn.recv(4096)
        if answerer == "i":
            urllib.request.urlopen(f"http://127.0.0.1:{back}/any/{number}").read()
    if answerer == "o":
        leave("answer", number)
    else:
        conn.sendall(b"HTTP/1.1 %d OK\\r\\nContent-Length: 0\\r\\n\\r\\n" % (200 + number))
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


def serve(listener, back, steps):
    environ = dict(os.environ, PYTHONHOME=sys.base_prefix)
    program = servers.python_program(INSIDE, outside(), listener.fileno(), back, PATIENCE, *steps,
                                     env=environ, pass_fds=[listener.fileno()],
                                     stdin=subprocess.PIPE)
    program.stdin.write(OUTSIDE.encode())
    program.stdin.close()


def judge(steps):
    back = servers.Nginx("location /any/ { return 200; }").port
    agent = Agent("--exclude-exe", "*/outside")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        serve(listener, back, steps)
        with load.Http(port) as http:
            for number in range(len(steps)):
                equal(http.get(f"/any/{number}")[0], 200 + number, "status")
    spans = agent.stop()
    served = {number_of(span): span for span in at_port(spans, port, SERVER)}
    for number, step in enumerate(steps):
        span = served.get(str(number))
        status = span and span["http.response.status_code"]
        assert status is None or (step == "ii" and status == 200 + number), (number, step, span)
        assert status or not span or span["spanloom.incomplete"], (number, step, span)
    equal(status, 200 + number, "status of the last one, which is whole")
    calls = at_port(spans, back, CLIENT)
    equal(len(calls), sum(reader == "i" == answerer for reader, answerer in steps), "calls")
    for call in calls:
        assert call.parent_id in ("", served[number_of(call)].span_id), call
    return sum(call.parent_id != "" for call in calls), len(calls)


def test_first_request_is_anothers():
    judge(FIRST_OUTSIDE)


def test_requests_are_served_in_turn():
    right, calls = judge(IN_TURN)
    equal(right, calls, "calls with a parent")
